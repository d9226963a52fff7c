package db_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"connvo/db"
)

func TestClosedDatabaseAnswersUnavailable(t *testing.T) {
	d, err := db.Open(t.Context(), options(filepath.Join(t.TempDir(), "test.db")))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	never := errors.New("a closure was run")
	for name, err := range map[string]error{
		"Write":           d.Write(t.Context(), func(*db.WriteTx) error { return never }),
		"WriteBackground": d.WriteBackground(t.Context(), func(*db.WriteTx) error { return never }),
		"Read":            d.Read(t.Context(), func(db.Reader) error { return never }),
		"Observe":         observeError(t.Context(), d, never),
	} {
		t.Run(name, func(t *testing.T) {
			isUnavailable(t, err)
			if !errors.Is(err, db.ErrClosed) || errors.Is(err, never) {
				t.Errorf("answered %v", err)
			}
		})
	}
}

func observeError(ctx context.Context, d *db.DB, result error) error {
	_, err := d.Observe(ctx, func(context.Context, int64) error { return result })
	return err
}

func TestCloseAnswersWhatIsQueuedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		d, err := db.Open(t.Context(), options(path))
		if err != nil {
			t.Fatal(err)
		}
		release := hold(t, d)
		var answered atomic.Int64
		const queued = db.MaxBatch + 10
		enqueue(t, queued, func(i int) error {
			defer answered.Add(1)
			return d.Write(t.Context(), inserting(fmt.Sprint(i)))
		})
		enqueue(t, 10, func(i int) error {
			defer answered.Add(1)
			return d.WriteBackground(t.Context(), inserting(fmt.Sprint("job", i)))
		})
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		synctest.Wait()
		isUnavailable(t, d.Write(t.Context(), inserting("late")))
		release()
		if err := <-closed; err != nil {
			t.Fatalf("close: %v", err)
		}
		if answered.Load() != queued+10 {
			t.Errorf("%d of %d are answered", answered.Load(), queued+10)
		}
		again, err := db.Open(t.Context(), options(path))
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, again, countPairs); n != queued+10 {
			t.Errorf("%d of %d are stored", n, queued+10)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWaitsForOpenReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := db.Open(t.Context(), options(filepath.Join(t.TempDir(), "test.db")))
		if err != nil {
			t.Fatal(err)
		}
		gate, read := make(chan struct{}), make(chan error, 1)
		go func() {
			read <- d.Read(t.Context(), func(tx db.Reader) error {
				<-gate
				_, err := db.One(tx, db.Int, countPairs)
				return err
			})
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed under an open read")
		default:
		}
		close(gate)
		if err := <-read; err != nil {
			t.Errorf("the open read: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
	})
}
