package db

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"connvo/domain"
)

// smallSchema is the least that a database needs.
const smallSchema = `
-- unwatched: sequence meta
CREATE TABLE sequence (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pairs (
  key   TEXT PRIMARY KEY,
  rank  INTEGER NOT NULL,
  mark  BLOB,
  value REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX pairs_by_rank ON pairs (rank, mark, value);
`

func openSmall(t testing.TB, change ...func(*Options)) *DB {
	t.Helper()
	o := Options{
		Path:    filepath.Join(t.TempDir(), "test.db"),
		Schema:  smallSchema,
		Readers: 1,
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// Only from inside can one see that an answer has not left yet: what a caller
// sees late may have left early.
func TestAnswersLeaveAfterCommit(t *testing.T) {
	d := openSmall(t)
	refused := domain.Fail(domain.Conflict, "no")
	gate := make(chan struct{})
	closures := []*closure{
		{run: func(*WriteTx) error { <-gate; return nil }},
		{run: func(tx *WriteTx) error { return insertPair(tx, "a") }},
		{run: func(*WriteTx) error { return refused }},
		{run: func(*WriteTx) error { panic("a defect") }},
		{run: func(*WriteTx) error { return nil }},
	}
	commits := 0
	d.OnCommit(func(ChangeSet) {
		commits++
		if _, err := d.readPair(t, "a"); err != nil {
			t.Errorf("a change set is published that readers cannot see yet: %v", err)
		}
		for i, c := range closures {
			select {
			case <-c.done:
				t.Errorf("closure %d was answered before the change set was published", i)
			default:
			}
		}
	})
	for _, c := range closures {
		c.done = make(chan struct{})
		if err := d.writer.enqueue(d.writer.queue, c); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	for _, c := range closures {
		<-c.done
	}
	if commits != 1 || !errors.Is(closures[2].err, refused) {
		t.Errorf("%d commits, the refusal is %v", commits, closures[2].err)
	}
}

// A statement of the writer's own that fails leaves a state that nobody can
// vouch for: here the savepoint is gone when the closure is to be undone.
func TestLostSavepointBreaksTheGroupNotTheWriter(t *testing.T) {
	d := openSmall(t)
	for name, outcome := range map[string]error{"accepted": nil, "refused": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			err := d.Write(t.Context(), func(tx *WriteTx) error {
				if err := insertPair(tx, "lost"); err != nil {
					return err
				}
				if err := tx.w.conn.exec("RELEASE closure"); err != nil {
					return err
				}
				return outcome
			})
			if domain.KindOf(err) != domain.Unavailable {
				t.Errorf("answered %v", err)
			}
			if _, err := d.readPair(t, "lost"); !errors.Is(err, ErrNone) {
				t.Errorf("read %v", err)
			}
		})
	}
	if err := d.Write(t.Context(), func(tx *WriteTx) error { return insertPair(tx, "next") }); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

// A transaction that is open when a group begins, however that came, costs one
// answer and not the writer.
func TestWriterRecoversFromATransactionLeftOpen(t *testing.T) {
	d := openSmall(t)
	if err := d.writer.conn.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), func(tx *WriteTx) error { return insertPair(tx, "a") }); err == nil {
		t.Error("a write inside someone else's transaction was accepted")
	}
	if err := d.Write(t.Context(), func(tx *WriteTx) error { return insertPair(tx, "b") }); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

// insertPair stores a pair with a rank of 1.
func insertPair(tx *WriteTx, key string) error {
	_, err := tx.Exec("INSERT INTO pairs (key, rank) VALUES (?, 1)", key)
	return err
}

func (d *DB) readPair(t testing.TB, key string) (rank int64, err error) {
	t.Helper()
	err = d.Read(t.Context(), func(tx Reader) (err error) {
		rank, err = One(tx, Int, "SELECT rank FROM pairs WHERE key = ?", key)
		return err
	})
	return rank, err
}
