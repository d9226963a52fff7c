package notes_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"connvo/domain/notes"
)

// storedErases are more than those of the trace, in whose place stored ones are:
// with as many edits the text stays below MaxDocument, which it would not.
const (
	storedErases  = traceErases + 6_000
	storedInserts = traceInserts - 6_000
)

// BenchmarkStoreTraceByOne is a trace of a long text through the Store, in requests
// of many edits; then the document is opened, and what it was at any version.
func BenchmarkStoreTraceByOne(b *testing.B) {
	edits, units := []notes.Delta{}, 0
	typist := newTypist(1)
	typist.inserts, typist.erases = storedInserts, storedErases
	for d, more := typist.next(0); more; d, more = typist.next(units) {
		units += d.Growth()
		edits = append(edits, d)
	}
	for b.Loop() {
		k := newDesk(b)
		base, began, cpu := int64(0), time.Now(), cpuTime(b)
		for from := 0; from < len(edits); from += notes.MaxEdits {
			a := k.accepted("one", base, int64(from)+1, edits[from:min(from+notes.MaxEdits, len(edits))]...)
			base = a.Version
		}
		took := time.Since(began)
		b.ReportMetric((cpuTime(b) - cpu).Seconds(), "cpu-s")
		began = time.Now()
		if n := k.get(); len(n.Content) != storedInserts-storedErases {
			b.Fatal(len(n.Content))
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "open-ms")
		b.ReportMetric(took.Seconds(), "trace-s")
		var worst time.Duration
		for _, l := range k.since(base-2_000, 1_100) {
			began := time.Now()
			_, err := k.notes.At(b.Context(), k.host, k.id, l.Version)
			k.must(err)
			worst = max(worst, time.Since(began))
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "worst-version-ms")
	}
}

// BenchmarkStoreTraceByTwo is the trace by two, each 20 edits behind the other.
func BenchmarkStoreTraceByTwo(b *testing.B) {
	for b.Loop() {
		k := newDesk(b)
		began, cpu := time.Now(), cpuTime(b)
		var authors []*storeAuthor
		for seed, id := range []string{"a", "b"} {
			a := &storeAuthor{author: author{editor: editor{id: id}, typist: newTypist(uint64(seed) + 1)}}
			a.inserts, a.erases = storedInserts/2, storedErases/2
			authors = append(authors, a)
		}
		for more := true; more; {
			more = false
			for _, a := range authors {
				news := k.since(a.base, 200)
				more = a.write(b, k, 20) || more
				revisions := make([]notes.Revision, len(news))
				for i, l := range news {
					revisions[i] = l.Revision
				}
				a.read(b, revisions)
			}
		}
		b.ReportMetric(time.Since(began).Seconds(), "trace-s")
		b.ReportMetric((cpuTime(b) - cpu).Seconds(), "cpu-s")
		if n := k.get(); notes.NewText(n.Content).Units() == 0 {
			b.Fatal("nothing")
		}
	}
}

// cpuTime is the processor time that the process has taken, which on a busy machine
// says more than a clock does.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type storeAuthor struct{ author }

func (a *storeAuthor) write(b *testing.B, k *desk, n int) bool {
	b.Helper()
	edits := a.next(n)
	if len(edits) == 0 {
		return false
	}
	_, err := k.notes.Submit(context.Background(), k.host, k.id, notes.Submission{Client: a.id, Base: a.base, Edits: edits})
	k.must(err)
	return true
}
