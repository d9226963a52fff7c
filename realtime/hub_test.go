package realtime

import (
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/db"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stillHub returns a hub whose goroutine does not run: the test compares.
func stillHub() *hub { return newHub(0) }

// readWatched returns a watched that one connection reads.
func readWatched(h *hub) (*watched, *reader) {
	w, r := &watched{}, &reader{bell: newBell()}
	h.join(w, r)
	return w, r
}

const nameColumn, stateColumn uint64 = 1 << 1, 1 << 2

func dep(table uint16, value uint64, columns uint64) db.Dependency {
	return db.Dependency{Table: table, Key: db.Key{Value: value}, Columns: columns}
}

func changeOf(table uint16, columns uint64, values ...uint64) db.Change {
	c := db.Change{Table: table, Columns: columns}
	for _, v := range values {
		c.Keys = append(c.Keys, db.Key{Value: v})
	}
	return c
}

func TestOnlyWhatConcernsAPathMarksIt(t *testing.T) {
	const all = ^uint64(0)
	for name, test := range map[string]struct {
		dep    db.Dependency
		change db.Change
		marked bool
	}{
		"its row and column":          {dep(1, 7, nameColumn), changeOf(1, nameColumn, 7), true},
		"another row":                 {dep(1, 7, nameColumn), changeOf(1, nameColumn, 8), false},
		"another column":              {dep(1, 7, nameColumn), changeOf(1, stateColumn, 7), false},
		"another table":               {dep(1, 7, nameColumn), changeOf(2, nameColumn, 7), false},
		"a row that comes":            {dep(1, 7, nameColumn), changeOf(1, all, 7), true},
		"a row that leaves its scope": {dep(1, 7, nameColumn|1), changeOf(1, 1, 7, 8), true},
		"a row that enters its scope": {dep(1, 8, nameColumn|1), changeOf(1, 1, 7, 8), true},
		"any row of a whole table":    {db.Dependency{Table: 1, Whole: true, Columns: nameColumn}, changeOf(1, nameColumn, 8), true},
	} {
		t.Run(name, func(t *testing.T) {
			h := stillHub()
			p, r := readWatched(h)
			h.depend(p, []db.Dependency{test.dep}, 1)
			h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{test.change}}, false)
			if marked := p.dirtyAt.Load() == 2; marked != test.marked {
				t.Errorf("marked %v, want %v", marked, test.marked)
			}
			if rung := len(r.bell.rung) == 1 && r.bell.since.Load() > 0; rung != test.marked {
				t.Errorf("woken %v, want %v", rung, test.marked)
			}
			if h.processed.Load() != 2 {
				t.Errorf("processed %d", h.processed.Load())
			}
		})
	}
}

// What is known at an older commit than what is watched already, and differs,
// is not watched.
func TestAnOlderRunDoesNotReplaceANewerOne(t *testing.T) {
	h := stillHub()
	p, _ := readWatched(h)
	if got := h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 5); got != replaced {
		t.Errorf("the first run: %d", got)
	}
	if got := h.depend(p, []db.Dependency{dep(1, 8, nameColumn)}, 4); got != outrun {
		t.Errorf("an older run that has read something else: %d", got)
	}
	if got := h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 6); got != unchanged {
		t.Errorf("a newer run that has read the same: %d", got)
	}
	if got := h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 5); got != unchanged {
		t.Errorf("an older run that has read the same, since it is watched: %d", got)
	}
	h.compare(db.ChangeSet{Commit: 7, Changes: []db.Change{changeOf(1, nameColumn, 8)}}, false)
	if p.dirtyAt.Load() != 0 {
		t.Error("marked by what only the older run has read")
	}
}

// A commit that is compared between the run of a query and its registration
// must not be missed.
func TestACommitBetweenReadingAndWatchingMarks(t *testing.T) {
	h := stillHub()
	p, _ := readWatched(h)
	h.compare(db.ChangeSet{Commit: 5, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 4)
	if p.dirtyAt.Load() != 5 {
		t.Errorf("marked at %d, want 5", p.dirtyAt.Load())
	}
	// The same dependencies were watched all the time: nothing was missed.
	h.compare(db.ChangeSet{Commit: 6, Changes: []db.Change{changeOf(1, nameColumn, 8)}}, false)
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 5)
	if p.dirtyAt.Load() != 5 {
		t.Errorf("marked at %d without reason", p.dirtyAt.Load())
	}
}

// Two begin to follow the same: the one that has read first is registered last.
// What was committed between the two has marked nobody, since nobody watched.
func TestARunFromBeforeTheWatchingIsRepeated(t *testing.T) {
	h := stillHub()
	p, _ := readWatched(h)
	deps := []db.Dependency{dep(1, 7, nameColumn)}
	h.compare(db.ChangeSet{Commit: 5, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if got := h.depend(p, deps, 5); got != replaced {
		t.Errorf("the first to be registered: %d", got)
	}
	if got := h.depend(p, deps, 4); got != outrun || p.dirtyAt.Load() != 0 {
		t.Errorf("who has not seen commit 5: %d, marked at %d", got, p.dirtyAt.Load())
	}
}

// One of two readers has run ahead of the comparing and depends on something else
// now. Commits that are compared only then concern what the other has read.
func TestWhoIsBehindOtherDependenciesLooksAgain(t *testing.T) {
	h := stillHub()
	p, _ := readWatched(h)
	h.join(p, &reader{bell: newBell()})
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 0)
	h.depend(p, []db.Dependency{dep(1, 8, nameColumn)}, 5)
	h.compare(db.ChangeSet{Commit: 4, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if p.dirtyAt.Load() != 5 {
		t.Errorf("who has read at 3 has nothing to do: marked at %d, want 5", p.dirtyAt.Load())
	}
	h.compare(db.ChangeSet{Commit: 4}, true)
	if p.dirtyAt.Load() != 5 {
		t.Errorf("marked at %d by a commit before", p.dirtyAt.Load())
	}
}

func TestForgottenCommitsMarkEverything(t *testing.T) {
	h := stillHub()
	p, _ := readWatched(h)
	h.ready = make(chan struct{}, 1)
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn)}, 1)
	for i := range maxPending + 1 {
		h.publish(db.ChangeSet{Commit: int64(i + 2)})
	}
	if !h.overflow || len(h.pending) != 1 {
		t.Fatalf("overflow %v, %d pending", h.overflow, len(h.pending))
	}
	h.compare(h.pending[0], h.overflow)
	if p.dirtyAt.Load() != maxPending+2 {
		t.Errorf("marked at %d", p.dirtyAt.Load())
	}
}

func TestWhatNobodyReadsLeavesNothing(t *testing.T) {
	h := stillHub()
	h.processed.Store(1)
	p, r := readWatched(h)
	q, other := readWatched(h)
	second := &reader{bell: newBell()}
	h.join(p, second)
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn), dep(1, 8, nameColumn)}, 1)
	h.depend(q, []db.Dependency{dep(1, 7, nameColumn)}, 1)
	h.part(p, r)
	if len(h.index) != 2 {
		t.Error("its dependencies went with the first of its two readers")
	}
	h.part(p, second)
	h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if p.dirtyAt.Load() != 0 || q.dirtyAt.Load() != 2 || len(r.bell.rung)+len(second.bell.rung) > 0 {
		t.Errorf("marked at %d and %d", p.dirtyAt.Load(), q.dirtyAt.Load())
	}
	h.part(q, other)
	if len(h.index) != 0 || len(h.all) != 0 {
		t.Errorf("%d places and %d watched are left", len(h.index), len(h.all))
	}
}

// The index against the plain definition of what concerns what.
func TestIndexAgreesWithTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := stillHub()
		drawDep := rapid.Custom(func(t *rapid.T) db.Dependency {
			d := dep(rapid.Uint16Range(0, 2).Draw(t, "table"), rapid.Uint64Range(0, 3).Draw(t, "value"), rapid.Uint64Range(1, 7).Draw(t, "columns"))
			if d.Whole = rapid.Bool().Draw(t, "whole"); d.Whole {
				d.Key = db.Key{}
			}
			return d
		})
		deps := map[*watched][]db.Dependency{}
		readers := map[*watched]*reader{}
		var paths []*watched
		for range rapid.IntRange(1, 6).Draw(t, "paths") {
			p, r := readWatched(h)
			paths, readers[p] = append(paths, p), r
		}
		for commit := int64(1); commit < 30; commit++ {
			p := paths[rapid.IntRange(0, len(paths)-1).Draw(t, "path")]
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0:
				deps[p] = rapid.SliceOfNDistinct(drawDep, 0, 4, func(d db.Dependency) place { return placeOf(d) }).Draw(t, "deps")
				h.depend(p, deps[p], commit)
			case 1:
				h.part(p, readers[p])
				h.join(p, readers[p])
				delete(deps, p)
			default:
				c := changeOf(rapid.Uint16Range(0, 2).Draw(t, "table"), rapid.Uint64Range(1, 7).Draw(t, "columns"),
					rapid.SliceOfNDistinct(rapid.Uint64Range(0, 3), 1, 2, rapid.ID[uint64]).Draw(t, "keys")...)
				for _, p := range paths {
					p.dirtyAt.Store(0)
				}
				h.compare(db.ChangeSet{Commit: commit, Changes: []db.Change{c}}, false)
				for i, p := range paths {
					if marked := p.dirtyAt.Load() != 0; marked != concerned(deps[p], c) {
						t.Fatalf("path %d with %+v: marked %v by %+v", i, deps[p], marked, c)
					}
				}
			}
		}
	})
}

func concerned(deps []db.Dependency, c db.Change) bool {
	for _, d := range deps {
		if d.Table != c.Table || d.Columns&c.Columns == 0 {
			continue
		}
		if d.Whole {
			return true
		}
		for _, k := range c.Keys {
			if k == d.Key {
				return true
			}
		}
	}
	return false
}
