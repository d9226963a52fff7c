package main

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
	"connvo/retention"
)

var sweepRows = flag.Int("rows", 1_000_000, "how many rows BenchmarkSweep deletes")

// BenchmarkSweep deletes a million rows of each of the largest collections, all past
// their time, and two thousand messages of nearly the greatest length, while somebody writes a row again and again. hold is
// how long a portion held the writer, its commit included, cpu how much of a
// processor's time that was, which others on the machine do not lengthen, wait how
// long one of those writes took, its own commit included.
func BenchmarkSweep(b *testing.B) {
	for _, c := range []struct {
		name       string
		collection string
		table      string
		fill       func(f *filler, rows int)
		rows       int
	}{
		{"messages", "messages", "messages", (*filler).messages, *sweepRows},
		{"long", "messages", "messages", (*filler).longMessages, *sweepRows / 500},
		{"transcripts", "transcripts", "transcripts", (*filler).transcripts, *sweepRows},
		{"events", "events", "events", (*filler).events, *sweepRows},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				w := &watch{}
				d := dbtest.Open(b, func(o *db.Options) { o.Log = slog.New(slog.DiscardHandler) })
				d.OnCommit(w.committed)
				began := time.Now()
				f := newFiller(b, d)
				c.fill(f, c.rows)
				b.ReportMetric(time.Since(began).Seconds(), "fill-s")
				stop, waits := probe(b, d)
				b.StartTimer()
				w.sweep(b, d, c.collection)
				b.StopTimer()
				close(stop)
				reportTimes(b, "hold", w.holds)
				reportTimes(b, "cpu", w.cpus)
				reportTimes(b, "wait", <-waits)
				b.ReportMetric(float64(c.rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				if n := rowsOf(b, d, `SELECT count(*) FROM `+c.table); n != 0 {
					b.Fatalf("%d rows are left", n)
				}
			}
		})
	}
}

// watch tells how long the writer is held. Its fields belong to the goroutine of the
// writer while anything is written.
type watch struct {
	running     bool // from the beginning of a portion to the end of its commit
	began       time.Time
	worked      time.Duration // of the thread, when it began
	holds, cpus []time.Duration
}

// begin is called in a portion's transaction, and counts once for each.
func (w *watch) begin() {
	if w.running {
		return
	}
	runtime.LockOSThread() // until it is committed: then it is the same thread's time
	w.running, w.began, w.worked = true, time.Now(), threadTime()
}

func (w *watch) committed(db.ChangeSet) {
	if !w.running {
		return
	}
	w.holds, w.cpus = append(w.holds, time.Since(w.began)), append(w.cpus, threadTime()-w.worked)
	w.end()
}

func (w *watch) end() {
	w.running = false
	runtime.UnlockOSThread()
}

// sweep lets the jobs of the collection delete until none is left.
func (w *watch) sweep(b *testing.B, d *db.DB, name string) {
	all := collections()
	c := all[slices.IndexFunc(all, func(c retention.Collection) bool { return c.Name == name })]
	remove, deleted := c.Delete, int64(0)
	c.Delete = func(tx *db.WriteTx, org string, until time.Time) (int64, error) {
		w.begin()
		n, err := remove(tx, org, until)
		deleted += n
		if !tx.Changed() { // then there is no commit
			w.end()
		}
		return n, err
	}
	sweeper := retention.NewSweeper(d, c)
	payload, _ := json.Marshal(name)
	for before := int64(-1); before != deleted; {
		before = deleted
		if _, err := sweeper.Sweep(b.Context(), jobs.Task{Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}

func reportTimes(b *testing.B, name string, all []time.Duration) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	for rank, at := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100, "worst": len(all) - 1} {
		b.ReportMetric(float64(all[at].Microseconds())/1000, rank+"-"+name+"-ms")
	}
}

// probe writes until stop is closed, and then tells how long each write took.
func probe(b *testing.B, d *db.DB) (stop chan struct{}, waits chan []time.Duration) {
	stop, waits = make(chan struct{}), make(chan []time.Duration, 1)
	go func() {
		var all []time.Duration
		defer func() { waits <- all }()
		for {
			began := time.Now()
			err := d.Write(context.Background(), func(tx *db.WriteTx) error {
				_, err := tx.Exec(`UPDATE users SET updated_at = updated_at + 1 WHERE id = 'usr_1'`)
				return err
			})
			if err != nil {
				b.Error(err)
				return
			}
			all = append(all, time.Since(began))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return stop, waits
}

func rowsOf(t testing.TB, d *db.DB, query string, args ...any) (n int64) {
	t.Helper()
	err := d.Read(context.Background(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
