package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/superfly/ltx"
)

// TestReplicaIsVerified while it is written to, and nothing is left of that.
func TestReplicaIsVerified(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("key", "value")
	left := c.command.DB + ".verifying"
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; writing.Err() == nil; i++ {
			c.put(fmt.Sprint("key ", i%100), strings.Repeat("x", 1000+i))
		}
	})
	for range 2 {
		v, err := c.replica.Verify(t.Context())
		if err != nil || v.Problem != "" || v.Transaction == 0 || v.At.IsZero() {
			t.Errorf("%+v %v", v, err)
		}
		if told := c.replica.Status().Verified; told != v {
			t.Errorf("told %+v, want %+v", told, v)
		}
	}
	stop()
	writers.Wait()
	if entries, err := filepath.Glob(left + "*"); err != nil || len(entries) > 0 {
		t.Errorf("%v are left, %v", entries, err)
	}
	// A crash leaves the file, and the next start removes it.
	c.close()
	if err := os.WriteFile(left, []byte("everything that was said"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.open()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what a verification has left is there still")
	}
}

// TestDamagedReplicaIsFound by a verification, whatever is wrong with it, and is mended
// by a new snapshot.
func TestDamagedReplicaIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage  func(t *testing.T, file string)
		problem string
	}{
		"another page": {changePage, "1 pages are others than in the database, the first is 2"},
		"a bit": {func(t *testing.T, file string) {
			edit(t, file, func(b []byte) []byte { b[bytes.Index(b, []byte("CREATE TABLE"))] ^= 1; return b }) // one that is the same in a compressed page
		}, "restore: "},
		"half of a file": {func(t *testing.T, file string) {
			edit(t, file, func(b []byte) []byte { return b[:len(b)/2] })
		}, "restore: "},
		"an empty file": {func(t *testing.T, file string) {
			edit(t, file, func([]byte) []byte { return nil })
		}, "restore: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := t.TempDir()
			said := &spoken{more: make(chan struct{}, 1)}
			d := &copied{t: t, command: newCopiedCommand(t, "file://"+place)}
			var err error
			if d.db, d.replica, err = d.command.open(t.Context(), slog.New(slog.NewTextHandler(said, nil)), nil); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.close)
			d.put("key", "value")
			d.sync()
			if v, err := d.replica.Verify(t.Context()); err != nil || v.Problem != "" {
				t.Fatal(v.Problem, err)
			}
			for d.replica.Status().Snapshots == 0 { // which is what a restore begins with
				runtime.Gosched()
			}
			c.damage(t, oldest(t, filepath.Join(place, "g1", "ltx")))
			v, err := d.replica.Verify(t.Context())
			if err != nil || !strings.Contains(v.Problem, c.problem) {
				t.Errorf("%q %v, want %q", v.Problem, err, c.problem)
			}
			said.await(t, `level=ERROR msg="the replica is not what the database is"`)
			said.await(t, "the replica has a new snapshot")
			if v, err := d.replica.Verify(t.Context()); err != nil || v.Problem != "" {
				t.Error(v.Problem, err)
			}
		})
	}
}

// TestDamagedDatabaseIsFound by the same verification: the replica is what it is, so
// that a new snapshot would mend nothing.
func TestDamagedDatabaseIsFound(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("key", "value")
	c.close()
	if v := value(t, c.command.DB, `CREATE TABLE stray (x); SELECT 1`); v != "1" {
		t.Fatal(v)
	}
	c.open()
	v, err := c.replica.Verify(t.Context())
	if err != nil || v.Problem != "the file has table stray: CREATE TABLE stray (x)" {
		t.Errorf("%q %v", v.Problem, err)
	}
}

// oldest returns the file of the highest level that a restore begins with.
func oldest(t *testing.T, dir string) string {
	t.Helper()
	for level := 9; level >= 0; level-- {
		files, err := filepath.Glob(filepath.Join(dir, fmt.Sprint(level), "*.ltx"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) > 0 {
			return files[len(files)-1]
		}
	}
	t.Fatal("the replica has no file")
	return ""
}

// edit changes what a file has.
func edit(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changePage changes a byte of the second page in a file of the replica, which stays
// as its format wants it.
func changePage(t *testing.T, file string) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	from := ltx.NewDecoder(in)
	if err := from.DecodeHeader(); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(file + ".changed")
	if err != nil {
		t.Fatal(err)
	}
	to, err := ltx.NewEncoder(out)
	if err == nil {
		err = to.EncodeHeader(from.Header())
	}
	var page ltx.PageHeader
	for data := make([]byte, from.Header().PageSize); err == nil; {
		if err = from.DecodePage(&page, data); err != nil {
			break
		}
		if page.Pgno == 2 {
			data[len(data)-1] ^= 1
		}
		err = to.EncodePage(ltx.PageHeader{Pgno: page.Pgno}, data)
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	if err := errors.Join(to.Close(), out.Close(), os.Rename(file+".changed", file)); err != nil {
		t.Fatal(err)
	}
}
