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
	"testing"
	"time"

	"connvo/db"
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
	c := &copied{t: t, command: newCopiedCommand(t, url)}
	c.open()
	t.Cleanup(c.close)
	return c
}

func newCopiedCommand(t *testing.T, url string) serveCommand {
	return serveCommand{DB: filepath.Join(t.TempDir(), "connvo.db"), place: place{url}, New: true, Lease: warn, LeaseTerm: minLeaseTerm}
}

func (c *copied) open() {
	c.t.Helper()
	d, r, err := c.command.open(c.t.Context(), slog.New(slog.NewTextHandler(c.t.Output(), nil)), nil)
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
