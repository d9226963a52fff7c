// Package realtime keeps the answers of queries current on open connections.
//
// A query says what it depends on by running; a commit says what it changed;
// the hub brings the two together and marks what is out of date. Nothing is
// queued for a connection: it computes what to send when it can send it.
package realtime

import (
	"sync"
	"sync/atomic"

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

// watch is one dependency of a path.
type watch struct {
	path    *path
	columns uint64
	decides bool
}

// path is one live query on one connection.
type path struct {
	wake    chan struct{} // holds one token when something was marked
	dirtyAt atomic.Int64  // the newest commit that concerned it
	urgent  atomic.Bool   // one of them may have ended the right to read
	deps    []db.Dependency
}

func newPath() *path { return &path{wake: make(chan struct{}, 1)} }

func (p *path) mark(commit int64, decides bool) {
	if decides {
		p.urgent.Store(true)
	}
	p.dirtyAt.Store(commit)
	select {
	case p.wake <- struct{}{}:
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

	mu    sync.Mutex // guards places, paths, path.deps; and orders processed
	index map[place][]watch
	paths map[*path]struct{}

	processed atomic.Int64 // every commit up to it has been compared
}

func startHub(processed int64) *hub {
	h := &hub{
		ready:    make(chan struct{}, 1),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		index:    map[place][]watch{},
		paths:    map[*path]struct{}{},
	}
	h.processed.Store(processed)
	go h.serve()
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
	h.mu.Lock()
	defer h.mu.Unlock()
	if everything {
		for p := range h.paths {
			p.mark(set.Commit, true)
		}
	}
	for _, c := range set.Changes {
		h.markAt(place{table: c.Table, whole: true}, c, set.Commit)
		for _, k := range c.Keys {
			h.markAt(place{table: c.Table, key: k}, c, set.Commit)
		}
	}
	h.processed.Store(set.Commit)
}

func (h *hub) markAt(at place, c db.Change, commit int64) {
	for _, w := range h.index[at] {
		if w.columns&c.Columns != 0 {
			w.path.mark(commit, w.decides)
		}
	}
}

// depend replaces what p depends on by what a run at the given commit has read.
// Commits between that run and now that were compared before p depended on them
// mark it at once.
func (h *hub) depend(p *path, deps []db.Dependency, commit int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if equal(p.deps, deps) {
		return
	}
	known := map[db.Dependency]struct{}{}
	for _, d := range p.deps {
		known[d] = struct{}{}
	}
	unguarded := false
	for _, d := range deps {
		if _, found := known[d]; !found {
			unguarded = true
		}
	}
	h.remove(p)
	p.deps = deps
	h.paths[p] = struct{}{}
	for _, d := range deps {
		at := placeOf(d)
		h.index[at] = append(h.index[at], watch{path: p, columns: d.Columns, decides: d.Decides})
	}
	if processed := h.processed.Load(); unguarded && processed > commit {
		p.mark(processed, true) // it may have been a decision
	}
}

// forget removes p and all it depends on.
func (h *hub) forget(p *path) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(p)
	delete(h.paths, p)
}

// remove takes p out of the index. h.mu is held.
func (h *hub) remove(p *path) {
	for _, d := range p.deps {
		at := placeOf(d)
		watches := h.index[at]
		for i := range watches {
			if watches[i].path != p {
				continue
			}
			last := len(watches) - 1
			watches[i] = watches[last]
			watches[last] = watch{}
			watches = watches[:last]
			break
		}
		if len(watches) == 0 {
			delete(h.index, at)
			continue
		}
		h.index[at] = watches
	}
	p.deps = nil
}

func placeOf(d db.Dependency) place {
	return place{table: d.Table, whole: d.Whole, key: d.Key}
}

func equal(a, b []db.Dependency) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
