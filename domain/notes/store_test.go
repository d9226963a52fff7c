package notes_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/notes"
	"connvo/domain/users"
)

// desk is a meeting that has started, with its host at its notes.
type desk struct {
	t     testing.TB
	db    *db.DB
	notes *notes.Store
	meets *meetings.Store
	host  domain.Actor
	id    domain.MeetingID
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d, happened := dbtest.Open(t), events.NewLog(nil)
	k := &desk{t: t, db: d, notes: notes.NewStore(d, happened), meets: meetings.NewStore(d, happened, "loc")}
	k.host = k.person("ada")
	m, err := k.meets.Create(context.Background(), k.host, meetings.Draft{Title: "T"})
	k.must(err)
	k.id = m.ID
	_, err = k.meets.Start(context.Background(), k.host, k.id)
	k.must(err)
	return k
}

func (k *desk) person(name string) domain.Actor {
	k.t.Helper()
	account, err := users.NewStore(k.db).SignIn(context.Background(), users.Identity{Subject: name, Email: name + "@example.com", At: k.db.Now()})
	k.must(err)
	return domain.Actor{User: account.User}
}

func (k *desk) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// submit sends edits of the host.
func (k *desk) submit(client string, base, first int64, deltas ...notes.Delta) (notes.Accepted, error) {
	edits := make([]notes.Edit, len(deltas))
	for i, d := range deltas {
		edits[i] = notes.Edit{Seq: first + int64(i), Delta: d}
	}
	return k.notes.Submit(context.Background(), k.host, k.id, notes.Submission{Client: client, Base: base, Edits: edits})
}

func (k *desk) accepted(client string, base, first int64, deltas ...notes.Delta) notes.Accepted {
	k.t.Helper()
	a, err := k.submit(client, base, first, deltas...)
	k.must(err)
	return a
}

func (k *desk) get() notes.Note {
	k.t.Helper()
	n, err := k.notes.Get(context.Background(), k.host, k.id)
	k.must(err)
	return n
}

func (k *desk) since(after int64, limit int) []notes.Logged {
	k.t.Helper()
	part, err := k.notes.Feed(context.Background(), k.host, k.id, domain.Span{After: &after, Limit: limit})
	k.must(err)
	return part.Items
}

// member returns a member of the problem, or -1.
func member(err error, name string) int64 {
	if e, found := errors.AsType[*domain.Error](err); found {
		if n, found := e.Members[name]; found {
			return n
		}
	}
	return -1
}

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
		base, began := int64(0), time.Now()
		for from := 0; from < len(edits); from += notes.MaxEdits {
			a := k.accepted("one", base, int64(from)+1, edits[from:min(from+notes.MaxEdits, len(edits))]...)
			base = a.Version
		}
		took := time.Since(began)
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
		if n := k.get(); notes.NewText(n.Content).Units() == 0 {
			b.Fatal("nothing")
		}
	}
}

type storeAuthor struct{ author }

func (a *storeAuthor) write(b *testing.B, k *desk, n int) bool {
	b.Helper()
	for range n {
		d, more := a.next(a.units)
		if !more {
			break
		}
		a.units += d.Growth()
		a.seq++
		a.pending = append(a.pending, notes.Edit{Seq: a.seq, Delta: d})
	}
	edits := a.pending
	for len(edits) > 0 && edits[0].Seq <= a.acked {
		edits = edits[1:]
	}
	if len(edits) == 0 {
		return false
	}
	a.acked = a.seq
	_, err := k.notes.Submit(context.Background(), k.host, k.id, notes.Submission{Client: a.id, Base: a.base, Edits: edits})
	k.must(err)
	return true
}
