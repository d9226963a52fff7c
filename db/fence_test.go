package db_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

// TestFenceIsAskedBeforeAndAfterEachCommit: what it refuses before is undone, and what
// it refuses after is stored and not promised.
func TestFenceIsAskedBeforeAndAfterEachCommit(t *testing.T) {
	d := dbtest.Open(t)
	put := func(tx *db.WriteTx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('key', 'value')`)
		return err
	}
	nothing := func(*db.WriteTx) error { return nil }
	var lets atomic.Int64 // how often more it lets through, set by who is about to be asked about
	d.Fence(func() error {
		if lets.Add(-1) >= 0 {
			return nil
		}
		return domain.Fail(domain.Unavailable, "fenced")
	})
	for _, c := range []struct {
		name       string
		lets       int64
		background bool
		run        func(*db.WriteTx) error
		stored     bool
		confirmed  bool
	}{
		{"allowed", 2, false, put, true, true},
		{"refused before", 0, false, put, false, false},
		{"refused after", 1, false, put, true, false},
		{"a job refused before", 0, true, put, false, false},
		{"a job refused after", 1, true, put, true, true},
		{"nothing is changed", 1, false, nothing, false, true},
		{"nothing is changed, and refused", 0, false, nothing, false, false},
	} {
		before := last(t, d)
		write := d.Write
		if c.background {
			write = d.WriteBackground
		}
		err := write(t.Context(), func(tx *db.WriteTx) error {
			lets.Store(c.lets)
			return c.run(tx)
		})
		u, unconfirmed := errors.AsType[*db.UnconfirmedError](err)
		switch after := last(t, d); {
		case lets.Load() > 0:
			t.Errorf("%s: it was not asked", c.name)
		case (err == nil) != c.confirmed || (after > before) != c.stored:
			t.Errorf("%s: %v, %d after %d", c.name, err, after, before)
		case err != nil && domain.KindOf(err) != domain.Unavailable:
			t.Errorf("%s: %v", c.name, err)
		case unconfirmed != (c.stored && !c.confirmed) || (unconfirmed && u.Commit != after):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	refused := errors.New("refused by itself")
	if err := d.Write(t.Context(), func(tx *db.WriteTx) error { lets.Store(1); return errors.Join(put(tx), refused) }); !errors.Is(err, refused) {
		t.Error(err)
	}
}

// last returns the last number that is stored.
func last(t *testing.T, d *db.DB) int64 {
	t.Helper()
	i, err := d.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i.Last
}

// TestNobodyIsToldWhatTheFenceHasNotLetThrough, neither by itself nor with what follows,
// until it does.
func TestNobodyIsToldWhatTheFenceHasNotLetThrough(t *testing.T) {
	d := dbtest.Open(t)
	told := make(chan int64, 10)
	d.OnCommit(func(set db.ChangeSet) { told <- set.Commit })
	var lets atomic.Int64
	d.Fence(func() error {
		if lets.Add(-1) >= 0 {
			return nil
		}
		return domain.Fail(domain.Unavailable, "fenced")
	})
	put := func() error {
		return d.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('key', 'value')`)
			return err
		})
	}
	for _, alone := range []bool{true, false} {
		before := d.Committed()
		lets.Store(1) // before the commit, and not after it
		u, unconfirmed := errors.AsType[*db.UnconfirmedError](put())
		if !unconfirmed || u.Commit <= before {
			t.Fatalf("%+v, after %d", u, before)
		}
		if err := put(); domain.KindOf(err) != domain.Unavailable {
			t.Error(err)
		}
		if n := len(told); n != 0 || d.Committed() != before {
			t.Errorf("%d commits were told of, up to %d", n, d.Committed())
		}
		lets.Store(1 << 20)
		if !alone {
			if err := put(); err != nil {
				t.Error(err)
			}
		}
		if n := <-told; n != u.Commit {
			t.Errorf("%d was told, want %d", n, u.Commit)
		}
		if !alone {
			if n := <-told; n <= u.Commit || d.Committed() != n {
				t.Errorf("%d was told after %d", n, u.Commit)
			}
		}
	}
}
