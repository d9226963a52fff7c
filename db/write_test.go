package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/domain"
)

// hold keeps the writer busy until release is called, so that what is written
// meanwhile waits and shares a commit. It needs a synctest bubble.
func hold(t *testing.T, d *db.DB) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	go func() {
		// It shares the fate of the group, which is for the test to look at.
		_ = d.Write(t.Context(), func(*db.WriteTx) error { <-gate; return nil })
	}()
	synctest.Wait()
	return func() { close(gate); synctest.Wait() }
}

// answer is what a write that was started in the background came to.
type answer struct {
	err  error
	done bool
}

// begin starts a write and returns when it waits in the queue.
func begin(ctx context.Context, d *db.DB, f func(*db.WriteTx) error) *answer {
	a := &answer{}
	go func() {
		err := d.Write(ctx, f)
		a.err, a.done = err, true
	}()
	synctest.Wait()
	return a
}

func TestCancellingAQueuedWriteKeepsItFromRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		release := hold(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		var ran atomic.Bool
		a := begin(ctx, d, func(tx *db.WriteTx) error {
			ran.Store(true)
			return inserting("cancelled")(tx)
		})
		cancel()
		synctest.Wait()
		if !a.done {
			t.Fatal("the caller still waits after cancelling")
		}
		isUnavailable(t, a.err)
		if !errors.Is(a.err, context.Canceled) {
			t.Errorf("answered %v, without the cause", a.err)
		}
		release()
		if ran.Load() || stored(t, d, "cancelled") {
			t.Error("the cancelled closure was run")
		}
	})
}

func TestCancellingARunningWriteChangesNothing(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Write(ctx, func(tx *db.WriteTx) error {
		if err := inserting("before")(tx); err != nil {
			return err
		}
		cancel()
		return inserting("after")(tx)
	})
	if err != nil {
		t.Fatalf("answered %v", err)
	}
	if !stored(t, d, "before") || !stored(t, d, "after") {
		t.Error("a write that was running when its caller left is not stored whole")
	}
}

func TestTransactionIsUnusableAfterItsEnd(t *testing.T) {
	d := open(t, smallFile)
	for name, f := range map[string]func(tx *db.WriteTx) error{
		"committed": inserting("stored"),
		"refused":   func(*db.WriteTx) error { return errors.New("no") },
		"panicking": func(*db.WriteTx) error { panic("a defect") },
		"undone by SQLite": func(tx *db.WriteTx) error {
			_, err := tx.Exec(insertBlob, tooMuch)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var kept *db.WriteTx
			err := d.Write(t.Context(), func(tx *db.WriteTx) error { kept = tx; return f(tx) })
			if (err == nil) != (name == "committed") {
				t.Fatal(err)
			}
			put(t, d, "next after "+name) // what kept must not become a part of
			if _, err := kept.Exec(insertPair, "late", 1); err == nil {
				t.Error("Exec ran")
			}
			if _, err := db.One(kept, db.Int, countPairs); err == nil {
				t.Error("One ran")
			}
			if err := d.Write(db.Join(t.Context(), kept), inserting("late")); err == nil {
				t.Error("a joined write ran")
			}
			for _, use := range []func(){func() { kept.Next() }, func() { kept.Number() }, func() { _ = kept.ULID() }} {
				if !panics(use) {
					t.Error("a number was taken without a panic")
				}
			}
		})
	}
	if stored(t, d, "late") {
		t.Error("a write after the end was stored")
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestReadTransactionIsUnusableAfterItsEnd(t *testing.T) {
	d := open(t)
	var kept db.Reader
	if err := d.Read(t.Context(), func(tx db.Reader) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := db.One(kept, db.Int, countPairs); err == nil {
		t.Error("a read ran after the end")
	}
}

func TestWritesCommitInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		release := hold(t, d)
		var ran []int
		var numbers []int64
		for i := range 20 {
			begin(t.Context(), d, func(tx *db.WriteTx) error {
				ran, numbers = append(ran, i), append(numbers, tx.Next())
				return nil
			})
		}
		release()
		if len(ran) != 20 || !slices.IsSorted(ran) || !slices.IsSorted(numbers) {
			t.Errorf("ran %v with numbers %v", ran, numbers)
		}
		if s := d.Stats(); s.Commits != 1 || s.Closures != 21 {
			t.Errorf("%+v, want 21 closures in one commit", s)
		}
	})
}

func TestFullQueueRefusesAtOnceAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		release := hold(t, d)
		var acknowledged atomic.Int64
		for i := range db.MaxQueue {
			go func() {
				if err := d.Write(t.Context(), inserting(fmt.Sprint(i))); err != nil {
					t.Errorf("a queued write: %v", err)
					return
				}
				acknowledged.Add(1)
			}()
		}
		synctest.Wait()
		if n := d.Stats().Queued; n != db.MaxQueue {
			t.Fatalf("%d are queued", n)
		}
		isUnavailable(t, d.Write(t.Context(), inserting("one too many")))
		release()
		if n := count(t, d, countPairs); n != db.MaxQueue || acknowledged.Load() != n {
			t.Errorf("%d stored, %d acknowledged, of %d", n, acknowledged.Load(), db.MaxQueue)
		}
	})
}

func TestFullSecondLaneRefusesJobsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		release := hold(t, d)
		for i := range db.MaxBackgroundQueue {
			go func() {
				if err := d.WriteBackground(t.Context(), inserting(fmt.Sprint(i))); err != nil {
					t.Errorf("a queued job: %v", err)
				}
			}()
		}
		synctest.Wait()
		isUnavailable(t, d.WriteBackground(t.Context(), inserting("one too many")))
		request := begin(t.Context(), d, inserting("request"))
		release()
		if request.err != nil || count(t, d, countPairs) != db.MaxBackgroundQueue+1 {
			t.Errorf("the request was answered %v, %d stored", request.err, count(t, d, countPairs))
		}
	})
}

func TestPanicIsAnsweredToItsCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		release := hold(t, d)
		first := begin(t.Context(), d, inserting("first"))
		culprit := begin(t.Context(), d, func(tx *db.WriteTx) error {
			if err := inserting("culprit")(tx); err != nil {
				return err
			}
			panic("a defect")
		})
		last := begin(t.Context(), d, inserting("last"))
		release()
		p, found := errors.AsType[*db.PanicError](culprit.err)
		if !found || p.Value != "a defect" || len(p.Stack) == 0 {
			t.Errorf("the culprit was answered %v", culprit.err)
		}
		if domain.KindOf(culprit.err) != domain.Internal {
			t.Error("a panic is shown to the caller as something else than a defect")
		}
		if first.err != nil || last.err != nil || !stored(t, d, "first") || !stored(t, d, "last") {
			t.Error("the neighbours of a panic are not stored")
		}
		if stored(t, d, "culprit") {
			t.Error("what ran before the panic is stored")
		}
	})
}

func TestDuplicateKeyIsRecognisedInOneLine(t *testing.T) {
	d := open(t)
	put(t, d, "key")
	err := d.Write(t.Context(), inserting("key"))
	if !errors.Is(err, db.ErrDuplicate) {
		t.Fatalf("answered %v", err)
	}
	isOneLine(t, err)
}

func TestWriteHasOneInstant(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 987_654_321, time.FixedZone("east", 3600))
	d := open(t, func(o *db.Options) { o.Now = func() time.Time { return at } })
	do(t, d, func(tx *db.WriteTx) error {
		if want := at.UTC().Truncate(time.Millisecond); tx.Now != want {
			t.Errorf("%v, want %v", tx.Now, want)
		}
		first, second := tx.ULID(), tx.ULID()
		if first >= second || first[:10] != second[:10] {
			t.Errorf("ULIDs of one instant are %s, %s", first, second)
		}
		return nil
	})
}

func TestDecidedAsksOnce(t *testing.T) {
	d := open(t)
	known := errors.New("the answer is known")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		asked := 0
		tx.OnDecided(func() error { asked++; return known })
		if tx.WasDecided() {
			t.Error("decided before anyone said so")
		}
		err := tx.Decided()
		if again := tx.Decided(); again != nil || asked != 1 || !tx.WasDecided() {
			t.Errorf("asked %d times, again %v", asked, again)
		}
		return err
	})
	if !errors.Is(err, known) {
		t.Errorf("answered %v", err)
	}
}

func TestClockThatJumpsBackGivesNoIDTwice(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	d := open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	given, last := map[string]bool{}, int64(0)
	for i := range 200 {
		if i == 100 {
			now = now.Add(-time.Hour)
		}
		do(t, d, func(tx *db.WriteTx) error {
			id, number := tx.ULID(), tx.Next()
			if given[id] || number <= last {
				t.Errorf("%s, %d after %d", id, number, last)
			}
			given[id], last = true, number
			return nil
		})
		now = now.Add(time.Duration(i%2) * time.Millisecond)
	}
}
