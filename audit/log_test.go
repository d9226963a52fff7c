package audit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("close: %v", err)
	}
}

func note(t testing.TB, l *audit.Log, entries ...audit.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Note(e); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered returns n entries whose resources are their numbers, from first on.
func numbered(first, n int) []audit.Entry {
	all := make([]audit.Entry, n)
	for i := range all {
		all[i] = opened(fmt.Sprint(first + i))
	}
	return all
}

// inOrder wants the stored lines to be those of numbered(0, n).
func inOrder(t testing.TB, d *db.DB, n int) {
	t.Helper()
	all := lines(t, d, org)
	if len(all) != n {
		t.Errorf("%d lines are stored, want %d", len(all), n)
	}
	for i, l := range all {
		if l.Resource != fmt.Sprint(i) {
			t.Errorf("line %d is of entry %s", i, l.Resource)
			return
		}
	}
}

// hold keeps the writer busy until release is called.
func hold(t *testing.T, d *db.DB) (release func()) {
	t.Helper()
	held, gate, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		err := d.Write(context.WithoutCancel(t.Context()), func(*db.WriteTx) error { close(held); <-gate; return nil })
		if err != nil {
			t.Errorf("hold: %v", err)
		}
	}()
	<-held
	return func() { close(gate); <-done }
}

func TestNoteIsStoredAsItHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		defer closeLog(t, l)
		at := d.Now()
		note(t, l, full)
		time.Sleep(time.Second)
		got := lines(t, d, org)
		if len(got) != 1 || got[0].Entry != full || !got[0].At.Equal(at) {
			t.Errorf("stored %+v, want %+v of %v", got, full, at)
		}
	})
}

func TestNotesAreStoredInOrderWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		defer closeLog(t, l)
		const n = 1000
		for i, e := range numbered(0, n) {
			note(t, l, e)
			if i%100 == 99 {
				time.Sleep(30 * time.Millisecond)
			}
		}
		time.Sleep(700 * time.Millisecond) // the first came 300 ms ago
		synctest.Wait()
		inOrder(t, d, n)
		if commits := d.Stats().Commits; commits < 2 || commits > n/20 {
			t.Errorf("%d commits for %d notes", commits, n)
		}
	})
}

func TestNotesOfOneMomentShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		defer closeLog(t, l)
		for _, e := range numbered(0, 20) {
			note(t, l, e)
			time.Sleep(4 * time.Millisecond)
		}
		time.Sleep(time.Second)
		inOrder(t, d, 20)
		if commits := d.Stats().Commits; commits != 1 {
			t.Errorf("%d commits", commits)
		}
	})
}

// request is a write that is no entry.
func request(tx *db.WriteTx) error {
	_, err := tx.Exec(`INSERT INTO dev_users (email, subject, name) VALUES (?1, ?1, '')`, tx.ULID())
	return err
}

// keepBusy has n callers write requests, each one after the other, until end is
// called.
func keepBusy(t testing.TB, d *db.DB, n int) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			for ctx.Err() == nil {
				if err := d.Write(ctx, request); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("request: %v", err)
					return
				}
			}
		})
	}
	return func() { cancel(); callers.Wait() }
}

func TestNotesAreStoredWhileRequestsKeepTheWriterBusy(t *testing.T) {
	const n = 200
	d := dbtest.Open(t)
	stored := make(chan int, n) // a commit stores one entry at least
	d.OnCommit(func(set db.ChangeSet) {
		if set.Has("audit") {
			stored <- len(set.Changes)
		}
	})
	l := audit.NewLog(d, quiet)
	defer closeLog(t, l)
	defer keepBusy(t, d, 2*db.MaxBatch)()
	note(t, l, numbered(0, n)...)
	deadline := time.After(30 * time.Second) // a second, with room for a machine that does much else
	for left := n; left > 0; {
		select {
		case k := <-stored:
			left -= k
		case <-deadline:
			t.Fatalf("%d entries never arrive", left)
		}
	}
	inOrder(t, d, n)
}

func TestIdleLogDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		defer closeLog(t, l)
		time.Sleep(time.Hour)
		if s := d.Stats(); s.Closures != 0 {
			t.Errorf("%d closures before the first note", s.Closures)
		}
		note(t, l, full)
		time.Sleep(time.Hour)
		if s := d.Stats(); s.Closures != 1 || s.Commits != 1 {
			t.Errorf("one note: %+v", s)
		}
	})
}

// TestNoteKeepsNoMoreThanItsTexts: a header of which an entry has a part goes when
// the request does.
func TestNoteKeepsNoMoreThanItsTexts(t *testing.T) {
	d := dbtest.Open(t)
	l := audit.NewLog(d, quiet)
	defer closeLog(t, l)
	defer hold(t, d)()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 64 {
		e := opened(strings.Repeat("x", 1<<20)[:10])
		e.Agent = strings.Repeat("x", 1<<20)
		note(t, l, e)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+(8<<20) {
		t.Errorf("64 notes keep %d MiB", (after.HeapAlloc-before.HeapAlloc)>>20)
	}
}

func TestNotesOfManyAtOnce(t *testing.T) {
	d := dbtest.Open(t)
	l := audit.NewLog(d, quiet)
	const people, each = 50, 200
	var all sync.WaitGroup
	for p := range people {
		all.Go(func() {
			for i := range each {
				e := opened(fmt.Sprint(i))
				e.Actor = domain.UserID(fmt.Sprint("usr_", p))
				if err := l.Note(e); err != nil {
					t.Errorf("%d of %d: %v", i, p, err)
					return
				}
			}
		})
	}
	all.Wait()
	closeLog(t, l)
	next := map[domain.UserID]int{}
	for _, line := range lines(t, d, org) {
		if line.Resource != fmt.Sprint(next[line.Actor]) {
			t.Fatalf("%s: entry %s, want %d", line.Actor, line.Resource, next[line.Actor])
		}
		next[line.Actor]++
	}
	for p := range people {
		if n := next[domain.UserID(fmt.Sprint("usr_", p))]; n != each {
			t.Errorf("%d entries of %d, want %d", n, p, each)
		}
	}
}

// TestNoteWhileTheLogCloses: an entry that was accepted is stored.
func TestNoteWhileTheLogCloses(t *testing.T) {
	d := dbtest.Open(t)
	l := audit.NewLog(d, quiet)
	var all sync.WaitGroup
	var mu sync.Mutex // guards accepted
	accepted := 0
	began := make(chan struct{}, 50)
	for range 50 {
		all.Go(func() {
			for i := 0; l.Note(full) == nil; i++ {
				mu.Lock()
				accepted++
				mu.Unlock()
				if i == 0 {
					began <- struct{}{}
				}
			}
		})
	}
	<-began
	closeLog(t, l)
	all.Wait()
	if got := len(lines(t, d, org)); got != accepted {
		t.Errorf("%d lines are stored of %d that were accepted", got, accepted)
	}
}
