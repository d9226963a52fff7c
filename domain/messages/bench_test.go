package messages_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/messages"
)

// BenchmarkPost is the whole write of a message, by 500 callers at once: the
// decision, the message, its event, in groups that are durable when answered;
// alone, and beside a thousand entries a second of the record.
func BenchmarkPost(b *testing.B) {
	for name, entries := range map[string]int{"alone": 0, "recorded": 1000} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b)
			r := openRoom(b, d)
			end := keepRecording(b, d, entries)
			b.SetParallelism(250) // times two cores
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := r.chat.Post(context.Background(), r.host, r.id, messages.Draft{Content: "hello, everyone"}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			end()
		})
	}
}

// keepRecording notes so many entries a second until the function it returns is
// called.
func keepRecording(b *testing.B, d *db.DB, each int) (end func()) {
	b.Helper()
	record := audit.NewLog(d, slog.New(slog.DiscardHandler))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for range each / 100 {
				e := audit.Entry{Actor: "usr_01JA5T3Q8ZC9W4V7KX2M6N0PQR", Action: audit.MeetingRead, Resource: "mtg_fra_01JA5T3Q8ZC9W4V7KX2M6N0PQR", Outcome: audit.Allowed, Detail: `{"path":"/v1/me"}`}
				if err := record.Note(e); err != nil {
					b.Error(err)
					return
				}
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		if err := record.Close(b.Context()); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkSearch looks for words in a meeting of 100,000 messages, beside
// another of as many that have the same words, and reports the p95 of each kind
// of query: of words that many, few and no messages have.
func BenchmarkSearch(b *testing.B) {
	d := dbtest.Open(b)
	r := openRoom(b, d)
	other := r.another(b, "mtg_loc_OTHER")
	const each, batch = 100_000, 1000
	for from := 0; from < each; from += batch {
		err := d.Write(context.Background(), func(tx *db.WriteTx) error {
			for i := from; i < from+batch; i++ {
				for _, meeting := range []domain.MeetingID{r.id, other} {
					seq := tx.Next()
					content := fmt.Sprintf("we talk about topic%d and point%d of the plan, number%d of them", i%1000, i%7, i)
					if _, err := tx.Exec(insertRow, seq, meeting, r.host.User, content); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for name, query := range map[string]string{
		"common": "the plan", "rare": "number4711", "none": "absent", "both": "topic17 point3", "apart": "topic17 topic18", "prefix": "top", "long prefix": "number4", "many prefixes": "numbe", "all": "we talk about the plan of them",
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, _, err := r.chat.Search(context.Background(), r.host, r.id, query, domain.MaxNumber, 20); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

const insertRow = `
INSERT INTO messages (seq, meeting_id, thread, position, user_id, created_at, attachments, content)
VALUES (?1, ?2, ?1, ?1, ?3, 0, '', ?4)`
