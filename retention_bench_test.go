package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
	"connvo/retention"
)

// BenchmarkSweepMessages deletes messages that are past their time, 150,000 short
// ones and two thousand of nearly the greatest length, while somebody writes a row
// again and again: worst-hold is the longest that the writer was held by one
// portion, worst-cpu the most of a processor's time that one took, which others on the
// machine do not lengthen, worst-wait the longest of those writes, its own commit
// included.
func BenchmarkSweepMessages(b *testing.B) {
	for _, c := range []struct {
		name     string
		rows     int
		meetings int
		content  string
	}{
		{"short", 150_000, 1000, "we talk about topic%d and point of the plan, number%[1]d of them"},
		{"long", 2_000, 100, strings.Repeat("topic%[1]d point of plan number%[1]d ", 100)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				sweepOnce(b, c.rows, c.meetings, c.content)
			}
		})
	}
}

func sweepOnce(b *testing.B, rows, meetings int, content string) {
	b.StopTimer()
	d := dbtest.Open(b, func(o *db.Options) { o.Log = slog.New(slog.DiscardHandler) })
	fillChats(b, d, rows, meetings, content)
	var holds, works []time.Duration
	all := collections()
	messages := &all[0]
	remove := messages.Delete
	var began time.Time
	var now time.Time
	messages.Delete = func(tx *db.WriteTx, org string, until time.Time) (int64, error) {
		if tx.Now != now { // the first of a portion
			now, began, holds, works = tx.Now, time.Now(), append(holds, 0), append(works, 0)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		worked := threadTime()
		n, err := remove(tx, org, until)
		holds[len(holds)-1] = time.Since(began)
		works[len(works)-1] += threadTime() - worked
		return n, err
	}
	sweeper := retention.NewSweeper(d, *messages)
	stop, waits := probe(b, d)
	b.StartTimer()
	for n := int64(1); n > 0; {
		payload, _ := json.Marshal(messages.Name)
		if _, err := sweeper.Sweep(b.Context(), jobs.Task{Payload: payload}); err != nil {
			b.Fatal(err)
		}
		n = rowsOf(b, d, `SELECT count(*) FROM chats`)
	}
	b.StopTimer()
	close(stop)
	took := <-waits
	for name, all := range map[string][]time.Duration{"hold": holds, "cpu": works, "wait": took} {
		slices.Sort(all)
		for rank, at := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100, "worst": len(all) - 1} {
			b.ReportMetric(float64(all[at].Microseconds())/1000, rank+"-"+name+"-ms")
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	if n := rowsOf(b, d, `SELECT count(*) FROM messages`); n != 0 {
		b.Fatalf("%d messages are left", n)
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

// fillChats stores messages of 1970 in meetings of nobody.
func fillChats(b *testing.B, d *db.DB, rows, meetings int, content string) {
	const batch = 2000
	write := func(f func(tx *db.WriteTx) error) {
		if err := d.Write(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
	write(func(tx *db.WriteTx) error {
		if _, err := tx.Exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('usr_1', 's', 0, '', '', 0, 0)`); err != nil {
			return err
		}
		for m := range meetings {
			if _, err := tx.Exec(`INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription, created_at, updated_at, title, description)
				VALUES (?, 'concluded', 'usr_1', '', 'webinar', 1, 1, 0, 0, 0, 0, '', '')`, fmt.Sprint("mtg_loc_", m)); err != nil {
				return err
			}
		}
		return nil
	})
	for from := 0; from < rows; from += batch {
		write(func(tx *db.WriteTx) error {
			for i := from; i < from+batch; i++ {
				_, err := tx.Exec(`INSERT INTO messages (seq, meeting_id, thread, position, user_id, created_at, attachments, content) VALUES (?1, ?2, ?1, ?1, 'usr_1', ?1, '', ?3)`,
					tx.Next(), fmt.Sprint("mtg_loc_", i%meetings), fmt.Sprintf(content, i))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
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
