package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain/users"
	"connvo/replica"
)

// copied is a database that is replicated.
type copied struct {
	t       *testing.T
	command serveCommand
	db      *db.DB
	replica *replica.Replica
}

// newCopied begins an empty database that is replicated to url.
func newCopied(t *testing.T, url string) *copied {
	t.Helper()
	c := &copied{t: t, command: serveCommand{DB: filepath.Join(t.TempDir(), "connvo.db"), place: place{url}, New: true}}
	c.open()
	t.Cleanup(c.close)
	return c
}

func (c *copied) open() {
	c.t.Helper()
	d, r, err := c.command.open(c.t.Context(), slog.New(slog.NewTextHandler(c.t.Output(), nil)))
	if err != nil {
		c.t.Fatal(err)
	}
	c.db, c.replica = d, r
}

func (c *copied) close() {
	c.t.Helper()
	if c.db == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.replica.Close(ctx); err != nil {
		c.t.Error(err)
	}
	if err := c.db.Close(); err != nil {
		c.t.Error(err)
	}
	c.db = nil
}

// lose removes the file and all that is beside it.
func (c *copied) lose() {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Dir(c.command.DB)); err == nil {
		if err = os.Mkdir(filepath.Dir(c.command.DB), 0o700); err == nil {
			return
		}
	}
	c.t.Fatal("the directory cannot be emptied")
}

// put stores a pair.
func (c *copied) put(key, value string) {
	c.t.Helper()
	err := c.db.Write(c.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)`, key, value)
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
}

// sync waits until the replica holds everything.
func (c *copied) sync() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.replica.Sync(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// sums returns a checksum of every table of a file that nobody has open, without what
// a restore changes.
func sums(t *testing.T, path string) map[string]string {
	t.Helper()
	d, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	tables, err := d.QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\_litestream%' ESCAPE '\' AND name <> 'sequence'`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all[name] = ""
	}
	if err := tables.Err(); err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	_ = tables.Close()
	for name := range all {
		all[name] = sum(t, d, name)
	}
	return all
}

func sum(t *testing.T, d *sql.DB, table string) string {
	t.Helper()
	query := `SELECT * FROM "` + table + `"`
	if table == "meta" {
		query += ` WHERE key <> 'restored' AND key NOT LIKE 'skipped%'`
	}
	rows, err := d.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	h, n := sha256.New(), 0
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(h, "%#v\n", values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(n, " ", hex.EncodeToString(h.Sum(nil)[:8]))
}

func (c *copied) same(want map[string]string, path string) {
	c.t.Helper()
	have := sums(c.t, path)
	if !maps.Equal(have, want) {
		for table := range want {
			if have[table] != want[table] {
				c.t.Errorf("%s: %s, want %s", table, have[table], want[table])
			}
		}
	}
}

// TestReplicatedLogStaysShort while reads never pause, and nothing of it is missing
// in the replica.
func TestReplicatedLogStaysShort(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.sync() // from now on only the replica may copy the log back
	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for reading.Err() == nil {
				_ = c.db.Read(reading, func(tx db.Reader) error {
					_, err := db.One(tx, db.Int, `SELECT count(*) FROM meta WHERE key LIKE '%y%'`)
					return err
				})
			}
		})
	}
	const limit = 110 << 20 // 140 MB, where reads keep it from beginning anew
	var longest, written int64
	text := strings.Repeat("x", 400_000)
	for i := range 350 {
		c.put(fmt.Sprint("key ", i%100), fmt.Sprint(i, text))
		written += int64(len(text))
		if fi, err := os.Stat(c.command.DB + "-wal"); err == nil {
			longest = max(longest, fi.Size())
		}
	}
	stop()
	readers.Wait()
	t.Logf("%d MB were written, and the log had %d MB at most", written>>20, longest>>20)
	if longest > limit {
		t.Errorf("the log grew to %d bytes", longest)
	}
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestRestoredToAMoment restores each of several moments, by its transaction.
func TestRestoredToAMoment(t *testing.T) {
	t.Parallel()
	url := "file://" + t.TempDir()
	c := newCopied(t, url)
	moments := map[uint64]map[string]string{}
	for i := range 5 {
		c.put(fmt.Sprint("key ", i), "value")
		c.put("changing", fmt.Sprint(i))
		c.sync()
		transaction := c.replica.Status().Transaction
		c.close()
		moments[transaction] = sums(t, c.command.DB)
		c.open()
	}
	c.close()
	if len(moments) != 5 {
		t.Fatalf("%d moments", len(moments))
	}
	for transaction, want := range moments {
		output := filepath.Join(t.TempDir(), "restored.db")
		r := &restoreCommand{place: place{url}, DB: c.command.DB, TXID: transaction, Output: output}
		if err := r.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err != nil {
			t.Fatal(err)
		}
		c.same(want, output)
		if err := r.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil {
			t.Error("a file was overwritten")
		}
	}
}

// restore runs the command and returns the file.
func (c *copied) restore(flags restoreCommand) (output string) {
	c.t.Helper()
	flags.place, flags.DB, flags.Output = c.command.place, c.command.DB, filepath.Join(c.t.TempDir(), "restored.db")
	if err := flags.Run(c.t.Context(), terminal{out: c.t.Output(), err: c.t.Output()}); err != nil {
		c.t.Fatal(err)
	}
	return flags.Output
}

// value returns the only value of a query over a file that nobody has open.
func value(t *testing.T, path, query string) (v string) {
	t.Helper()
	d, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.QueryRowContext(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// tick returns an instant that no file of the replica has been made at, and none will.
func tick() time.Time {
	began := time.Now()
	for time.Since(began) < 2*time.Millisecond {
		runtime.Gosched()
	}
	now := time.Now()
	for time.Since(now) < 2*time.Millisecond {
		runtime.Gosched()
	}
	return now
}

// TestRestoredToAnInstant restores what was there, without those who have asked to be
// erased since, and with numbers that were never given out.
func TestRestoredToAnInstant(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	exec := func(query string) {
		t.Helper()
		err := c.db.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(query)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"ada", "bob"} {
		exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('usr_` + id + `', '` + id + `', 0, '` + id + `@example.com', '` + id + `', 0, 0)`)
	}
	c.put("then", "yes")
	c.sync()
	at := tick()
	c.put("then", "no")
	exec(`INSERT INTO erasures (user_id, asked_at, done_at) VALUES ('usr_ada', 1, 2)`)
	c.sync()
	newest := c.db.Committed()
	c.close()
	then := c.restore(restoreCommand{At: at.Format(time.RFC3339Nano)})
	now := c.restore(restoreCommand{})
	for _, e := range []struct{ path, query, want string }{
		{then, `SELECT value FROM meta WHERE key = 'then'`, "yes"},
		{then, `SELECT display_name FROM users WHERE id = 'usr_ada'`, users.Former},
		{then, `SELECT display_name FROM users WHERE id = 'usr_bob'`, "bob"},
		{then, `SELECT count(*) FROM erasures WHERE user_id = 'usr_ada' AND done_at > 2`, "1"},
		{then, fmt.Sprintf(`SELECT last > %d FROM sequence`, newest+1<<32), "1"},
		{now, `SELECT value FROM meta WHERE key = 'then'`, "no"},
		{now, fmt.Sprintf(`SELECT last > %d FROM sequence`, newest+1<<32), "1"},
	} {
		if v := value(t, e.path, e.query); v != e.want {
			t.Errorf("%s: %s, want %s", e.query, v, e.want)
		}
	}
	long := restoreCommand{place: c.command.place, DB: c.command.DB, At: "2001-01-01T00:00:00Z", Output: filepath.Join(t.TempDir(), "none.db")}
	if err := long.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil || !strings.Contains(err.Error(), "it does not hold that moment") {
		t.Error(err)
	}
	// The past goes on in the place of the present: what came after stays in the replica.
	if err := os.Remove(c.command.DB); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(c.command.DB)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(c.command.DB), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(then, c.command.DB); err != nil {
		t.Fatal(err)
	}
	c.open()
	for n, known := range map[int64]bool{0: true, 1: true, newest: false, newest + 1<<32: false, c.db.Committed(): true, c.db.Committed() + 1: false} {
		if c.db.Known(n) != known {
			t.Errorf("%d is known: %t", n, !known)
		}
	}
	c.sync()
	c.close()
	c.lose()
	c.open()
	c.close()
	if v := value(t, c.command.DB, `SELECT value FROM meta WHERE key = 'then'`); v != "yes" {
		t.Error(v)
	}
}

// TestFileThatItsReplicaDoesNotFit is refused, and no empty one is made in its place.
func TestFileThatItsReplicaDoesNotFit(t *testing.T) {
	t.Parallel()
	refuse := func(c *copied, want string) {
		t.Helper()
		d, r, err := c.command.open(t.Context(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
		if d != nil || r != nil {
			t.Error("it was opened")
		}
	}
	c := newCopied(t, "file://"+t.TempDir())
	c.put("key", "value")
	c.sync()
	c.close()

	// An old copy of the volume: the replica has gone further.
	old, err := os.ReadFile(c.command.DB)
	if err != nil {
		t.Fatal(err)
	}
	c.open()
	c.put("key", "newer")
	c.sync()
	c.close()
	c.lose()
	if err := os.WriteFile(c.command.DB, old, 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(c, "it has gone further (transaction 2)")
	c.lose()
	c.open()

	// A newer build has changed the schema.
	if v := value(t, c.command.DB, `PRAGMA user_version = 99; SELECT 1`); v != "1" {
		t.Fatal(v)
	}
	c.put("key", "newest")
	c.sync()
	c.close()
	c.lose()
	refuse(c, "newer than version")
	if entries, err := os.ReadDir(filepath.Dir(c.command.DB)); err != nil || len(entries) != 0 {
		t.Errorf("there is %v beside nothing, %v", entries, err)
	}

	// Another's files are nobody's replica.
	strange := newCopied(t, "file://"+t.TempDir())
	strange.sync()
	strange.close()
	if err := os.Remove(strings.TrimPrefix(strange.command.ReplicaURL, "file://") + "/connvo.json"); err != nil {
		t.Fatal(err)
	}
	strange.lose()
	refuse(strange, "none that says whose they are")
}

// TestErasedFromAReplicatedLog leaves nothing of what was deleted beside the file.
func TestErasedFromAReplicatedLog(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.sync()
	holds := func() bool {
		t.Helper()
		b, err := os.ReadFile(c.command.DB + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "a word that was said")
	}
	c.put("secret", "a word that was said")
	if !holds() {
		t.Fatal("it is not in the log")
	}
	c.put("secret", "nothing to see")
	if err := c.db.EmptyLog(t.Context()); err != nil || holds() {
		t.Errorf("it is in the log still, %v", err)
	}
	if err := c.db.EmptyLog(t.Context()); err != nil { // there is nothing more to do
		t.Error(err)
	}
	c.put("secret", "more")
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestFileThatWasServedWithoutItsReplica is copied from its beginning again: what was
// written meanwhile is in no log any more.
func TestFileThatWasServedWithoutItsReplica(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("with", "1")
	c.sync()
	for i, size := range []int{10, 100_000, 3_000_000} { // a log shorter than the one before, and longer
		c.put("unsynced", fmt.Sprint(i))
		c.close()
		d, err := db.Open(t.Context(), db.Options{Path: c.command.DB, Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?)`, fmt.Sprint("without ", i), strings.Repeat("x", size))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.put("with", fmt.Sprint(i))
		c.sync()
		c.close()
		want := sums(t, c.command.DB)
		c.lose()
		c.open()
		c.close()
		c.same(want, c.command.DB)
		c.open()
	}
}

// TestLogStaysShortWithoutItsReplica, which then begins with the whole file.
func TestLogStaysShortWithoutItsReplica(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", s3Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
	t.Setenv("AWS_CA_BUNDLE", "")
	s := newS3(t)
	c := newCopied(t, s.url(s3Bucket))
	c.put("key", "before")
	c.sync()
	c.close()
	s.stop()
	c.open()
	longest, text := int64(0), strings.Repeat("x", 100_000)
	for i := range 400 {
		c.put(fmt.Sprint("key ", i%20), fmt.Sprint(i, text))
		if fi, err := os.Stat(c.command.DB + "-wal"); err == nil {
			longest = max(longest, fi.Size())
		}
	}
	if longest > 24<<20 {
		t.Errorf("the log grew to %d bytes", longest)
	}
	s.start()
	for err := c.replica.Sync(t.Context()); err != nil; err = c.replica.Sync(t.Context()) {
		t.Log(err) // it was asked while the replica was away
	}
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestLogWithoutItsFile is put aside, not taken for a part of what is restored.
func TestLogWithoutItsFile(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("key", "value")
	c.close()
	want := sums(t, c.command.DB)
	if err := os.Remove(c.command.DB); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.command.DB+"-wal", []byte("what was said last"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.open()
	c.close()
	c.same(want, c.command.DB)
	kept, err := filepath.Glob(c.command.DB + "-wal.lost-*")
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "what was said last" {
		t.Error(string(b), err)
	}
}
