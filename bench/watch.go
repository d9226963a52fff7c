package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	postLanes   = 16                     // posts that may wait for their answer at once
	settle      = 500 * time.Millisecond // for what the opening of streams leaves to do
	lateTime    = 10 * time.Second       // after the last post, for what is still to be delivered
	doubleTime  = 300 * time.Millisecond // after the last delivery, for what should not come
	pollingTime = 10 * time.Millisecond
)

// delivery is one item as it came on one stream.
type delivery struct {
	item item
	at   time.Duration
}

// arrival is one snapshot as it came on one stream.
type arrival struct {
	commit int64
	at     time.Duration
}

// track is what came of one live GET. The goroutine that reads the stream alone writes got and misnumbered.
type track struct {
	seat
	got         []delivery
	count       atomic.Int64 // of the messages in got, for others to read meanwhile
	misnumbered int          // events whose id is not the position of their last item

	mu    sync.Mutex // guards the rest
	snap  []byte     // the last snapshot
	snaps []arrival  // all of them
}

// watcher reads one connection to its end. Its goroutine alone writes stream and err.
type watcher struct {
	tracks  []*track // one, or those of a connection that carries many
	rounds  bool     // the connection carries many
	round   int64    // the commit of the last round
	stream  *stream
	ended   atomic.Bool // nothing more will come
	endedAt time.Duration
	err     error // why it ended before it was told to
}

// watching makes a watcher of each stream, which was opened for the seat of the same number.
func watching(streams []*stream, seats []seat) []*watcher {
	all := make([]*watcher, len(streams))
	for i, s := range streams {
		all[i] = &watcher{stream: s, tracks: []*track{{seat: seats[i]}}}
	}
	return all
}

// run reads until the stream ends or ctx does.
func (w *watcher) run(ctx context.Context, p *poster) {
	defer w.ended.Store(true)
	if err := w.read(p); ctx.Err() == nil {
		w.err, w.endedAt = err, p.now()
	}
}

// read takes what comes until the stream ends, and returns why it did.
func (w *watcher) read(p *poster) error {
	for {
		e, err := w.stream.next()
		if err == nil {
			err = w.take(p, e, p.now())
		}
		if err != nil {
			return err
		}
	}
}

// take records an event.
func (w *watcher) take(p *poster, e event, at time.Duration) error {
	if w.rounds {
		return w.takeRound(p, e, at)
	}
	t := w.tracks[0]
	switch e.name {
	case "items":
		last, err := t.items(p, e.data, at)
		if last != 0 && e.id != strconv.FormatInt(last, 10) {
			t.misnumbered++
		}
		return err
	case "snapshot":
		commit, _ := strconv.ParseInt(e.id, 10, 64)
		t.snapshot(e.data, commit, at)
	}
	return nil
}

// items records a page of items and returns the position of the last.
func (t *track) items(p *poster, raw []byte, at time.Duration) (last int64, err error) {
	var got page
	if err := json.Unmarshal(raw, &got); err != nil {
		return 0, fmt.Errorf("items: %w", err)
	}
	posted := 0
	for _, m := range got.Items {
		it := p.itemOf(m)
		if m.Type == "" && !m.System || m.Type == messagePosted {
			posted++
		}
		t.got = append(t.got, delivery{it, at})
		last = m.Position
	}
	t.count.Add(int64(posted))
	return last, nil
}

func (t *track) snapshot(raw []byte, commit int64, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snap = append(t.snap[:0], raw...)
	t.snaps = append(t.snaps, arrival{commit, at})
}

// since returns the first snapshot that was read at the commit or after it, and whether there is one.
func (t *track) since(commit int64) (arrival, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.snaps {
		if s.commit >= commit {
			return s, true
		}
	}
	return arrival{}, false
}

// shows tells whether the last snapshot is this answer.
func (t *track) shows(body []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Equal(bytes.TrimSpace(t.snap), bytes.TrimSpace(body))
}

// tracksOf lists the tracks of all watchers.
func tracksOf(watchers []*watcher) []*track {
	var all []*track
	for _, w := range watchers {
		all = append(all, w.tracks...)
	}
	return all
}

// show is what happens while streams are watched.
type show struct {
	lanes int // connected lines that work gets
	open  func(live context.Context) ([]*watcher, error)
	work  func(watchers []*watcher, lines []*line) error
	check func(watchers []*watcher) error // once everything is delivered, with the streams still open; nil for none
}

// watch opens streams, lets work go on, waits for what is still to be delivered and ends the streams. Until open has
// returned no stream is read. What was spent is from the beginning of work to the last delivery.
func (t *target) watch(ctx context.Context, p *poster, do show) ([]*watcher, spent, error) {
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	watchers, err := do.open(live)
	if err != nil {
		return nil, spent{}, err
	}
	lines, err := t.lines(live, do.lanes)
	if err != nil {
		return nil, spent{}, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer hangUp()
	for _, w := range watchers {
		wg.Go(func() { w.run(live, p) })
	}
	sleep(ctx, settle)
	m, err := t.meter()
	if err != nil {
		return nil, spent{}, err
	}
	if err := do.work(watchers, lines); err != nil {
		return nil, spent{}, cause(ctx, err)
	}
	t.awaitAll(ctx, p, watchers)
	s, err := m.read()
	sleep(ctx, doubleTime)
	if err == nil && do.check != nil {
		err = do.check(watchers)
	}
	hangUp()
	wg.Wait()
	return watchers, s, cause(ctx, err)
}

// awaitAll waits until each feed of messages or events has brought as many as were acknowledged in its room, or its
// time is over.
func (t *target) awaitAll(ctx context.Context, p *poster, watchers []*watcher) {
	want := p.counts()
	until := time.Now().Add(t.lateness())
	for _, w := range watchers {
		for _, tr := range w.tracks {
			for tr.feed() && tr.count.Load() < want[tr.at] && !w.ended.Load() && time.Now().Before(until) {
				if !sleep(ctx, pollingTime) {
					return
				}
			}
		}
	}
}

// lateness is how long to wait for what is still to be delivered.
func (t *target) lateness() time.Duration {
	if t.late != 0 {
		return t.late
	}
	return lateTime
}
