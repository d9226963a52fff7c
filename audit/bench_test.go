package audit_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
)

// typical is an entry as a live stream leaves it.
var typical = audit.Entry{
	Actor: "usr_01JA5T3Q8ZC9W4V7KX2M6N0PQR", Org: "org_01JA5T3Q8ZC9W4V7KX2M6N0PQR", Session: "session_01JA5T3Q8ZC9W4V7KX2M6N0PQR",
	Action: audit.StreamOpened, Resource: "/v1/meetings/mtg_fra_01JA5T3Q8ZC9W4V7KX2M6N0PQR/messages", Outcome: audit.Allowed,
	Request: "BLS5OTFXYL4BAZ6SWNTKSTCLIH", Address: "203.0.113.17",
	Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
}

// BenchmarkNote is what a note costs its caller, while those before it are stored.
func BenchmarkNote(b *testing.B) {
	d := dbtest.Open(b)
	l := audit.NewLog(d, quiet)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%audit.MaxWaiting == 0 {
			b.StopTimer()
			closeLog(b, l)
			l = audit.NewLog(d, quiet)
			b.StartTimer()
		}
		note(b, l, typical)
	}
	closeLog(b, l)
}

// BenchmarkStore is how quickly a full memory is emptied.
func BenchmarkStore(b *testing.B) {
	d := dbtest.Open(b)
	b.ResetTimer()
	for left := b.N; left > 0; left -= audit.MaxWaiting {
		l := audit.NewLog(d, quiet)
		for range min(left, audit.MaxWaiting) {
			note(b, l, typical)
		}
		closeLog(b, l)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkStoreUnderLoad is how long a note waits for its commit while requests
// keep the writer busy, at a thousand notes a second.
func BenchmarkStoreUnderLoad(b *testing.B) {
	d := dbtest.Open(b)
	var mu sync.Mutex // guards the rest
	var noted []time.Time
	var waited []time.Duration
	d.OnCommit(func(set db.ChangeSet) {
		if !set.Has("audit") {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		stored := min(len(set.Changes), len(noted))
		for _, at := range noted[:stored] {
			waited = append(waited, time.Since(at))
		}
		noted = noted[stored:]
	})
	l := audit.NewLog(d, quiet)
	end := keepBusy(b, d, 500)
	tick := time.NewTicker(time.Millisecond)
	b.ResetTimer()
	for range b.N {
		<-tick.C
		mu.Lock()
		noted = append(noted, time.Now())
		mu.Unlock()
		note(b, l, typical)
	}
	closeLog(b, l)
	writes := float64(d.Stats().Closures) / b.Elapsed().Seconds()
	tick.Stop()
	end()
	slices.Sort(waited)
	b.ReportMetric(writes, "writes/s")
	b.ReportMetric(float64(waited[len(waited)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(waited[len(waited)-1].Milliseconds()), "worst-ms")
}
