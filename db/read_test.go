package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"connvo/db"
	"connvo/domain"
)

func TestReadSeesOneState(t *testing.T) {
	d := open(t)
	put(t, d, "before")
	err := d.Read(t.Context(), func(tx db.Reader) error {
		first, err := db.One(tx, db.Int, countPairs)
		if err != nil {
			return err
		}
		put(t, d, "meanwhile")
		second, err := db.One(tx, db.Int, countPairs)
		if first != 1 || second != 1 {
			t.Errorf("the transaction saw %d, then %d pairs", first, second)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, d, countPairs); n != 2 {
		t.Errorf("the next read sees %d pairs", n)
	}
}

func TestReadSeesWhatWasAcknowledged(t *testing.T) {
	d := open(t)
	for i := range 100 {
		put(t, d, fmt.Sprint(i))
		if !stored(t, d, fmt.Sprint(i)) {
			t.Fatalf("pair %d was acknowledged and is not seen", i)
		}
	}
}

func TestReadCannotWrite(t *testing.T) {
	d := open(t)
	err := d.Read(t.Context(), func(tx db.Reader) error {
		_, err := db.One(tx, db.Int, "INSERT INTO pairs (key, value) VALUES ('a', 1) RETURNING value")
		return err
	})
	if err == nil || count(t, d, countPairs) != 0 {
		t.Errorf("answered %v, %d stored", err, count(t, d, countPairs))
	}
}

func TestReadsWaitForAFreeReaderUntilTheirContextEnds(t *testing.T) {
	lanes := map[string]func(ctx context.Context, d *db.DB, f func() error) error{
		"requests": func(ctx context.Context, d *db.DB, f func() error) error {
			return d.Read(ctx, func(db.Reader) error { return f() })
		},
		"live queries": func(ctx context.Context, d *db.DB, f func() error) error {
			_, err := d.Observe(ctx, func(context.Context, int64) error { return f() })
			return err
		},
	}
	for name, read := range lanes {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { exhaust(t, read) }) })
	}
}

func exhaust(t *testing.T, read func(ctx context.Context, d *db.DB, f func() error) error) {
	const readers = 2
	d := open(t, func(o *db.Options) { o.Readers = readers })
	gate := make(chan struct{})
	entered := 0
	enter := func() error { entered++; <-gate; return nil }
	for range readers {
		go func() { _ = read(t.Context(), d, enter) }()
		synctest.Wait()
	}
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() { refused <- read(ctx, d, enter) }()
	go func() { _ = read(t.Context(), d, enter) }()
	synctest.Wait()
	if entered != readers {
		t.Errorf("%d transactions run on %d readers", entered, readers)
	}
	cancel()
	err := <-refused
	isUnavailable(t, err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("answered %v, without the cause", err)
	}
	put(t, d, "writes need no reader")
	close(gate)
	synctest.Wait()
	if entered != readers+1 {
		t.Errorf("%d of %d transactions ran in the end", entered, readers+1)
	}
}

func TestReaderIsGivenBackAfterErrorAndPanic(t *testing.T) {
	d := open(t, func(o *db.Options) { o.Readers = 1 })
	for range 3 {
		if err := d.Read(t.Context(), func(db.Reader) error { return errors.New("no") }); err == nil {
			t.Error("the error is lost")
		}
		if !panics(func() { _ = d.Read(t.Context(), func(db.Reader) error { panic("a defect") }) }) {
			t.Error("the panic is lost")
		}
		if !panics(func() {
			_ = d.Read(t.Context(), func(tx db.Reader) error {
				_, err := db.All(tx, func(db.Row) (int, error) { panic("in a scan") }, "SELECT name FROM sqlite_schema")
				return err
			})
		}) {
			t.Error("the panic of a scan is lost")
		}
	}
	if n := count(t, d, countPairs); n != 0 {
		t.Error(n)
	}
}

func TestOneAndAllScanRows(t *testing.T) {
	d := open(t)
	for i := range 3 {
		do(t, d, func(tx *db.WriteTx) error {
			_, err := tx.Exec(insertPair, fmt.Sprint("k", i), i)
			return err
		})
	}
	bad := errors.New("a row that cannot be read")
	unreadable := func(db.Row) (int64, error) { return 0, bad }
	err := d.Read(t.Context(), func(tx db.Reader) error {
		if keys, err := db.All(tx, text, "SELECT key FROM pairs ORDER BY key"); err != nil || !slices.Equal(keys, []string{"k0", "k1", "k2"}) {
			t.Errorf("All: %v, %v", keys, err)
		}
		if none, err := db.All(tx, text, "SELECT key FROM pairs WHERE key = 'none'"); err != nil || none == nil || len(none) != 0 {
			t.Errorf("All of none: %v, %v", none, err)
		}
		if v, err := db.One(tx, db.Int, selectPair, "k2"); err != nil || v != 2 {
			t.Errorf("One: %d, %v", v, err)
		}
		if _, err := db.One(tx, db.Int, selectPair, "none"); !errors.Is(err, db.ErrNone) {
			t.Errorf("One of none: %v", err)
		}
		if _, err := db.One(tx, unreadable, countPairs); !errors.Is(err, bad) {
			t.Errorf("One: %v", err)
		}
		if _, err := db.All(tx, unreadable, countPairs); !errors.Is(err, bad) {
			t.Errorf("All: %v", err)
		}
		if _, err := db.One(tx, db.Int, "SELECT nonsense"); err == nil {
			t.Error("One of a statement that cannot be prepared")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPartPagesBothWays(t *testing.T) {
	d := open(t)
	do(t, d, func(tx *db.WriteTx) error {
		for i := range int64(7) {
			if _, err := tx.Exec(insertNote, i+1, "a", "ann", ""); err != nil {
				return err
			}
		}
		_, err := tx.Exec(insertNote, 100, "b", "ann", "")
		return err
	})
	feed := db.Feed{
		After:  "SELECT seq FROM notes WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?",
		Before: "SELECT seq FROM notes WHERE topic = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
	}
	at := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		about string
		span  domain.Span
		want  []int64
		more  bool
	}{
		{"the newest", domain.Span{Limit: 3}, []int64{5, 6, 7}, true},
		{"before", domain.Span{Before: at(5), Limit: 3}, []int64{2, 3, 4}, true},
		{"before, to the start", domain.Span{Before: at(2), Limit: 3}, []int64{1}, false},
		{"after", domain.Span{After: at(0), Limit: 3}, []int64{1, 2, 3}, true},
		{"after, to the end", domain.Span{After: at(4), Limit: 3}, []int64{5, 6, 7}, false},
		{"beyond the end", domain.Span{After: at(7), Limit: 3}, nil, false},
	} {
		err := d.Read(t.Context(), func(tx db.Reader) error {
			part, err := db.Part(tx, c.span, db.Int, feed, "a")
			if !slices.Equal(part.Items, c.want) || part.More != c.more {
				t.Errorf("%s: %v, more: %v", c.about, part.Items, part.More)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", c.about, err)
		}
	}
}

func TestFullQueueOfReadsRefusesAtOnce(t *testing.T) {
	for name, lane := range map[string]struct {
		bound int
		read  func(d *db.DB, f func() error) error
	}{
		"requests": {db.MaxReadQueue, func(d *db.DB, f func() error) error {
			return d.Read(context.Background(), func(db.Reader) error { return f() })
		}},
		"live queries": {db.MaxLiveQueue, func(d *db.DB, f func() error) error {
			_, err := d.Observe(context.Background(), func(context.Context, int64) error { return f() })
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, func(o *db.Options) { o.Readers = 1 })
				gate := make(chan struct{})
				var ran atomic.Int64
				for range 1 + lane.bound {
					go func() {
						if err := lane.read(d, func() error { <-gate; ran.Add(1); return nil }); err != nil {
							t.Errorf("a waiting read: %v", err)
						}
					}()
				}
				synctest.Wait()
				isUnavailable(t, lane.read(d, func() error { return nil }))
				close(gate)
				synctest.Wait()
				if n := ran.Load(); n != int64(1+lane.bound) {
					t.Errorf("%d of %d reads ran", n, 1+lane.bound)
				}
				if err := lane.read(d, func() error { return nil }); err != nil {
					t.Errorf("the queue stays full: %v", err)
				}
			})
		})
	}
}
