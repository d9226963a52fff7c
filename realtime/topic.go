package realtime

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"connvo/db"
)

// The bounds of what is held in memory for those who share it.
const (
	// maxTailItems and maxTailBytes are what a burst leaves between two turns of
	// a reader. A reader that is further behind asks the database.
	maxTailItems = 256
	maxTailBytes = 256 << 10
	// maxHeldBytes bounds what all topics together hold; beyond it each reader
	// asks for itself.
	maxHeldBytes = 64 << 20
	// holdTime is how long what was read is held for the others, who take it
	// within one turn.
	holdTime = time.Second
)

// digest tells one answer from another.
type digest [16]byte

func digestOf(b []byte) (d digest) {
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

// topic is what a query answers, or the end of a feed, for all who are answered
// the same: whoever needs it first after a commit asks the database, the others
// take it from here while their own rights stand. What the answer depends on is
// watched once, however many read it.
type topic struct {
	watched
	name    string        // "" when one connection alone has it
	sharers atomic.Int32  // changed under Engine.mu
	rung    atomic.Int64  // how often Ring has told of it
	held    *atomic.Int64 // the bytes that all topics hold

	mu     sync.Mutex // guards the rest
	at     int64      // what follows is as of this commit
	heldAt time.Time  // when it was read
	heard  int64      // the query's answer covers every ring up to this one
	sum    digest     // of the query's answer, without the callers' own parts
	body   []byte     // that answer, nil when it is not held
	items  []Item     // every item of the feed beyond from, ascending
	from   int64
	bytes  int
}

// stale reports whether a commit concerns what t knows. t.mu is held.
func (t *topic) stale() bool { return t.dirtyAt.Load() > t.at }

// current reports whether what t knows is as of the commit: nothing that
// concerns it lies between. Every commit up to it must have been compared.
// t.mu is held.
func (t *topic) current(commit int64) bool {
	return t.at <= commit && !t.stale()
}

// answer returns what the query answers at the commit, false where t does not
// know. The body is nil when t knows only that its digest is still last.
func (t *topic) answer(commit int64, last digest) (body []byte, sum digest, heard int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.current(commit) || t.rung.Load() > t.heard || (t.body == nil && t.sum != last) || t.sum == (digest{}) {
		return nil, digest{}, 0, false
	}
	return t.body, t.sum, t.heard, true
}

// beyond returns the items of the feed beyond a position as of the commit, false
// where t does not reach back so far.
func (t *topic) beyond(commit, position int64) (items []Item, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.current(commit) || position < t.from {
		return nil, false
	}
	for i, item := range t.items {
		if item.Position > position {
			return append(items, t.items[i:]...), true
		}
	}
	return nil, true
}

// learnAnswer takes what a run of the query has read, and what of the database
// that depends on. It returns false where a newer run has read something else:
// the reader must ask again.
func (t *topic) learnAnswer(h *hub, deps []db.Dependency, u update) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.heard < t.heard {
		return true // the ring that it has missed makes the reader ask again
	}
	if h.depend(&t.watched, deps, u.commit) == outrun {
		return false
	}
	if u.commit < t.at {
		return true
	}
	t.release()
	t.at, t.heard, t.sum, t.heldAt = u.commit, u.heard, u.sum, time.Now()
	if t.sharers.Load() > 1 && t.held.Load() < maxHeldBytes {
		t.body, t.bytes = u.body, len(u.body)
		t.held.Add(int64(t.bytes))
	}
	return true
}

// learnItems is learnAnswer for a feed: part is what is beyond after as of the
// commit.
func (t *topic) learnItems(h *hub, deps []db.Dependency, commit, after int64, part Part) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := h.depend(&t.watched, deps, commit)
	compared := h.processed.Load() // before asking whether anything has changed
	t.forget(part.Gone)
	follows := !part.More && after <= t.at && t.sharers.Load() > 1 && t.held.Load() < maxHeldBytes
	switch {
	case r == outrun:
		return false
	case commit < t.at:
		return true
	case r == unchanged && !follows && !t.stale():
		if compared >= commit {
			t.at = commit // what t knows goes on to hold: whoever follows from here shares it
		}
		return true
	case !follows:
		t.release()
		t.at, t.from = commit, commit
		return true
	}
	fresh := part.Items[:0:0]
	for _, item := range part.Items {
		if item.Position > t.at {
			fresh = append(fresh, item)
		}
	}
	t.at, t.heldAt = commit, time.Now()
	t.add(fresh)
	return true
}

// add appends what is new. An item that was changed stands at its last position
// only, so that nobody is told what it said before.
func (t *topic) add(fresh []Item) {
	before := t.bytes
	changed := make(map[string]bool, len(fresh))
	for _, item := range fresh {
		changed[item.Key] = true
	}
	kept := make([]Item, 0, len(t.items)+len(fresh))
	for _, item := range t.items {
		if changed[item.Key] {
			t.bytes -= len(item.Data)
			continue
		}
		kept = append(kept, item)
	}
	for _, item := range fresh {
		t.bytes += len(item.Data)
		kept = append(kept, item)
	}
	drop := 0
	for drop < len(kept) && (len(kept)-drop > maxTailItems || t.bytes > maxTailBytes) {
		t.bytes -= len(kept[drop].Data)
		t.from = kept[drop].Position
		drop++
	}
	t.items = kept[drop:]
	t.held.Add(int64(t.bytes - before))
}

// forget lets go of the items up to a position among which some are deleted:
// whoever is to go on from there asks for itself. t.mu is held.
func (t *topic) forget(gone int64) {
	if gone <= t.from {
		return
	}
	t.from = gone
	kept := make([]Item, 0, len(t.items))
	before := t.bytes
	for _, item := range t.items {
		if item.Position > gone {
			kept = append(kept, item)
			continue
		}
		t.bytes -= len(item.Data)
	}
	t.items = kept
	t.held.Add(int64(t.bytes - before))
}

// release lets go of what is held. t.mu is held.
func (t *topic) release() {
	t.held.Add(-int64(t.bytes))
	t.body, t.items, t.bytes = nil, nil, 0
	t.from = t.at
}

// tidy lets go of what has been held long enough.
func (t *topic) tidy(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes > 0 && now.Sub(t.heldAt) > holdTime {
		t.release()
	}
}

// topic returns the topic of that name, made when nobody else has it; a name of
// "" is nobody else's.
func (e *Engine) topic(name string) *topic {
	if name == "" {
		t := &topic{held: &e.held}
		t.sharers.Store(1)
		return t
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t, found := e.topics[name]
	if !found {
		t = &topic{name: name, held: &e.held}
		e.topics[name] = t
	}
	t.sharers.Add(1)
	return t
}

// leaveTopic ends what topic began.
func (e *Engine) leaveTopic(t *topic) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.sharers.Add(-1) > 0 {
		return
	}
	if t.name != "" {
		delete(e.topics, t.name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release()
}

// Ring tells whoever follows the topic that what its answer takes from memory has
// changed, and has done so before the call. It is ignored where nobody follows.
// It waits for nobody: many rings before the answer is asked for again are one.
func (e *Engine) Ring(topic string) {
	e.mu.Lock()
	t, followed := e.topics[topic]
	e.mu.Unlock()
	if !followed {
		return
	}
	t.rung.Add(1)
	e.hub.wake(&t.watched)
}
