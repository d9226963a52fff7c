package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain/users"
)

// TestRestoredToTwentyMoments of a server that is written to, each by its transaction
// and by its instant, with every table as it was then.
func TestRestoredToTwentyMoments(t *testing.T) {
	t.Parallel()
	binary, err := deployed()
	if err != nil {
		t.Fatal(err)
	}
	c := newCopied(t, "file://"+t.TempDir())
	type moment struct {
		transaction uint64
		at          time.Time
		sums        map[string]string
	}
	var all []moment
	for i := range 20 {
		c.put(fmt.Sprint("key ", i), strings.Repeat("value ", 100*i))
		c.put("changing", fmt.Sprint(i))
		c.sync()
		all = append(all, moment{c.replica.Status().Transaction, tick(), sums(t, c.command.DB)})
	}
	c.close()
	for i, m := range all {
		output := filepath.Join(t.TempDir(), "restored.db")
		moment := fmt.Sprint("--txid=", m.transaction)
		if i%2 == 1 {
			moment = "--at=" + m.at.UTC().Format(time.RFC3339Nano)
		}
		restore := exec.CommandContext(t.Context(), binary, "restore", "--replica-url="+c.command.ReplicaURL, "--output="+output, moment)
		if said, err := restore.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		c.same(m.sums, output)
		if i > 0 && maps.Equal(m.sums, all[i-1].sums) {
			t.Error("two moments are the same")
		}
	}
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
	exec(`INSERT INTO erasures (user_id, asked_at, done_at) VALUES ('usr_zoe', 1, 2)`)
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
		{then, `SELECT done_at FROM erasures WHERE user_id = 'usr_zoe'`, "2"}, // who was erased by then
		{then, fmt.Sprintf(`SELECT last > %d FROM sequence`, newest+1<<32), "1"},
		{now, `SELECT value FROM meta WHERE key = 'then'`, "no"},
		{now, fmt.Sprintf(`SELECT last > %d FROM sequence`, newest+1<<32), "1"},
	} {
		if v := value(t, e.path, e.query); v != e.want {
			t.Errorf("%s: %s, want %s", e.query, v, e.want)
		}
	}
	again := restoreCommand{place: c.command.place, DB: c.command.DB, Output: now}
	if err := again.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil {
		t.Error("a file was overwritten")
	}
	long := restoreCommand{place: c.command.place, DB: c.command.DB, At: "2001-01-01T00:00:00Z", Output: filepath.Join(t.TempDir(), "none.db")}
	if err := long.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil || !strings.Contains(err.Error(), "it does not hold that moment") {
		t.Error(err)
	}
	soon := long
	soon.At = time.Now().Add(time.Hour).Format(time.RFC3339)
	if err := soon.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil || !strings.Contains(err.Error(), "it is in the future") {
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

// TestRestoredFromAnOlderGeneration, of an owner that another has gone on from.
func TestRestoredFromAnOlderGeneration(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("owner", "first")
	c.sync()
	transaction := c.replica.Status().Transaction
	at := tick()
	c.close()
	c.lose()
	c.open()
	if n := c.replica.Lease().Generation; n != 2 {
		t.Errorf("generation %d", n)
	}
	c.put("owner", "second")
	c.sync()
	c.close()
	for _, e := range []struct {
		how  restoreCommand
		want string
	}{
		{restoreCommand{}, "second"},
		{restoreCommand{At: at.Format(time.RFC3339Nano)}, "first"},
		{restoreCommand{TXID: transaction, Generation: 1}, "first"},
	} {
		if v := value(t, c.restore(e.how), `SELECT value FROM meta WHERE key = 'owner'`); v != e.want {
			t.Errorf("%+v: %s", e.how, v)
		}
	}
	none := restoreCommand{place: c.command.place, DB: c.command.DB, TXID: 1000, Generation: 1, Output: filepath.Join(t.TempDir(), "none.db")}
	if err := none.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err == nil || !strings.Contains(err.Error(), "it does not hold that moment") {
		t.Error(err)
	}
}

// TestFileThatItsReplicaDoesNotFit is refused, and no empty one is made in its place.
func TestFileThatItsReplicaDoesNotFit(t *testing.T) {
	t.Parallel()
	refuse := func(c *copied, want string) {
		t.Helper()
		d, r, err := c.command.open(t.Context(), slog.New(slog.DiscardHandler), nil)
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

// TestFileWhoseTracesAreGone is copied from its beginning again if it has all that its
// replica holds, and is refused if not.
func TestFileWhoseTracesAreGone(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	traces := filepath.Join(filepath.Dir(c.command.DB), ".connvo.db-litestream")
	c.put("key", "value")
	c.sync()
	c.put("key", "newer")
	c.close()
	if err := os.RemoveAll(traces); err != nil {
		t.Fatal(err)
	}
	c.open()
	if n := c.replica.Lease().Generation; n != 2 {
		t.Errorf("generation %d", n)
	}
	c.sync()
	c.close()
	old := map[string][]byte{c.command.DB: nil, c.command.DB + "-wal": nil}
	for path := range old {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old[path] = b
	}
	c.open()
	c.put("key", "newest")
	c.close()

	if err := os.RemoveAll(traces); err != nil {
		t.Fatal(err)
	}
	for path, b := range old {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.command.open(t.Context(), slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), "it has gone further") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	c.lose()
	c.open()
	c.close()
	if v := value(t, c.command.DB, `SELECT value FROM meta WHERE key = 'key'`); v != "newest" {
		t.Error(v)
	}
}

// whenSaid does something once a message is logged.
type whenSaid struct {
	slog.Handler
	said string
	do   func()
}

func (w whenSaid) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == w.said {
		w.do()
	}
	return w.Handler.Handle(ctx, r)
}

// TestReplicaThatGrowsWhileItIsRestored by what its last owner had on the way keeps the
// next one from nothing.
func TestReplicaThatGrowsWhileItIsRestored(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	c := newCopied(t, "file://"+place)
	c.put("key", "value")
	c.sync()
	next := c.replica.Status().Transaction + 10 // what a close copies is fewer
	c.close()
	c.lose()
	late := whenSaid{slog.NewTextHandler(t.Output(), nil), "restored the database", func() {
		if err := os.WriteFile(filepath.Join(place, "g1", "ltx", "0", fmt.Sprintf("%016x-%016x.ltx", next, next)), []byte("late"), 0o600); err != nil {
			t.Error(err)
		}
	}}
	var err error
	if c.db, c.replica, err = c.command.open(t.Context(), slog.New(late), nil); err != nil {
		t.Fatal(err)
	}
	c.put("key", "newer")
	c.sync()
	c.close()
	c.lose()
	c.open()
	c.close()
	if v := value(t, c.command.DB, `SELECT value FROM meta WHERE key = 'key'`); v != "newer" {
		t.Error(v)
	}
}

// TestReplicaWhoseFilesHaveVanished is refused where a file is to be restored: nothing
// older, and no empty database, stands in for them.
func TestReplicaWhoseFilesHaveVanished(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	c := newCopied(t, "file://"+place)
	for generation := 1; generation <= 2; generation++ {
		c.put("key", fmt.Sprint(generation))
		c.sync()
		c.close()
		c.lose()
		if generation == 1 {
			c.open()
		}
	}
	for _, vanished := range []string{"g2", "g1"} {
		if err := os.RemoveAll(filepath.Join(place, vanished)); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.command.open(t.Context(), slog.New(slog.DiscardHandler), nil) // with leave to begin anew
		if err == nil || !strings.Contains(err.Error(), "files of it are missing: it holds up to ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("without %s: %v", vanished, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(c.command.DB)); err != nil || len(entries) != 0 {
			t.Errorf("there is %v, %v", entries, err)
		}
	}
}
