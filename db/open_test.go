package db_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connvo/db"
)

// makeFile makes a file of ours at path, of some hundred pages, and closes it.
func makeFile(t *testing.T, path string) {
	t.Helper()
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	do(t, d, func(tx *db.WriteTx) error {
		for i := range 2000 {
			if _, err := tx.Exec(insertNote, i, "topic", "author", strings.Repeat("word ", 30)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// overwrite puts b at an offset of the file.
func overwrite(t *testing.T, path string, offset int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, offset)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// withSQLite runs statements on the file behind the back of the package.
func withSQLite(t *testing.T, path string, statements ...string) {
	t.Helper()
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := pool.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
}

const garbage = "this is not a database, however long it is read. "

// unusable are files that Open refuses, and what it says.
var unusable = []struct {
	name    string
	prepare func(t *testing.T, path string)
	want    string
}{
	{"of something else", func(t *testing.T, path string) {
		if err := os.WriteFile(path, []byte(strings.Repeat(garbage, 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}, "not a SQLite database"},
	{"whose header is damaged", func(t *testing.T, path string) {
		makeFile(t, path)
		overwrite(t, path, 0, []byte(garbage))
	}, "not a SQLite database"},
	{"whose schema is damaged", func(t *testing.T, path string) {
		makeFile(t, path)
		overwrite(t, path, 100, []byte(garbage))
	}, "is damaged"},
	{"with a damaged page in the middle", func(t *testing.T, path string) {
		makeFile(t, path)
		overwrite(t, path, 40*4096, []byte(strings.Repeat(garbage, 20)))
	}, "page 41"},
	{"that was cut off", func(t *testing.T, path string) {
		makeFile(t, path)
		if err := os.Truncate(path, 50*4096); err != nil {
			t.Fatal(err)
		}
	}, "is damaged"},
	{"that was cut off within a page", func(t *testing.T, path string) {
		makeFile(t, path)
		if err := os.Truncate(path, 50*4096+7); err != nil {
			t.Fatal(err)
		}
	}, "is damaged"},
	{"of a newer build", func(t *testing.T, path string) {
		makeFile(t, path)
		withSQLite(t, path, fmt.Sprintf("PRAGMA user_version = %d", db.SchemaVersion+1))
	}, "newer than version"},
	{"of another schema", func(t *testing.T, path string) {
		makeFile(t, path)
		withSQLite(t, path, "UPDATE meta SET value = 'other' WHERE key = 'schema'")
	}, "another schema"},
	{"of another program", func(t *testing.T, path string) {
		withSQLite(t, path, "CREATE TABLE theirs (a)")
	}, "not one of connvo"},
	{"that is a directory", func(t *testing.T, path string) {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}, "not a regular file"},
	{"in a missing directory", func(t *testing.T, path string) {
		if err := os.Remove(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
	}, "does not exist"},
}

func TestOpenRefusesAFileThatItCannotUse(t *testing.T) {
	for _, c := range unusable {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			c.prepare(t, path)
			before, _ := os.ReadFile(path)
			d, err := db.Open(t.Context(), options(path))
			if err == nil {
				t.Fatal(errors.Join(errors.New("opened"), d.Close()))
			}
			refusedWith(t, err, c.want)
			t.Log(err)
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the refused file is not as it was")
			}
		})
	}
}

func TestOpenRefusesAFileThatAnotherProcessHolds(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	holder := start(t, self, "hold", path, nil)
	if said := holder.firstLine(t); said != "opened" {
		t.Fatal(said)
	}
	d, err := db.Open(t.Context(), options(path))
	if err == nil {
		t.Fatal(errors.Join(errors.New("opened"), d.Close()))
	}
	refusedWith(t, err, "another process has it open")
	holder.end(t)
	again, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatalf("after the other process has ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatItMayNotWrite(t *testing.T) {
	binary, dir, nobody := asNobody(t)
	for _, c := range []struct {
		name            string
		directory, file os.FileMode
		want            string
	}{
		{"the file", 0o777, 0o444, "the file cannot be written by this user"},
		{"the directory", 0o555, 0o666, "cannot be written by this user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := filepath.Join(dir, strings.Fields(c.name)[1])
			path := filepath.Join(home, "test.db")
			if err := os.Mkdir(home, 0o755); err != nil {
				t.Fatal(err)
			}
			makeFile(t, path)
			// The lock of an earlier owner is not this user's concern.
			err := errors.Join(os.Remove(path+".lock"), os.Chmod(path, c.file), os.Chmod(home, c.directory))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(home, 0o755) })
			p := start(t, binary, "open", path, nobody)
			refusedWith(t, errors.New(p.firstLine(t)), c.want)
			p.end(t)
		})
	}
}

func TestOpenUnderstandsOddFileNames(t *testing.T) {
	for _, name := range []string{"with space.db", "question?.db", "hash#.db", "per%20cent.db", "ünï.db"} {
		path := filepath.Join(t.TempDir(), name)
		d, err := db.Open(t.Context(), options(path))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		put(t, d, "key")
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Size() == 0 {
			t.Errorf("%s: the file is not where it was asked for: %v", name, err)
		}
	}
}

func TestOpenGivesEverythingBackWhenItFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	for range 2 {
		// Were the lock kept, the second try would say so.
		d, err := db.Open(t.Context(), options(path, func(o *db.Options) { o.Schema = "CREATE TABLE a (b); nonsense" }))
		if err == nil {
			t.Fatal(errors.Join(errors.New("opened"), d.Close()))
		}
		refusedWith(t, err, "syntax error")
	}
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatalf("after a schema that failed: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatWasStoredIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	for i := range int64(3) {
		d, err := db.Open(t.Context(), options(path))
		if err != nil {
			t.Fatal(err)
		}
		if d.Committed() != i || count(t, d, countPairs) != i {
			t.Errorf("opened with number %d and %d pairs, want %d", d.Committed(), count(t, d, countPairs), i)
		}
		put(t, d, fmt.Sprint(i))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNobodyElseReadsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connvo.db")
	open(t, func(o *db.Options) { o.Path = path })
	for _, name := range []string{path, path + "-wal", path + ".lock"} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(name), fi.Mode())
		}
	}
}

// By another name the file would have another lock and another log.
func TestFileIsTheSameByEveryName(t *testing.T) {
	dir := t.TempDir()
	path, alias := filepath.Join(dir, "real.db"), filepath.Join(dir, "alias.db")
	if err := os.Symlink("real.db", alias); err != nil {
		t.Fatal(err)
	}
	_, err := db.Open(t.Context(), options(alias))
	if err == nil {
		t.Fatal("opened a link to nothing")
	}
	refusedWith(t, err, "a symbolic link to a file that does not exist")
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	linkedDir := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(dir, linkedDir); err != nil {
		t.Fatal(err)
	}
	names := []string{alias, filepath.Join(linkedDir, "real.db"), filepath.Join(linkedDir, "alias.db")}
	for _, name := range names {
		_, err := db.Open(t.Context(), options(name))
		if err == nil {
			t.Fatalf("opened twice, as %s", name)
		}
		refusedWith(t, err, "another process has it open")
		if _, err = db.Check(t.Context(), name, schema); err == nil {
			t.Fatalf("checked while it is open, as %s", name)
		}
		refusedWith(t, err, "another process has it open")
	}
	put(t, d, "key")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		again, err := db.Open(t.Context(), options(name))
		if err != nil {
			t.Fatal(err)
		}
		if !stored(t, again, "key") {
			t.Errorf("another file, as %s", name)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if found, err := db.Check(t.Context(), name, schema); err != nil || len(found) != 0 {
			t.Errorf("check as %s: %v, %v", name, found, err)
		}
	}
}

// A fresh file in a linked directory has its lock where every name leads.
func TestFreshFileInALinkedDirectoryHasOneLock(t *testing.T) {
	dir, linked := t.TempDir(), filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), options(filepath.Join(linked, "test.db")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = db.Open(t.Context(), options(filepath.Join(dir, "test.db"))); err == nil {
		t.Error("opened twice")
	} else {
		refusedWith(t, err, "another process has it open")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileWithTwoHardLinksIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, second := filepath.Join(dir, "test.db"), filepath.Join(dir, "second.db")
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, second); err != nil {
		t.Fatal(err)
	}
	refuse := func(name string) {
		t.Helper()
		_, err := db.Open(t.Context(), options(name))
		if err == nil {
			t.Fatalf("opened %s", name)
		}
		refusedWith(t, err, "2 names (hard links)")
		if _, err = db.Check(t.Context(), name, schema); err == nil {
			t.Fatalf("checked %s", name)
		}
		refusedWith(t, err, "2 names (hard links)")
	}
	refuse(second) // while the first is open
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	refuse(path)
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	again, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
