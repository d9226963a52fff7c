package notes_test

import (
	"math/rand/v2"
	"testing"

	"connvo/domain/notes"
)

// typist makes the keystrokes of someone who writes a long text: runs of
// insertions and of deletions of one unit each, with jumps between them, in the
// numbers of the automerge-paper trace.
type typist struct {
	rng             *rand.Rand
	inserts, erases int // still to come
	cursor          int
	run             int // left of the run
	typing          bool
}

const (
	traceInserts = 182_315
	traceErases  = 77_463
)

func newTypist(seed uint64) *typist {
	return &typist{rng: rand.New(rand.NewPCG(seed, 1)), inserts: traceInserts, erases: traceErases}
}

// next returns a keystroke for a text of that many units, and false at the end.
func (p *typist) next(units int) (notes.Delta, bool) {
	if p.inserts+p.erases == 0 {
		return nil, false
	}
	p.cursor = min(p.cursor, units)
	if p.run == 0 || p.typing && p.inserts == 0 || !p.typing && (p.erases == 0 || p.cursor == 0) {
		p.begin(units)
	}
	p.run--
	if p.typing {
		p.inserts--
		p.cursor++
		return notes.Delta{notes.Retain(p.cursor - 1), notes.Insert(string(rune('a' + p.rng.IntN(26))))}.Normalize(), true
	}
	p.erases--
	p.cursor--
	return notes.Delta{notes.Retain(p.cursor), notes.Delete(1)}.Normalize(), true
}

// begin starts a run: of some 15 insertions or 6 deletions, every third elsewhere
// in the text.
func (p *typist) begin(units int) {
	if p.rng.IntN(3) == 0 {
		p.cursor = p.rng.IntN(units + 1)
	}
	p.typing = p.rng.IntN(p.inserts/15+p.erases/6+2) <= p.inserts/15
	if units == 0 || p.erases == 0 {
		p.typing = true
	} else if p.inserts == 0 {
		p.typing = false
	}
	if !p.typing && p.cursor == 0 {
		p.cursor = units
	}
	most := 11
	if p.typing {
		most = 29
	}
	p.run = 1 + p.rng.IntN(most)
}

func trace(seed uint64) []notes.Delta {
	all := make([]notes.Delta, 0, traceInserts+traceErases)
	p, units := newTypist(seed), 0
	for {
		d, more := p.next(units)
		if !more {
			return all
		}
		units += d.Growth()
		all = append(all, d)
	}
}

func TestTraceOnATextAndOneByOne(t *testing.T) {
	edits := trace(1)
	text := notes.NewText("")
	for i, d := range edits {
		before := ""
		if i%997 == 0 {
			before = text.String()
		}
		if err := text.Apply(d); err != nil {
			t.Fatal(i, err)
		}
		if i%997 == 0 && apply(t, before, d) != text.String() {
			t.Fatalf("edit %d, %s, is not the same on a Text", i, show(d))
		}
	}
	if len(edits) != 259_778 || text.Units() != 104_852 || notes.NewText(text.String()).Units() != 104_852 {
		t.Errorf("%d edits make %d units", len(edits), text.Units())
	}
}

func BenchmarkTraceOnText(b *testing.B) {
	edits := trace(1)
	for b.Loop() {
		text := notes.NewText("")
		for _, d := range edits {
			if err := text.Apply(d); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(edits)), "ns/edit")
}

// BenchmarkTraceOnStrings is what BenchmarkTraceOnText would be without Text.
func BenchmarkTraceOnStrings(b *testing.B) {
	edits := trace(1)
	for b.Loop() {
		text := ""
		for _, d := range edits {
			text = apply(b, text, d)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(edits)), "ns/edit")
}

// BenchmarkTraceParsedAndWritten is what the edits cost as JSON, in and out.
func BenchmarkTraceParsedAndWritten(b *testing.B) {
	edits := trace(1)
	for b.Loop() {
		for _, d := range edits {
			if _, err := notes.Parse([]byte(show(d))); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(edits)), "ns/edit")
}

func BenchmarkLoad(b *testing.B) {
	text := notes.NewText("")
	for _, d := range trace(1) {
		if err := text.Apply(d); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		text = notes.NewText(text.String())
	}
}

// BenchmarkTraceByOne and ByTwo send the trace to a server, in requests of 20
// edits; the two are 20 edits of the other behind when they write.
func BenchmarkTraceByOne(b *testing.B) {
	for b.Loop() {
		s := newServer(func() int64 { return 1 })
		a := &author{editor: editor{id: "a"}, typist: newTypist(1)}
		for a.write(b, s, 20) {
			a.read(b, s.revisions[a.known:])
			a.known = len(s.revisions)
		}
		if s.text.Units() != traceInserts-traceErases {
			b.Fatal(s.text.Units())
		}
	}
}

func BenchmarkTraceByTwo(b *testing.B) {
	for b.Loop() {
		s := newServer(func() int64 { return 1 })
		var authors []*author
		for seed, id := range []string{"a", "b"} {
			authors = append(authors, &author{editor: editor{id: id}, typist: newTypist(uint64(seed) + 1)})
			authors[seed].inserts, authors[seed].erases = traceInserts/2, traceErases/2
		}
		for more := true; more; {
			more = false
			for _, a := range authors {
				known := len(s.revisions)
				more = a.write(b, s, 20) || more
				a.read(b, s.revisions[a.known:known])
				a.known = known
			}
		}
	}
}

// author writes without looking: it keeps the length of its text alone.
type author struct {
	editor
	*typist
	units, known int
}

// next returns its next n edits as they are to be sent, fewer at the end.
func (a *author) next(n int) []notes.Edit {
	first := len(a.sent)
	for range n {
		d, more := a.typist.next(a.units)
		if !more {
			break
		}
		a.units += d.Growth()
		a.seq++
		a.sent = append(a.sent, notes.Edit{Seq: a.seq, Delta: d})
	}
	return a.sent[first:]
}

func (a *author) write(b *testing.B, s *server, n int) bool {
	edits := a.next(n)
	if len(edits) == 0 {
		return false
	}
	if answer := s.submit(request{a.id, 1, a.base, edits}); answer.err != nil {
		b.Fatal(answer.err)
	}
	return true
}

func (a *author) read(b *testing.B, revisions []notes.Revision) {
	for _, r := range revisions {
		if r.Client == a.id {
			if !a.sent[0].Delta.Equal(r.Delta) {
				b.Fatalf("%s is %s", show(a.sent[0].Delta), show(r.Delta))
			}
			a.sent, a.base = a.sent[1:], r.Version
			continue
		}
		over := r.Delta
		for i, p := range a.sent {
			a.sent[i].Delta, over = notes.Transform(p.Delta, over, false), notes.Transform(over, p.Delta, true)
		}
		a.units, a.base = a.units+over.Growth(), r.Version
	}
}

// BenchmarkRebaseAtItsLimit is the longest that one request takes: short edits
// past many revisions, and long ones past few.
func BenchmarkRebaseAtItsLimit(b *testing.B) {
	for name, c := range map[string]struct{ revisions, edits, places int }{"short": {990, 500, 1}, "long": {40, 12, 1_000}} {
		b.Run(name, func(b *testing.B) {
			var history []notes.Revision
			var edits []notes.Edit
			var d notes.Delta
			for range c.places {
				d = append(d, notes.Retain(2), notes.Insert("m"))
			}
			for i := range c.revisions {
				history = append(history, notes.Revision{Version: int64(i + 1), Client: "other", Seq: int64(i + 1), Delta: notes.Delta{notes.Retain(i), notes.Insert("o")}.Normalize()})
				if c.places > 1 {
					history[i].Delta = d
				}
			}
			for i := range c.edits {
				edits = append(edits, notes.Edit{Seq: int64(i + 1), Delta: d})
			}
			for b.Loop() {
				if _, _, err := (notes.Client{ID: "me"}).Rebase(history, 90_000, 0, edits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
