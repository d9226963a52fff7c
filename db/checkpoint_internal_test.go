package db

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connvo/domain"
)

const (
	// largePages is about what one write of a large pair adds to the log: the
	// text is in the table and in an index.
	largePages = 16
	// longestLog is twice what the log may hold: it ends with a whole group, and
	// a slow machine may make a reader stay too long once.
	longestLog = 2 * walRestartPages * pageSize
)

// putLarge stores one of a few large pairs again, so that the file stays small.
func putLarge(t *testing.T, d *DB, n int) {
	t.Helper()
	putPair(t, d, n, largePages/2*pageSize)
}

func putPair(t *testing.T, d *DB, n, size int) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *WriteTx) error {
		_, err := tx.Exec("INSERT OR REPLACE INTO pairs (key, rank, mark) VALUES (?, 1, zeroblob(?))", fmt.Sprint(n%10), size)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// logSize is the most that the log has held since it was last cut.
func logSize(t *testing.T, d *DB) int64 {
	t.Helper()
	n, err := size(d.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// readWhile holds a read transaction open until f returns.
func readWhile(t *testing.T, d *DB, f func()) {
	t.Helper()
	err := d.Read(t.Context(), func(tx Reader) error {
		_, err := One(tx, Int, selectSequence)
		f()
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// One of three readers holds an older state at any time, so that a copy that
// waits for none never comes to the end of the log.
func TestOverlappingReadsDoNotMakeTheLogGrow(t *testing.T) {
	d := openSmall(t, func(o *Options) { o.Readers = 3 })
	var left atomic.Int64
	left.Store(9_000)
	var readers, writers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			for left.Load() > 0 {
				readWhile(t, d, func() { time.Sleep(3 * time.Millisecond) })
			}
		})
	}
	for range 8 {
		writers.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				putPair(t, d, int(n), pageSize)
			}
		})
	}
	writers.Wait()
	readers.Wait()
	if n := logSize(t, d); n > longestLog {
		t.Errorf("the log has grown to %d MiB, more than %d", n>>20, longestLog>>20)
	}
}

// The writer gives up on a read that stays, and bounds the log when it has
// ended.
func TestLongReadDelaysWritesBrieflyOnly(t *testing.T) {
	d := openSmall(t)
	readWhile(t, d, func() {
		var longest time.Duration
		for n := range 3 * walRestartPages / largePages {
			began := time.Now()
			putLarge(t, d, n)
			longest = max(longest, time.Since(began))
		}
		if longest >= busyTimeout/2 {
			t.Errorf("a write waited %v for a reader", longest)
		}
	})
	if n := logSize(t, d); n <= walFileBytes {
		t.Fatalf("the log holds %d MiB: the read has not kept it", n>>20)
	}
	time.Sleep(walRetry)
	for n := range 3 {
		putLarge(t, d, n)
	}
	if n := logSize(t, d); n > walFileBytes {
		t.Errorf("the log still holds %d MiB after the read has ended", n>>20)
	}
}

func TestLogThatCannotBeCopiedBackIsReported(t *testing.T) {
	var log bytes.Buffer // the writer's until the database is closed
	d := openSmall(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	err := d.Write(t.Context(), func(tx *WriteTx) error { tx.w.alarmPages = 1; return nil })
	if err != nil {
		t.Fatal(err)
	}
	readWhile(t, d, func() {
		for n := range 2 * walRestartPages / largePages {
			putLarge(t, d, n)
		}
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// A slow machine comes to the next doubling before the read ends.
	if n := strings.Count(log.String(), "keeps the log from being copied back"); n < 1 || n > 2 {
		t.Errorf("reported %d times: %s", n, log.String())
	}
	if _, err := os.Stat(d.path + "-wal"); err == nil {
		t.Error("the log is left beside the closed file")
	}
}

func TestLogIsEmptiedUnlessAReadStays(t *testing.T) {
	d := openSmall(t)
	putLarge(t, d, 1)
	readWhile(t, d, func() {
		putLarge(t, d, 2)
		if err := d.EmptyLog(t.Context()); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("beside a read of an older state: %v", err)
		}
	})
	if err := d.EmptyLog(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(d.path + "-wal"); err != nil || len(b) != 0 {
		t.Errorf("%d bytes are left in the log, %v", len(b), err)
	}
	putLarge(t, d, 3)
	d.writer.stop()
	if err := d.EmptyLog(t.Context()); err == nil {
		t.Error("the log of a database that closes was emptied")
	}
}

// Copying some thousand pages takes longer than anything else that the writer does, so
// it goes on while somebody else copies.
func TestWriterGoesOnWhileTheLogIsCopiedBack(t *testing.T) {
	d := openSmall(t)
	c, err := newConn(t.Context(), d.pool)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	measure := func() (pages, copied int64) {
		t.Helper()
		_, pages, copied, err := c.checkpoint(measureLog)
		if err != nil {
			t.Fatal(err)
		}
		return pages, copied
	}
	d.writer.beside.mu.Lock() // as if it were copying
	n := 0
	for pages := int64(0); pages < walRestartPages+walPages/2; n++ {
		putLarge(t, d, n)
		pages, _ = measure()
	}
	if _, copied := measure(); copied != 0 {
		t.Errorf("the writer has copied %d pages itself", copied)
	}
	d.writer.beside.mu.Unlock()
	began := time.Now()
	for pages, copied := measure(); copied < pages; pages, copied = measure() {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the log was not copied back")
		}
	}
	putLarge(t, d, n)
	if pages, _ := measure(); pages >= walPages {
		t.Errorf("the log that was copied back has not begun anew: %d pages", pages)
	}
}
