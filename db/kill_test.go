package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"connvo/db"
)

// load writes until the process is killed, and says each number that was
// answered: the pair n holds n.
func load(d *db.DB) {
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			for {
				var n int64
				err := d.Write(context.Background(), func(tx *db.WriteTx) error {
					n = tx.Next()
					_, err := tx.Exec(insertPair, fmt.Sprint(n), n)
					return err
				})
				if err != nil {
					fmt.Println(err)
					return
				}
				// One write of a short line to a pipe is never torn.
				if _, err := fmt.Fprintf(os.Stdout, "%d\n", n); err != nil {
					return
				}
			}
		})
	}
	writers.Wait()
}

func TestKilledProcessLosesNoAcknowledgedWrite(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	acknowledged := map[int64]bool{}
	for range 6 {
		p := start(t, self, "load", path, nil)
		if said := p.firstLine(t); said != "opened" {
			t.Fatal(said)
		}
		for after := rand.IntN(3000); p.lines.Scan(); after-- {
			var n int64
			if _, err := fmt.Sscan(p.lines.Text(), &n); err != nil {
				t.Fatalf("the process said %q", p.lines.Text())
			}
			if acknowledged[n] {
				t.Fatalf("the number %d was given twice", n)
			}
			acknowledged[n] = true
			if after == 0 {
				if err := p.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = p.stdin.Close()
		_ = p.Wait() // it was killed
		verifyAfterKill(t, path, acknowledged)
	}
}

// verifyAfterKill checks that the file is whole, holds every acknowledged
// pair, and takes its next number behind all of them.
func verifyAfterKill(t *testing.T, path string, acknowledged map[int64]bool) {
	t.Helper()
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	var held []int64
	err = d.Read(t.Context(), func(tx db.Reader) (err error) {
		if state, err := db.One(tx, text, "PRAGMA integrity_check"); err != nil || state != "ok" {
			return fmt.Errorf("integrity: %s, %w", state, err)
		}
		held, err = db.All(tx, db.Int, "SELECT value FROM pairs WHERE key = CAST(value AS TEXT)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	present := map[int64]bool{}
	for _, n := range held {
		present[n] = true
	}
	for n := range acknowledged {
		if !present[n] {
			t.Errorf("the acknowledged write %d is lost", n)
		}
	}
	do(t, d, func(tx *db.WriteTx) error {
		if n := tx.Next(); acknowledged[n] || present[n] {
			t.Errorf("the number %d is given again", n)
		}
		return nil
	})
	t.Logf("%d acknowledged, %d stored", len(acknowledged), len(held))
}

func text(r db.Row) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}
