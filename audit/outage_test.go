package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

func TestFullMemoryRefuses(t *testing.T) {
	large := opened("")
	large.Detail = `"` + strings.Repeat("x", audit.MaxDetail-2) + `"`
	for name, c := range map[string]struct {
		entry audit.Entry
		least int // that are accepted
	}{
		"by the number of entries": {opened("x"), audit.MaxWaiting},
		"by their bytes":           {large, 16 << 20 / (audit.MaxDetail + 1<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := dbtest.Open(t)
				l := audit.NewLog(d, quiet)
				defer closeLog(t, l)
				release := hold(t, d)
				accepted := 0
				for l.Note(c.entry) == nil {
					if accepted++; accepted > audit.MaxWaiting {
						t.Fatal("the memory is never full")
					}
				}
				if accepted < c.least || (c.entry == large && accepted > 16<<20/audit.MaxDetail) {
					t.Errorf("%d entries were accepted", accepted)
				}
				if err := l.Note(c.entry); domain.KindOf(err) != domain.Unavailable {
					t.Errorf("one more: %v", err)
				}
				release()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := len(lines(t, d, org)); got != accepted {
					t.Errorf("%d lines are stored of %d", got, accepted)
				}
				if err := l.Note(c.entry); err != nil {
					t.Errorf("when there is room again: %v", err)
				}
			})
		})
	}
}

// fill leaves no room in a database of a bounded size, and empty makes room.
func fill(t *testing.T, d *db.DB) {
	t.Helper()
	for i := range 10_000 {
		err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, hex(zeroblob(2000)))`, fmt.Sprint("ballast", i))
			return err
		})
		if err != nil {
			return
		}
	}
	t.Fatal("the file is never full")
}

func empty(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(`DELETE FROM meta WHERE key LIKE 'ballast%'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// smallFile is a bound in pages that tests can fill.
func smallFile(o *db.Options) { o.MaxPages = 250 }

func TestFullDiskDelaysNotesAndLosesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t, smallFile)
		var said bytes.Buffer
		l := audit.NewLog(d, slog.New(slog.NewTextHandler(&said, nil)))
		defer closeLog(t, l)
		fill(t, d)
		for outage := range 2 {
			first := outage * 300
			note(t, l, numbered(first, 150)...)
			time.Sleep(5 * time.Second)
			before := d.Stats().Closures
			time.Sleep(10 * time.Second)
			if tries := d.Stats().Closures - before; tries < 9 || tries > 11 {
				t.Errorf("%d tries in ten seconds, want one a second", tries)
			}
			note(t, l, numbered(first+150, 150)...)
			synctest.Wait()
			if lost, restored := strings.Count(said.String(), "cannot be stored"), strings.Count(said.String(), "stored again"); lost != outage+1 || restored != outage {
				t.Errorf("in outage %d the log says:\n%s", outage, said.String())
			}
			if got := len(lines(t, d, org)); got >= first+150 {
				t.Fatalf("%d lines are stored in a full file", got)
			}
			empty(t, d)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			inOrder(t, d, first+300)
			if restored := strings.Count(said.String(), "stored again"); restored != outage+1 {
				t.Errorf("after outage %d the log says:\n%s", outage, said.String())
			}
			fill(t, d)
		}
		empty(t, d)
	})
}

func TestCloseStoresWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		note(t, l, numbered(0, 1000)...)
		began := time.Now()
		closeLog(t, l)
		if took := time.Since(began); took != 0 {
			t.Errorf("closed after %v", took)
		}
		inOrder(t, d, 1000)
		if err := l.Note(full); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("a note after the end: %v", err)
		}
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, trouble := range map[string]func(d *db.DB) (end func()){
			"the writer is busy": func(d *db.DB) func() { return hold(t, d) },
			"the file is full":   func(d *db.DB) func() { fill(t, d); return func() { empty(t, d) } },
		} {
			d := dbtest.Open(t, smallFile, func(o *db.Options) { o.Log = quiet })
			l := audit.NewLog(d, quiet)
			end := trouble(d)
			note(t, l, numbered(0, 500)...)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			began := time.Now()
			err := l.Close(ctx)
			cancel()
			if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "500 audit entries are lost") || took != 3*time.Second {
				t.Errorf("%s: closed after %v with %v", name, took, err)
			}
			end()
			if got := len(lines(t, d, org)); got != 0 {
				t.Errorf("%s: %d of the lost entries are stored", name, got)
			}
		}
	})
}

func TestLogOutlivesAClosedDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		l := audit.NewLog(d, quiet)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		note(t, l, numbered(0, 100)...)
		time.Sleep(time.Hour)
		began := time.Now()
		err := l.Close(t.Context())
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "100 audit entries are lost") || took != 0 {
			t.Errorf("closed after %v with %v", took, err)
		}
	})
}
