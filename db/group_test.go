package db_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/domain"
)

// smallFile is a bound in pages that tests can fill.
func smallFile(o *db.Options) { o.MaxPages = 40 }

// tooMuch is more than a small file holds.
const tooMuch = 1 << 20

func TestNeighboursOfABrokenTransactionAreRunAgain(t *testing.T) {
	cases := map[string]func(tx *db.WriteTx) error{
		"the culprit returns the error": func(tx *db.WriteTx) error {
			_, err := tx.Exec(insertBlob, tooMuch)
			return err
		},
		"the culprit overlooks the error": func(tx *db.WriteTx) error {
			_, _ = tx.Exec(insertBlob, tooMuch)
			return nil
		},
		"the culprit goes on after the error": func(tx *db.WriteTx) error {
			_, _ = tx.Exec(insertBlob, tooMuch)
			if err := inserting("late")(tx); domain.KindOf(err) != domain.Unavailable {
				return fmt.Errorf("a statement outside the transaction: %w", err)
			}
			return nil
		},
		"the culprit panics after the error": func(tx *db.WriteTx) error {
			_, _ = tx.Exec(insertBlob, tooMuch)
			panic("after all")
		},
	}
	for name, culprit := range cases {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { breakGroup(t, culprit) }) })
	}
}

func breakGroup(t *testing.T, culprit func(tx *db.WriteTx) error) {
	d := open(t, smallFile)
	var sets []db.ChangeSet
	d.OnCommit(func(s db.ChangeSet) { sets = append(sets, s) })
	release := hold(t, d)
	runs := map[string]int{}
	counting := func(key string) func(*db.WriteTx) error {
		return func(tx *db.WriteTx) error { runs[key]++; return inserting(key)(tx) }
	}
	first, second := begin(t.Context(), d, counting("first")), begin(t.Context(), d, counting("second"))
	refused := begin(t.Context(), d, func(tx *db.WriteTx) error {
		runs["refused"]++
		_ = inserting("refused")(tx)
		return domain.Fail(domain.Conflict, "no")
	})
	broken := begin(t.Context(), d, culprit)
	last := begin(t.Context(), d, counting("last"))
	release()

	isUnavailable(t, broken.err)
	if domain.KindOf(refused.err) != domain.Conflict {
		t.Errorf("a refused neighbour was answered %v", refused.err)
	}
	for key, a := range map[string]*answer{"first": first, "second": second, "last": last} {
		if a.err != nil || !stored(t, d, key) {
			t.Errorf("%s was answered %v, stored: %v", key, a.err, stored(t, d, key))
		}
	}
	if stored(t, d, "late") || stored(t, d, "refused") || count(t, d, "SELECT count(*) FROM blobs") != 0 {
		t.Error("something of a refused write is stored")
	}
	if runs["first"] != 2 || runs["second"] != 2 || runs["refused"] != 2 || runs["last"] != 1 {
		t.Errorf("runs: %v, want each neighbour twice, the next group once", runs)
	}
	// Each alone: one commit for each, and none for what was undone.
	if len(sets) != 3 {
		t.Fatalf("%d commits, want 3", len(sets))
	}
	for i, s := range sets {
		if len(s.Changes) != 1 || s.Commit != int64(i)+1 {
			t.Errorf("commit %d has %d changes", s.Commit, len(s.Changes))
		}
	}
}

// deferred is a schema that the product must not have: its foreign key lets
// every statement pass and then fails the COMMIT.
const deferred = schema + `
CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE children (
  id     INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
`

func TestFailedCommitStoresNothingAndAnswersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, func(o *db.Options) { o.Schema = deferred })
		var published int
		d.OnCommit(func(db.ChangeSet) { published++ })
		put(t, d, "before")
		committed := d.Committed()
		release := hold(t, d)
		answers := []*answer{
			begin(t.Context(), d, inserting("neighbour")),
			begin(t.Context(), d, func(*db.WriteTx) error { return domain.Fail(domain.Conflict, "no") }),
			begin(t.Context(), d, func(tx *db.WriteTx) error {
				_, err := tx.Exec("INSERT INTO children (parent) VALUES (1)")
				return err
			}),
			begin(t.Context(), d, func(*db.WriteTx) error { return nil }),
		}
		release()
		for _, a := range answers {
			isUnavailable(t, a.err)
		}
		if stored(t, d, "neighbour") || count(t, d, "SELECT count(*) FROM children") != 0 {
			t.Error("a commit that failed stored something")
		}
		if published != 1 || d.Committed() != committed {
			t.Errorf("%d commits were published, the last is %d", published, d.Committed())
		}
		var newest int64
		do(t, d, func(tx *db.WriteTx) error { newest = tx.Number(); return nil })
		if newest != committed {
			t.Errorf("the newest number is %d, of a commit that failed; want %d", newest, committed)
		}
		put(t, d, "after")
		if !stored(t, d, "after") {
			t.Error("the writer did not recover")
		}
	})
}

func TestBatchEndsAtItsSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		var sizes []int
		d.OnCommit(func(s db.ChangeSet) { sizes = append(sizes, len(s.Changes)) })
		release := hold(t, d)
		enqueue(t, 2*db.MaxBatch, func(i int) error { return d.Write(t.Context(), inserting(fmt.Sprint(i))) })
		release()
		// The holding closure is one of the first group and changes nothing.
		if want := []int{db.MaxBatch - 1, db.MaxBatch, 1}; !slices.Equal(sizes, want) {
			t.Errorf("groups of %v, want %v", sizes, want)
		}
	})
}

func TestBatchEndsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		var sizes []int
		d.OnCommit(func(s db.ChangeSet) { sizes = append(sizes, len(s.Changes)) })
		release := hold(t, d)
		enqueue(t, 10, func(i int) error {
			return d.Write(t.Context(), func(tx *db.WriteTx) error {
				time.Sleep(3 * time.Millisecond) // of the bubble's clock
				return inserting(fmt.Sprint(i))(tx)
			})
		})
		release()
		time.Sleep(time.Second)
		synctest.Wait()
		if want := []int{4, 4, 2}; !slices.Equal(sizes, want) {
			t.Errorf("groups of %v, want %v: each ends after 10 ms", sizes, want)
		}
	})
}

func TestSecondLaneHasOneTurnInEachFullGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		var jobs []bool // whether each group has one
		d.OnCommit(func(s db.ChangeSet) { jobs = append(jobs, s.Has("topics")) })
		release := hold(t, d)
		enqueue(t, 3*db.MaxBatch-1, func(i int) error { return d.Write(t.Context(), inserting(fmt.Sprint(i))) })
		enqueue(t, 2, func(i int) error {
			return d.WriteBackground(t.Context(), func(tx *db.WriteTx) error {
				_, err := tx.Exec(insertTopic, fmt.Sprint(i), "")
				return err
			})
		})
		release()
		if len(jobs) < 3 || !jobs[0] || !jobs[1] || slices.Contains(jobs[2:], true) {
			t.Errorf("groups with a job: %v, want the first two of at least three", jobs)
		}
	})
}

func TestGroupThatAJobBeganTakesNoSecondJobOnceFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		var jobs []bool // whether each group has a second one
		d.OnCommit(func(s db.ChangeSet) { jobs = append(jobs, s.Has("topics")) })
		gate := make(chan struct{})
		go func() {
			if err := d.WriteBackground(t.Context(), func(*db.WriteTx) error { <-gate; return nil }); err != nil {
				t.Errorf("the first job: %v", err)
			}
		}()
		synctest.Wait()
		enqueue(t, db.MaxBatch, func(i int) error { return d.Write(t.Context(), inserting(fmt.Sprint(i))) })
		enqueue(t, 1, func(int) error {
			return d.WriteBackground(t.Context(), func(tx *db.WriteTx) error {
				_, err := tx.Exec(insertTopic, "job", "")
				return err
			})
		})
		close(gate)
		synctest.Wait()
		if want := []bool{false, true}; !slices.Equal(jobs, want) {
			t.Errorf("groups with a second job: %v, want %v", jobs, want)
		}
	})
}

func TestSecondLaneIsServedWhenNobodyElseWaits(t *testing.T) {
	d := open(t)
	if err := d.WriteBackground(t.Context(), inserting("job")); err != nil {
		t.Fatal(err)
	}
	if !stored(t, d, "job") {
		t.Error("the job's write is not stored")
	}
}

// enqueue starts n writes and returns when all of them wait.
func enqueue(t *testing.T, n int, write func(i int) error) {
	t.Helper()
	for i := range n {
		go func() {
			if err := write(i); err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		}()
	}
	synctest.Wait()
}
