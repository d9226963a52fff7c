package realtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/time/rate"

	"connvo/db"
	"connvo/domain"
)

// world is feeds and queries as a database keeps them, without a database: it
// tells them as they were at any commit, and the hub compares when the test says.
type world struct {
	engine *Engine
	feeds  [3]*feed
	states []state
	sets   []db.ChangeSet // that are not compared yet
	seen   []int64        // the commits that were compared
}

// feed is one feed of a world.
type feed struct {
	world *world
	row   uint64
	log   []Item // every version of every item, by position
}

// state is what a world is from a commit on.
type state struct {
	commit  int64
	answers [3]string
	cards   [3]string // of the people whom memory may name
	extra   uint64    // the row that everything depends on beside its own
}

// firstQuery is the row of the first query; the feeds have those before.
const firstQuery = 10

// stillEngine is an engine without a database, whose hub compares when the test
// says.
func stillEngine() *Engine {
	return &Engine{
		hub: stillHub(), gate: make(chan struct{}, 1), first: make(chan struct{}, 1), draining: make(chan struct{}), admissions: DefaultAdmissions,
		arrivals: rate.NewLimiter(DefaultAdmissions, DefaultAdmissions),
		topics:   map[string]*topic{}, asides: map[string]*aside{}, streams: map[string]*stream{}, byUser: map[domain.UserID]userStreams{},
	}
}

func newWorld() *world {
	w := &world{engine: stillEngine(), states: []state{{answers: [3]string{`"first"`, `"second"`, `"third"`}}}}
	for i := range w.feeds {
		w.feeds[i] = &feed{world: w, row: uint64(i)}
	}
	return w
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

// deps is what a run depends on that reads the world as it is now. The row of its
// own says which the other is, as a join does.
func (w *world) deps(row uint64) []db.Dependency {
	return []db.Dependency{dep(1, row, nameColumn|stateColumn), dep(2, w.now().extra, nameColumn)}
}

// commit makes next the state of the world; it has changed the places.
func (w *world) commit(next state, changes ...db.Change) {
	w.states = append(w.states, next)
	w.sets = append(w.sets, db.ChangeSet{Commit: next.commit, Changes: changes})
}

// place is where a change shows: in a row, or beside it.
func (w *world) place(row uint64, beside bool) db.Change {
	if beside {
		return changeOf(2, nameColumn, w.now().extra)
	}
	return changeOf(1, nameColumn, row)
}

// answer changes the answer of a query.
func (w *world) answer(query int, answer string, beside bool) {
	next := w.now()
	next.commit++
	next.answers[query] = answer
	w.commit(next, w.place(firstQuery+uint64(query), beside))
}

// dependOn lets everything depend on another row beside its own, which changes
// nothing else.
func (w *world) dependOn(extra uint64) {
	next := w.now()
	next.commit++
	next.extra = extra
	w.commit(next, changeOf(1, stateColumn, 0, 1, 2, firstQuery, firstQuery+1, firstQuery+2))
}

// setCard changes what the database knows of somebody.
func (w *world) setCard(person int, card string) {
	next := w.now()
	next.commit++
	next.cards[person] = card
	w.commit(next, changeOf(cardTable, nameColumn, uint64(person)))
}

// cardTable is where the cards are.
const cardTable = 4

// filler is what items are made of.
var filler = bytes.Repeat([]byte("x"), 1_000_000)

// itemOf is an item of about the given size, as JSON.
func itemOf(key string, position int64, size int) Item {
	data := fmt.Appendf(nil, `{"k":%q,"p":%d,"x":"`, key, position)
	return Item{Key: key, Position: position, Data: append(append(data, filler[:size]...), `"}`...)}
}

// post commits n versions of items, each of a key of its own or one there is.
func (f *feed) post(n, size int, key func(i int) string, beside bool) {
	next := f.world.now()
	for i := range n {
		next.commit++
		f.log = append(f.log, itemOf(key(i), next.commit, size))
	}
	f.world.commit(next, f.world.place(f.row, beside))
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
func (f *feed) beyond(commit, position int64) (items []Item) {
	changed := map[string]bool{}
	for _, v := range slices.Backward(f.log) {
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
func (f *feed) read(_ context.Context, span domain.Span) (Part, error) {
	if span.After == nil {
		page := f.beyond(f.world.now().commit, 0)
		more := len(page) > span.Limit
		return Part{Items: page[max(0, len(page)-span.Limit):], More: more}, nil
	}
	part := f.beyond(f.world.now().commit, *span.After)
	if len(part) > span.Limit {
		return Part{Items: part[:span.Limit], More: true}, nil
	}
	return Part{Items: part}, nil
}

// same reports whether two parts of the feed are the same.
func same(a, b []Item) bool {
	return slices.EqualFunc(a, b, func(a, b Item) bool {
		return a.Key == b.Key && a.Position == b.Position && bytes.Equal(a.Data, b.Data)
	})
}
