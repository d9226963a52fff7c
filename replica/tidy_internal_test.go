package replica

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
	_ "modernc.org/sqlite"
)

// source is a database that is copied.
type source struct {
	t         *testing.T
	db        *sql.DB
	replica   *Replica
	place     string
	committed atomic.Int64
	attached  chan func(context.Context) error
	asked     atomic.Int64 // how often the replica was asked for files
}

// newSource begins to copy a database, once it and its replica are prepared.
func newSource(t *testing.T, prepare ...func(target Target, path string)) *source {
	t.Helper()
	s := &source{t: t, place: t.TempDir(), attached: make(chan func(context.Context) error, 1)}
	path := filepath.Join(t.TempDir(), "source.db")
	var err error
	if s.db, err = sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint(0)&_pragma=busy_timeout(10000)"); err != nil {
		t.Fatal(err)
	}
	s.exec(`CREATE TABLE t (x)`)
	target, err := ParseTarget("file://" + s.place)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(target, path)
	}
	if s.replica, err = New(target, path, slog.New(slog.DiscardHandler), Options{}); err != nil {
		t.Fatal(err)
	}
	err = s.replica.Start(t.Context(), Source{ID: "source", Committed: s.committed.Load, Attach: func(f func(context.Context) error) { s.attached <- f }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.replica.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *source) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.db.ExecContext(s.t.Context(), query, args...); err != nil {
		s.t.Fatal(err)
	}
	s.committed.Add(1)
}

// write stores something and returns the transaction that the replica holds it in.
func (s *source) write() uint64 {
	s.t.Helper()
	s.exec(`INSERT INTO t VALUES (?)`, s.committed.Load())
	if err := s.replica.Sync(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return uint64(s.replica.db.Replica.Pos().TXID)
}

// levels returns how many files each level has.
func (s *source) levels() (n [snapshots + 1]int) {
	s.t.Helper()
	for level := range n {
		files, err := collect(s.t.Context(), s.replica.client, level)
		if err != nil {
			s.t.Fatal(err)
		}
		n[level] = len(files)
	}
	return n
}

// stopTidying ends what runs besides, so that a test tidies by its own clock.
func (s *source) stopTidying() *keeper {
	s.t.Helper()
	s.replica.stop()
	s.replica.ended.Wait()
	s.replica.client = asked{s.replica.client, &s.asked}
	s.replica.db.Replica.Client = s.replica.client
	ctx, stop := context.WithCancel(s.t.Context())
	s.replica.stop = stop
	s.replica.ended.Go(func() { s.replica.sync(ctx) })
	return &keeper{r: s.replica, due: make([]time.Time, len(merges)), merged: make([]uint64, len(merges)), singles: time.Now()}
}

// asked counts what is asked of a replica.
type asked struct {
	litestream.ReplicaClient
	n *atomic.Int64
}

func (c asked) LTXFiles(ctx context.Context, level int, seek ltx.TXID, useMetadata bool) (ltx.FileIterator, error) {
	c.n.Add(1)
	return c.ReplicaClient.LTXFiles(ctx, level, seek, useMetadata)
}

// TestFilesAreMergedAndPastTheirTimeDeleted, and what is left can be restored.
func TestFilesAreMergedAndPastTheirTimeDeleted(t *testing.T) {
	s := newSource(t)
	k := s.stopTidying()
	keep := func(now time.Time, newest uint64) {
		t.Helper()
		if err := k.keep(t.Context(), now, newest); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for range 3 {
		s.write()
	}
	keep(now, s.write())
	if have, want := s.levels(), ([snapshots + 1]int{0: 4, 1: 1, 2: 1, 3: 1, snapshots: 1}); have != want {
		t.Errorf("%v files, want %v", have, want)
	}
	if local, err := os.ReadDir(s.replica.db.LTXLevelDir(0)); err != nil || len(local) != 1 {
		t.Errorf("%d single files are left here, %v", len(local), err)
	}
	newest := s.write()
	keep(now.Add(31*time.Second), newest)
	keep(now.Add(62*time.Second), newest)
	if have, want := s.levels(), ([snapshots + 1]int{0: 5, 1: 2, 2: 1, 3: 1, snapshots: 1}); have != want {
		t.Errorf("%v files after half a minute, want %v", have, want)
	}

	// A day later single files of yesterday are gone; a month later all but the newest
	// snapshot and what follows it.
	yesterday := time.Now().Add(-25 * time.Hour)
	for n := 1; n <= 3; n++ {
		name := ltx.FormatFilename(ltx.TXID(n), ltx.TXID(n))
		if err := os.Chtimes(filepath.Join(s.place, "g1", "ltx", "0", name), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	keep(now.Add(25*time.Hour), s.write())
	if have := s.levels(); have[0] != 3 || have[snapshots] != 2 {
		t.Errorf("%v files after a day", have)
	}
	keep(now.Add(60*24*time.Hour), s.write())
	if have := s.levels(); have[snapshots] != 1 {
		t.Errorf("%v files after two months", have)
	}
	output := filepath.Join(t.TempDir(), "restored.db")
	if _, err := s.replica.Restore(t.Context(), output, Moment{}, nil); err != nil {
		t.Fatal(err)
	}
	restored, err := sql.Open("sqlite", output)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = restored.Close() }()
	var have, want string
	for d, sum := range map[*sql.DB]*string{restored: &have, s.db: &want} {
		if err := d.QueryRowContext(t.Context(), `SELECT group_concat(x) FROM t`).Scan(sum); err != nil {
			t.Fatal(err)
		}
	}
	if have != want {
		t.Errorf("%s, want %s", have, want)
	}
}

// TestIdleAsksNothing of the replica, whatever time it is.
func TestIdleAsksNothing(t *testing.T) {
	s := newSource(t)
	k := s.stopTidying()
	now, newest := time.Now(), s.write()
	if err := k.keep(t.Context(), now, newest); err != nil {
		t.Fatal(err)
	}
	if err := k.keep(t.Context(), now.Add(2*time.Hour), newest); err != nil { // looks for single files past their time
		t.Fatal(err)
	}
	before := s.asked.Load()
	for hour := range 100 {
		if err := k.keep(t.Context(), now.Add(time.Duration(hour)*time.Hour), newest); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.asked.Load() - before; n != 0 || before == 0 {
		t.Errorf("it was asked %d times, after %d", n, before)
	}
}

// TestProgressIsTold from nothing to all of it.
func TestProgressIsTold(t *testing.T) {
	s := newSource(t)
	for range 3 {
		s.write()
	}
	var told []string
	var last, of int64
	output := filepath.Join(t.TempDir(), "restored.db")
	if _, err := s.replica.Restore(t.Context(), output, Moment{}, func(done, total int64) {
		if fi, err := os.Stat(output + ".tmp"); err != nil || fi.Mode() != 0o600 {
			told = append(told, fmt.Sprint("to others, too: ", fi, err))
		}
		if done < last || done > total {
			told = append(told, fmt.Sprint(done, " of ", total, " after ", last))
		}
		last, of = done, total
	}); err != nil {
		t.Fatal(err)
	}
	if len(told) > 0 || last != of || of == 0 {
		t.Errorf("%v, at last %d of %d", told, last, of)
	}
}
