package transcripts_test

import (
	"runtime"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/transcripts"
)

// BenchmarkExport exports 50,000 chunks: when the first page is there, and how much
// more memory than at the beginning is in use at most.
func BenchmarkExport(b *testing.B) {
	r := newRoom(b)
	r.talk(b, benchExported)
	var first time.Duration
	var most uint64
	for b.Loop() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		start := m.HeapAlloc
		began := time.Now()
		e, w := r.store.Export(r.ada, r.id), transcripts.Writer{Format: transcripts.VTT}
		var file []byte
		n := 0
		for {
			page, err := e.Next(b.Context())
			r.must(err)
			if n == 0 {
				first = max(first, time.Since(began))
			}
			if len(page) == 0 {
				break
			}
			n += len(page)
			file = w.Append(file[:0], page)
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc-min(start, m.HeapAlloc))
		}
		if n != benchExported {
			b.Fatalf("%d chunks", n)
		}
	}
	b.ReportMetric(float64(first.Microseconds())/1000, "first-ms")
	b.ReportMetric(float64(most)/(1<<20), "most-MiB")
}

// BenchmarkSegments reads a page of segments of a long meeting.
func BenchmarkSegments(b *testing.B) {
	r := newRoom(b)
	r.talk(b, benchExported)
	for b.Loop() {
		page, _, err := r.store.Segments(b.Context(), r.ada, r.id, transcripts.Filter{}, transcripts.Place{}, domain.MaxPage)
		r.must(err)
		for _, s := range page {
			s.Topics()
			s.Sentiment()
		}
	}
}

// BenchmarkRareSpeaker asks a long meeting for what somebody said who said nothing: a
// page of chunks, and one of segments.
func BenchmarkRareSpeaker(b *testing.B) {
	r := newRoom(b)
	r.talk(b, benchExported)
	nobody := transcripts.Filter{Speaker: "Nobody"}
	b.Run("chunks", func(b *testing.B) {
		for b.Loop() {
			_, err := r.store.Feed(b.Context(), r.ada, r.id, nobody, domain.Span{Limit: domain.MaxFeedPage})
			r.must(err)
		}
	})
	b.Run("segments", func(b *testing.B) {
		for b.Loop() {
			_, _, err := r.store.Segments(b.Context(), r.ada, r.id, nobody, transcripts.Place{}, domain.MaxPage)
			r.must(err)
		}
	})
}

// BenchmarkStats adds up those of a long meeting.
func BenchmarkStats(b *testing.B) {
	r := newRoom(b)
	r.talk(b, benchExported)
	for b.Loop() {
		_, err := r.store.Stats(b.Context(), r.ada, r.id)
		r.must(err)
	}
}
