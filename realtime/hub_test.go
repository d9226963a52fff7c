package realtime

import (
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/db"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stillHub returns a hub whose goroutine does not run: the test compares.
func stillHub() *hub { return &hub{index: map[place][]watch{}, paths: map[*path]struct{}{}} }

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
			h, p := stillHub(), newPath()
			h.depend(p, []db.Dependency{test.dep}, 1)
			h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{test.change}}, false)
			if marked := p.dirtyAt.Load() == 2; marked != test.marked {
				t.Errorf("marked %v, want %v", marked, test.marked)
			}
			if h.processed.Load() != 2 {
				t.Errorf("processed %d", h.processed.Load())
			}
		})
	}
}

// A row that is read for both is watched twice, and forgotten twice.
func TestADecisionAndDataOnOneRow(t *testing.T) {
	h, p := stillHub(), newPath()
	decision := dep(1, 7, stateColumn)
	decision.Decides = true
	h.depend(p, []db.Dependency{decision, dep(1, 7, nameColumn)}, 1)
	h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if p.urgent.Load() || p.dirtyAt.Load() != 2 {
		t.Errorf("urgent %v, marked at %d by a change of data", p.urgent.Load(), p.dirtyAt.Load())
	}
	h.compare(db.ChangeSet{Commit: 3, Changes: []db.Change{changeOf(1, stateColumn, 7)}}, false)
	if !p.urgent.Load() {
		t.Error("not urgent after a change of rights")
	}
	h.forget(p)
	if len(h.index) != 0 {
		t.Errorf("%d places are left", len(h.index))
	}
}

func TestOnlyADecisionIsUrgent(t *testing.T) {
	h, p := stillHub(), newPath()
	decision := dep(2, 1, nameColumn)
	decision.Decides = true
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn), decision}, 1)
	h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if p.urgent.Load() {
		t.Error("a change of data is urgent")
	}
	h.compare(db.ChangeSet{Commit: 3, Changes: []db.Change{changeOf(2, nameColumn, 1)}}, false)
	if !p.urgent.Load() {
		t.Error("a change of rights is not urgent")
	}
}

// A commit that is compared between the run of a query and its registration
// must not be missed.
func TestACommitBetweenReadingAndWatchingMarks(t *testing.T) {
	h, p := stillHub(), newPath()
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

func TestForgottenCommitsMarkEverything(t *testing.T) {
	h, p := stillHub(), newPath()
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

func TestAForgottenPathLeavesNothing(t *testing.T) {
	h, p, q := stillHub(), newPath(), newPath()
	h.depend(p, []db.Dependency{dep(1, 7, nameColumn), dep(1, 8, nameColumn)}, 1)
	h.depend(q, []db.Dependency{dep(1, 7, nameColumn)}, 1)
	h.forget(p)
	h.compare(db.ChangeSet{Commit: 2, Changes: []db.Change{changeOf(1, nameColumn, 7)}}, false)
	if p.dirtyAt.Load() != 0 || q.dirtyAt.Load() != 2 {
		t.Errorf("marked at %d and %d", p.dirtyAt.Load(), q.dirtyAt.Load())
	}
	h.forget(q)
	if len(h.index) != 0 || len(h.paths) != 0 {
		t.Errorf("%d places and %d paths are left", len(h.index), len(h.paths))
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
		deps := map[*path][]db.Dependency{}
		var paths []*path
		for range rapid.IntRange(1, 6).Draw(t, "paths") {
			p := newPath()
			paths = append(paths, p)
		}
		for commit := int64(1); commit < 30; commit++ {
			p := paths[rapid.IntRange(0, len(paths)-1).Draw(t, "path")]
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0:
				deps[p] = rapid.SliceOfNDistinct(drawDep, 0, 4, func(d db.Dependency) place { return placeOf(d) }).Draw(t, "deps")
				h.depend(p, deps[p], commit)
			case 1:
				h.forget(p)
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
