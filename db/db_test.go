package db_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/domain"
)

// schema has one table of each kind that the capture and the catalogue treat
// differently, so that these tests do not change with the product's schema.
const schema = `
-- unwatched: sequence meta drafts
CREATE TABLE sequence (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE topics (
  id    TEXT PRIMARY KEY,
  open  INTEGER NOT NULL DEFAULT 1,
  title TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A note repeats its topic's openness; the trigger keeps it.
CREATE TABLE notes (
  seq    INTEGER PRIMARY KEY,
  topic  TEXT NOT NULL,
  author TEXT NOT NULL,
  open   INTEGER NOT NULL DEFAULT 1,
  text   TEXT NOT NULL
) STRICT;
CREATE INDEX notes_by_topic ON notes (topic);
CREATE INDEX notes_by_author ON notes (author, seq);
CREATE TRIGGER topics_open AFTER UPDATE OF open ON topics WHEN OLD.open <> NEW.open
BEGIN
  UPDATE notes SET open = NEW.open WHERE topic = NEW.id;
END;

CREATE TABLE pairs (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE drafts (id TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
`

const (
	insertTopic = `INSERT INTO topics (id, title) VALUES (?, ?)`
	insertNote  = `INSERT INTO notes (seq, topic, author, text) VALUES (?, ?, ?, ?)`
	insertPair  = `INSERT INTO pairs (key, value) VALUES (?, ?)`
	insertBlob  = `INSERT INTO blobs (body) VALUES (zeroblob(?))`
	countPairs  = `SELECT count(*) FROM pairs`
	selectPair  = `SELECT value FROM pairs WHERE key = ?`
	deleteBlobs = `DELETE FROM blobs`
)

// TestMain is also the way into the processes that some tests start: they run
// this binary again, with a part to play.
func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		play(part)
		return
	}
	goleak.VerifyTestMain(m)
}

// open returns a fresh database of the schema above.
func open(t testing.TB, change ...func(*db.Options)) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), options(filepath.Join(t.TempDir(), "test.db"), change...))
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

func options(path string, change ...func(*db.Options)) db.Options {
	o := db.Options{Path: path, Schema: schema, Readers: 2, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&o)
	}
	return o
}

// put stores a pair in a write of its own.
func put(t testing.TB, d *db.DB, key string) {
	t.Helper()
	if err := d.Write(t.Context(), inserting(key)); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// inserting is the closure that stores the pair key.
func inserting(key string) func(*db.WriteTx) error {
	return func(tx *db.WriteTx) error {
		_, err := tx.Exec(insertPair, key, 1)
		return err
	}
}

// stored reports whether readers find the pair key.
func stored(t testing.TB, d *db.DB, key string) bool {
	t.Helper()
	var found bool
	err := d.Read(t.Context(), func(tx db.Reader) error {
		_, err := db.One(tx, db.Int, selectPair, key)
		found = err == nil
		if errors.Is(err, db.ErrNone) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return found
}

func count(t testing.TB, d *db.DB, query string) int64 {
	t.Helper()
	var n int64
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// isUnavailable fails the test when err is not what the caller may repeat.
func isUnavailable(t testing.TB, err error) {
	t.Helper()
	if domain.KindOf(err) != domain.Unavailable {
		t.Errorf("answered %v, want Unavailable", err)
	}
}

func do(t testing.TB, d *db.DB, f func(*db.WriteTx) error) {
	t.Helper()
	if err := d.Write(context.WithoutCancel(t.Context()), f); err != nil {
		t.Fatal(err)
	}
}
