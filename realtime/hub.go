// Package realtime keeps the answers of queries current on open connections.
//
// A query says what it depends on by running; a commit says what it changed;
// the hub brings the two together and marks what is out of date. Nothing is
// queued for a connection: it computes what to send when it can send it.
package realtime

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connvo/db"
)

// maxPending is how many commits may wait to be compared with what is watched;
// beyond it they are forgotten and everything counts as out of date.
const maxPending = 4096

// place is where a dependency and a change meet: a table as a whole, or one
// value of one of its key columns.
type place struct {
	table uint16
	whole bool
	key   db.Key
}

// watch is one dependency of what is watched.
type watch struct {
	by      *watched
	columns uint64
}

// watched is a set of dependencies and the connections that are told when a
// commit concerns one of them.
type watched struct {
	dirtyAt atomic.Int64    // the newest commit that concerned it
	deps    []db.Dependency // guarded by hub.mu
	depsAt  int64           // guarded by hub.mu: the newest commit at which deps were read
	since   int64           // guarded by hub.mu: every commit beyond it that concerned deps has marked
	readers []*reader       // guarded by hub.mu
}

// mark notes that the commit concerns w and wakes who reads it.
func (w *watched) mark(commit int64, now time.Time) {
	w.dirtyAt.Store(max(commit, w.dirtyAt.Load()))
	for _, r := range w.readers {
		r.bell.ring(now)
	}
}

// reader is one connection's place in the list of a watched.
type reader struct {
	bell *bell
	at   int // its index in watched.readers, guarded by hub.mu
}

// bell wakes the goroutine of a connection, and remembers since when.
type bell struct {
	rung  chan struct{} // holds one token when something was marked
	since atomic.Int64  // Unix nanoseconds of the first mark that is not served; 0 when there is none
}

func newBell() *bell { return &bell{rung: make(chan struct{}, 1)} }

// ring wakes for a commit.
func (b *bell) ring(now time.Time) {
	b.since.CompareAndSwap(0, now.UnixNano())
	b.wake()
}

// wake wakes for anything else.
func (b *bell) wake() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// hub knows who depends on what. Commits are compared in a goroutine of its
// own, so that the writer never waits for the watched.
type hub struct {
	pendingMu sync.Mutex
	pending   []db.ChangeSet // guarded by pendingMu
	overflow  bool           // guarded by pendingMu: some were forgotten
	ready     chan struct{}
	stopping  chan struct{}
	stopped   chan struct{}

	mu       sync.Mutex // guards index, all, what watched says; and orders processed
	index    map[place][]watch
	all      map[*watched]struct{}
	compared chan struct{} // guarded by mu: closed at the next comparison; nil while nobody waits

	processed atomic.Int64 // every commit up to it has been compared
}

func newHub(processed int64) *hub {
	h := &hub{
		ready:    make(chan struct{}, 1),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		index:    map[place][]watch{},
		all:      map[*watched]struct{}{},
	}
	h.processed.Store(processed)
	return h
}

// stop ends the goroutine; nothing is marked any more.
func (h *hub) stop() {
	close(h.stopping)
	<-h.stopped
}

// publish takes what a commit changed. It is called by the writer, in order.
func (h *hub) publish(set db.ChangeSet) {
	h.pendingMu.Lock()
	if len(h.pending) >= maxPending {
		h.pending, h.overflow = h.pending[:0], true
	}
	h.pending = append(h.pending, set)
	h.pendingMu.Unlock()
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

func (h *hub) serve() {
	defer close(h.stopped)
	for {
		select {
		case <-h.stopping:
			return
		case <-h.ready:
		}
		h.pendingMu.Lock()
		sets, overflow := h.pending, h.overflow
		h.pending, h.overflow = nil, false
		h.pendingMu.Unlock()
		for _, set := range sets {
			h.compare(set, overflow)
			overflow = false
		}
	}
}

// compare marks what the commit concerns: everything, when commits before it
// were forgotten.
func (h *hub) compare(set db.ChangeSet, everything bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if everything {
		for w := range h.all {
			w.mark(set.Commit, now)
		}
	}
	for _, c := range set.Changes {
		h.markAt(place{table: c.Table, whole: true}, c, set.Commit, now)
		for _, k := range c.Keys {
			h.markAt(place{table: c.Table, key: k}, c, set.Commit, now)
		}
	}
	h.processed.Store(set.Commit)
	if h.compared != nil {
		close(h.compared)
		h.compared = nil
	}
}

func (h *hub) markAt(at place, c db.Change, commit int64, now time.Time) {
	for _, w := range h.index[at] {
		// Several rows of one commit may concern it; it is marked once.
		if w.columns&c.Columns != 0 && w.by.dirtyAt.Load() < commit {
			w.by.mark(commit, now)
		}
	}
}

// await waits until every commit up to the given one has been compared.
func (h *hub) await(ctx context.Context, commit int64) error {
	for h.processed.Load() < commit {
		h.mu.Lock()
		if h.processed.Load() >= commit {
			h.mu.Unlock()
			return nil
		}
		if h.compared == nil {
			h.compared = make(chan struct{})
		}
		compared := h.compared
		h.mu.Unlock()
		select {
		case <-compared:
		case <-h.stopping:
			return errDraining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join adds r to those whom w wakes.
func (h *hub) join(w *watched, r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.at = len(w.readers)
	w.readers = append(w.readers, r)
	h.all[w] = struct{}{}
}

// part removes r from those whom w wakes. With the last of them go the
// dependencies.
func (h *hub) part(w *watched, r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(w.readers) - 1
	w.readers[r.at] = w.readers[last]
	w.readers[r.at].at = r.at
	w.readers[last] = nil
	w.readers = w.readers[:last]
	if last == 0 {
		h.remove(w)
		delete(h.all, w)
	}
}

// registration is what became of the dependencies that a run has read.
type registration uint8

const (
	unchanged registration = iota // they were watched already
	replaced                      // they are watched from now on
	outrun                        // a newer run has read others, or came first: what has changed since this one is not known
)

// depend replaces what w depends on by what a run at the given commit has read,
// unless a newer run has read something else, or the same when nobody watched it
// yet. Commits between that run and now that were compared before w depended on
// them mark it at once; those before that run, that will no longer be compared
// with what w depended on, mark it for the others, who have not seen them.
func (h *hub) depend(w *watched, deps []db.Dependency, commit int64) registration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Equal(w.deps, deps) && commit >= w.since {
		w.depsAt = max(w.depsAt, commit)
		return unchanged
	}
	if commit < w.depsAt {
		return outrun
	}
	known := make(map[db.Dependency]struct{}, len(w.deps))
	for _, d := range w.deps {
		known[d] = struct{}{}
	}
	unguarded := slices.ContainsFunc(deps, func(d db.Dependency) bool { _, found := known[d]; return !found })
	h.remove(w)
	w.deps, w.depsAt, w.since = slices.Clone(deps), commit, commit
	for _, d := range deps {
		at := placeOf(d)
		h.index[at] = append(h.index[at], watch{by: w, columns: d.Columns})
	}
	switch processed := h.processed.Load(); {
	case unguarded && processed > commit:
		w.mark(processed, time.Now())
	case processed < commit && len(known) > 0 && len(w.readers) > 1:
		w.mark(commit, time.Now())
	}
	return replaced
}

// wake wakes who reads w, for what is no commit.
func (h *hub) wake(w *watched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range w.readers {
		r.bell.wake()
	}
}

// remove takes w out of the index. h.mu is held.
func (h *hub) remove(w *watched) {
	for _, d := range w.deps {
		at := placeOf(d)
		watches := h.index[at]
		i := slices.IndexFunc(watches, func(o watch) bool { return o.by == w })
		last := len(watches) - 1
		watches[i] = watches[last]
		watches[last] = watch{}
		if last == 0 {
			delete(h.index, at)
			continue
		}
		h.index[at] = watches[:last]
	}
	w.deps = nil
}

func placeOf(d db.Dependency) place {
	return place{table: d.Table, whole: d.Whole, key: d.Key}
}
