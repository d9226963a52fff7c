package realtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"connvo/db"
	"connvo/domain"
)

// world is a feed and a query as a database keeps them, without a database: it
// tells both as they were at any commit, and the hub compares when the test says.
type world struct {
	engine *Engine
	log    []Item // every version of every item of the feed, by position
	states []state
	sets   []db.ChangeSet // that are not compared yet
	seen   []int64        // the commits that were compared
}

// state is the world from a commit on.
type state struct {
	commit int64
	answer string
	extra  uint64 // the row that both depend on beside their own
}

// own is the row that feed and query always depend on; it says which other they
// depend on, as a join does.
const own uint64 = 7

func newWorld() *world {
	e := &Engine{hub: stillHub(), topics: map[string]*topic{}, gate: make(chan struct{}, 1), draining: make(chan struct{})}
	return &world{engine: e, states: []state{{answer: "first"}}}
}

func (w *world) now() state { return w.states[len(w.states)-1] }

// at is the world at the commit.
func (w *world) at(commit int64) state {
	i, found := slices.BinarySearchFunc(w.states, commit, func(s state, c int64) int { return int(s.commit - c) })
	if !found {
		i--
	}
	return w.states[i]
}

// deps is what a run that reads the world as it is now depends on.
func (w *world) deps() []db.Dependency {
	return []db.Dependency{dep(1, own, nameColumn|stateColumn), dep(2, w.now().extra, nameColumn)}
}

// commit makes next the state of the world; it has changed the places.
func (w *world) commit(next state, changes ...db.Change) {
	w.states = append(w.states, next)
	w.sets = append(w.sets, db.ChangeSet{Commit: next.commit, Changes: changes})
}

// place is where a change of the feed or of the answer shows.
func (w *world) place(beside bool) db.Change {
	if beside {
		return changeOf(2, nameColumn, w.now().extra)
	}
	return changeOf(1, nameColumn, own)
}

// filler is what items are made of.
var filler = bytes.Repeat([]byte("x"), 300_000)

// itemOf is an item of about the given size, as JSON.
func itemOf(key string, position int64, size int) Item {
	data := fmt.Appendf(nil, `{"k":%q,"p":%d,"x":"`, key, position)
	return Item{Key: key, Position: position, Data: append(append(data, filler[:size]...), `"}`...)}
}

// post commits n versions of items, each of a key of its own or one there is.
func (w *world) post(n, size int, key func(i int) string, beside bool) {
	next := w.now()
	for i := range n {
		next.commit++
		w.log = append(w.log, itemOf(key(i), next.commit, size))
	}
	w.commit(next, w.place(beside))
}

// compare compares the oldest commit that waits.
func (w *world) compare() {
	if len(w.sets) > 0 {
		w.engine.hub.compare(w.sets[0], false)
		w.seen = append(w.seen, w.sets[0].Commit)
		w.sets = w.sets[1:]
	}
}

func (w *world) compareAll() {
	for len(w.sets) > 0 {
		w.compare()
	}
}

// beyond is the feed beyond a position at the commit: each item where it was
// changed last.
func (w *world) beyond(commit, position int64) (items []Item) {
	changed := map[string]bool{}
	for _, v := range slices.Backward(w.log) {
		if v.Position <= position {
			break
		}
		if v.Position <= commit && !changed[v.Key] {
			changed[v.Key] = true
			items = append(items, v)
		}
	}
	slices.Reverse(items)
	return items
}

// read is the feed as it is now, for the run of a path.
func (w *world) read(_ context.Context, span domain.Span) ([]Item, bool, error) {
	if span.After == nil {
		page := w.beyond(w.now().commit, 0)
		more := len(page) > span.Limit
		return page[max(0, len(page)-span.Limit):], more, nil
	}
	part := w.beyond(w.now().commit, *span.After)
	if len(part) > span.Limit {
		return part[:span.Limit], true, nil
	}
	return part, false, nil
}

// same reports whether two parts of the feed are the same.
func same(a, b []Item) bool {
	return slices.EqualFunc(a, b, func(a, b Item) bool {
		return a.Key == b.Key && a.Position == b.Position && bytes.Equal(a.Data, b.Data)
	})
}
