package realtime

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of what is told before it is final.
const (
	// maxInterim is how many texts are held for those who follow one feed: more
	// than people speak at once. What was told longest ago makes room.
	maxInterim = 64
	// maxInterimBytes bounds the texts of one feed, and what a turn tells of them.
	maxInterimBytes = 256 << 10
	// interimAge is how old a text may be that somebody is told who comes then: what
	// has not become final by then seldom does.
	interimAge = 10 * time.Second
	// interimPatience is how many events with items go first, on a connection that
	// always has some: then the items wait for one turn.
	interimPatience = 3
	// maxEnded is how many final ones are remembered, so that what is told late of
	// one is not shown after it: those of some seconds.
	maxEnded = 64
)

// Interim is something that is not final yet, encoded. It is shared and not
// changed.
type Interim struct {
	// Key names it: of those with the same only the newest is told, and it no more
	// after an Item that Ends it.
	Key   string
	About any // what Aside.Wants is asked about
	Data  []byte
	// Once says that what is final stays so: what is told of it after an Item that Ends
	// it Once comes too late.
	Once bool
}

// Aside is what a feed tells in interim events, beside its items.
type Aside struct {
	// Name is the same for all feeds of which the same is told, whatever they leave
	// out of it.
	Name string
	// Wants says of an Interim's About whether the feed tells of it; nil for always.
	Wants func(about any) bool
}

// aside holds what is not final yet, for those who follow it.
type aside struct {
	watched       // which depends on nothing: those who are woken
	followers int // guarded by Engine.mu
	newest    atomic.Int64
	held      *atomic.Int64 // the bytes that topics and asides hold
	seed      maphash.Seed  // of the sums of keys

	mu    sync.Mutex // guards the rest
	texts []told     // by number
	bytes int
	ended [maxEnded]uint64 // the sums of keys of which no text is told any more
	next  int              // of them, the one that is forgotten next
}

// told is a text and when it was told.
type told struct {
	Interim
	number int64
	at     time.Time
}

// hearing is the place of one path of one connection in an aside.
type hearing struct {
	to    *aside
	of    reader
	heard int64 // everything up to this number was told, or is not wanted
}

// whisper is what a turn tells beside the items of one feed.
type whisper struct {
	sub  *sub
	data [][]byte
	upTo int64
}

// Tell tells the texts to those who follow a feed with the aside of that name, as
// soon as they can take it; a reader who is late is told the newest only. Where
// nobody follows they are forgotten. Who had lost the right to read them by the
// time of the call is not told: it waits until the commits up to then have been
// compared, and forgets the texts when ctx ends before.
func (e *Engine) Tell(ctx context.Context, name string, texts ...Interim) {
	e.mu.Lock()
	a := e.asides[name]
	e.mu.Unlock()
	if a == nil || e.hub.await(ctx, e.db.Committed()) != nil {
		return
	}
	if a.put(time.Now(), texts) {
		e.hub.wake(&a.watched)
	}
}

// Hush forgets what was told beside the feeds with the aside of that name, for who comes
// to follow one of them, or has not taken it yet.
func (e *Engine) Hush(name string) {
	e.mu.Lock()
	a := e.asides[name]
	e.mu.Unlock()
	if a != nil {
		a.hush()
	}
}

func (a *aside) hush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.texts) > 0 {
		a.remove(0)
	}
}

// put holds the texts and reports whether there is something to tell.
func (a *aside) put(now time.Time, texts []Interim) (any bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, text := range texts {
		if text.Once && slices.Contains(a.ended[:], maphash.String(a.seed, text.Key)) {
			continue
		}
		a.drop(text.Key)
		if len(text.Data) > maxInterimBytes || a.held.Load() > maxHeldBytes {
			continue
		}
		for len(a.texts) >= maxInterim || a.bytes+len(text.Data) > maxInterimBytes {
			a.remove(0)
		}
		a.texts = append(a.texts, told{text, a.newest.Load() + 1, now})
		a.grow(len(text.Data))
		a.newest.Add(1)
		any = true
	}
	return any
}

// end forgets the text of that key, since what it has become is final, and with
// once what is told of it later.
func (a *aside) end(key string, once bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(key)
	if sum := maphash.String(a.seed, key); once && !slices.Contains(a.ended[:], sum) {
		a.ended[a.next] = sum
		a.next = (a.next + 1) % maxEnded
	}
}

// since returns the texts after a number that are wanted, and the number up to
// which there are no others.
func (a *aside) since(number int64, wants func(any) bool, now time.Time) (data [][]byte, upTo int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.texts {
		if t.number > number && now.Sub(t.at) <= interimAge && (wants == nil || wants(t.About)) {
			data = append(data, t.Data)
		}
	}
	return data, a.newest.Load()
}

// tidy forgets what nobody is told any more.
func (a *aside) tidy(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.texts) > 0 && now.Sub(a.texts[0].at) > interimAge {
		a.remove(0)
	}
}

// drop forgets the text of that key, if there is one. a.mu is held.
func (a *aside) drop(key string) {
	if at := slices.IndexFunc(a.texts, func(t told) bool { return t.Key == key }); at >= 0 {
		a.remove(at)
	}
}

func (a *aside) remove(at int) {
	a.grow(-len(a.texts[at].Data))
	a.texts = slices.Delete(a.texts, at, at+1)
}

func (a *aside) grow(bytes int) {
	a.bytes += bytes
	a.held.Add(int64(bytes))
}

// listen begins to follow the aside for the connection with the bell.
func (e *Engine) listen(name string, b *bell) *hearing {
	e.mu.Lock()
	a, found := e.asides[name]
	if !found {
		a = &aside{held: &e.held, seed: maphash.MakeSeed()}
		e.asides[name] = a
	}
	a.followers++
	e.mu.Unlock()
	l := &hearing{to: a, of: reader{bell: b}}
	e.hub.join(&a.watched, &l.of)
	return l
}

// unlisten ends what listen began. With the last who follows go the texts.
func (e *Engine) unlisten(name string, l *hearing) {
	e.hub.part(&l.to.watched, &l.of)
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.to.followers--; l.to.followers > 0 {
		return
	}
	delete(e.asides, name)
	l.to.mu.Lock()
	defer l.to.mu.Unlock()
	l.to.grow(-l.to.bytes)
	l.to.texts = nil
}

// hears reports whether there may be texts that were not told. Before a path's
// own answer none is told.
func (s *stream) hears(sub *sub) bool {
	return sub.hearing != nil && sub.asked && (sub.told || !s.multiplexed) && sub.hearing.to.newest.Load() > sub.hearing.heard
}

// whispers returns what is to be told beside items. It is asked before the turn
// asks about rights: what a caller may not hear was told after the commit that
// says so.
func (s *stream) whispers(now time.Time) (all []whisper) {
	size := 0
	for _, sub := range s.subs {
		if !s.hears(sub) || size > maxInterimBytes {
			continue
		}
		w := whisper{sub: sub}
		w.data, w.upTo = sub.hearing.to.since(sub.hearing.heard, sub.path.Feed.Aside.Wants, now)
		if len(w.data) == 0 {
			sub.hearing.heard = w.upTo
			continue
		}
		for _, data := range w.data {
			size += len(data)
		}
		all = append(all, w)
	}
	return all
}

// tell notes that the texts are about to be sent, and returns the body that tells
// them.
func (w whisper) tell() []byte {
	w.sub.hearing.heard = w.upTo
	return encodeList(w.data, false)
}

// single returns what is told of a turn on a connection that follows one path:
// one event, or none. What is not final waits for the items, but not for ever;
// then the items wait for a turn.
func (s *stream) single(t turn) ([]event, error) {
	changed := false
	var u *update
	if len(t.updates) > 0 {
		if u = &t.updates[0]; u.err != nil {
			return nil, u.err
		}
		changed = u.changed()
	}
	if len(t.beside) > 0 && (!changed || (s.passed >= interimPatience && !u.first && !u.more)) {
		s.passed = 0
		if u != nil && !changed {
			u.sub.advance(*u)
		}
		return []event{{name: "interim", data: t.beside[0].tell()}}, nil
	}
	if u != nil {
		u.sub.advance(*u)
	}
	if !changed {
		return nil, nil
	}
	if len(t.beside) > 0 {
		s.passed++
	}
	return []event{u.event()}, nil
}

// endings forgets the texts that the items have made final: from now on nobody is
// told them after such an item.
func (u *update) endings() {
	if u.sub.hearing == nil {
		return
	}
	for _, item := range u.items {
		if item.Ends != "" {
			u.sub.hearing.to.end(item.Ends, item.Once)
		}
	}
}
