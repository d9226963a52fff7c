package transcripts_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/domain"
	"connvo/domain/transcripts"
)

// drafts draws what somebody says, in no order of time.
func (r *room) drafts(t *rapid.T) []transcripts.Draft {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) transcripts.Draft {
		said := rapid.SliceOfN(rapid.SampledFrom([]string{"The", "budget", "Bûdgets", "is", "launch", "läunched", "会议", "⟦", "\n\n", "--> &<b>"}), 0, 6).Draw(t, "said")
		start := time.Duration(rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(290, 310)).Draw(t, "start")) * time.Second
		d := transcripts.Draft{
			Text: "x" + strings.Join(said, " "), Start: start, End: start + time.Duration(rapid.IntRange(1, 4000).Draw(t, "length"))*time.Millisecond,
			Confidence: float64(rapid.IntRange(0, 1000).Draw(t, "confidence")) / 1000, Language: rapid.SampledFrom([]string{"", "en", "fr"}).Draw(t, "language"),
		}
		switch who := rapid.SampledFrom([]string{"", "ada", "A", "A", "B"}).Draw(t, "speaker"); who {
		case "ada":
			d.Speaker = r.ada.User
		default:
			d.Label = who
		}
		return d
	}), 1, 5).Draw(t, "drafts")
}

// Whatever is said, in whatever order, settled or not: each answer is that of all chunks.
func TestAnswersAreThoseOfAllChunks(t *testing.T) {
	r := newRoom(t)
	rapid.Check(t, func(rt *rapid.T) {
		r.id = r.start()
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"say", "say", "say", "settle", "name"}).Draw(rt, "step") {
			case "say":
				r.append(r.drafts(rt)...)
			case "settle":
				r.settle()
			case "name":
				_, _ = r.store.Name(t.Context(), r.ada, r.id, rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "label"), r.grace.User)
			}
		}
		all := r.all(transcripts.Filter{})
		f := transcripts.Filter{
			Speaker: rapid.SampledFrom([]string{"", "A", string(r.ada.User), string(r.grace.User)}).Draw(rt, "of"),
			From:    time.Duration(rapid.IntRange(0, 20).Draw(rt, "from")) * time.Second,
			To:      time.Duration(rapid.SampledFrom([]int{0, 10, 300}).Draw(rt, "to")) * time.Second,
		}
		r.checkSegments(rt, all, f, rapid.IntRange(1, 4).Draw(rt, "limit"))
		r.checkSearch(rt, all, f, rapid.SampledFrom([]string{"the", "budget", "bud", "launch THE", "会", "x", "b", "ne", "xthe"}).Draw(rt, "query"))
		r.checkStats(rt, all)
		r.checkExport(rt, all)
		if n := r.number(selectMeantWrongly, r.id); n != 0 {
			rt.Fatalf("of %d segments it is not stored what they are about, or of the last it is", n)
		}
	})
}

// selectMeantWrongly counts the segments that others follow without knowing what they
// are about, and the last where that is stored.
const selectMeantWrongly = `
SELECT count(*)
FROM segments AS g
WHERE meeting_id = ?1 AND (topics IS NOT NULL) <> EXISTS (
  SELECT 1
  FROM segments AS n
  WHERE n.meeting_id = g.meeting_id AND (n.start_ms, n.first) > (g.start_ms, g.first)
)`

func passes(f transcripts.Filter, c transcripts.Chunk, start, end time.Duration) bool {
	return (f.Speaker == "" || string(c.Speaker) == f.Speaker || c.Label == f.Speaker) && end > f.From && (f.To == 0 || start < f.To)
}

func (r *room) checkSegments(t *rapid.T, all []transcripts.Chunk, f transcripts.Filter, limit int) {
	var want, got []string
	for _, s := range transcripts.Segments(all) {
		if passes(f, s.Chunks[0], s.Start, s.End) {
			want = append(want, told(s))
		}
	}
	var next transcripts.Place
	for range 100 {
		page, after, err := r.store.Segments(r.t.Context(), r.ada, r.id, f, next, limit)
		r.must(err)
		for _, s := range page {
			got = append(got, told(s))
		}
		if next = after; next == (transcripts.Place{}) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("segments %+v\n%v\nwant\n%v", f, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// told is everything that is answered of a segment.
func told(s transcripts.Segment) string {
	sentiment, known := s.Sentiment()
	return fmt.Sprint(s.ID(), s.Speaker, s.Label, s.Start, s.End, s.Text(), s.Topics(), sentiment, known)
}

// fold is a simple account of how the words of the test are compared.
func fold(text string) []string {
	text = strings.NewReplacer("û", "u", "ä", "a", "会议", " 会 议 ").Replace(strings.ToLower(text))
	return strings.FieldsFunc(text, func(r rune) bool { return !(r >= 'a' && r <= 'z') && r != '会' && r != '议' })
}

func (r *room) checkSearch(t *rapid.T, all []transcripts.Chunk, f transcripts.Filter, query string) {
	var want, got []int64
	asked := fold(query)
	for _, c := range slices.Backward(all) {
		found := passes(f, c, c.Start, c.End)
		for i, q := range asked {
			found = found && slices.ContainsFunc(fold(c.Text), func(w string) bool {
				return w == q || i == len(asked)-1 && len([]rune(q)) >= 3 && strings.HasPrefix(w, q)
			})
		}
		if found {
			want = append(want, c.Position)
		}
	}
	for below := int64(domain.MaxNumber); below != 0; {
		page, more, err := r.store.Search(r.t.Context(), r.ada, r.id, query, f, below, 2)
		r.must(err)
		for _, c := range page {
			got = append(got, c.Position)
			if !strings.Contains(c.Snippet, "⟧") {
				t.Fatalf("%q in %q: %q", query, c.Text, c.Snippet)
			}
		}
		below = more
	}
	if !slices.Equal(got, want) {
		t.Fatalf("search for %q %+v: %v, want %v", query, f, got, want)
	}
}

func (r *room) checkStats(t *rapid.T, all []transcripts.Chunk) {
	got, err := r.store.Stats(r.t.Context(), r.ada, r.id)
	r.must(err)
	words, spoken, sure := int64(0), int64(0), int64(0)
	for _, c := range all {
		words += int64(len(strings.Fields(c.Text)))
		spoken += (c.End - c.Start).Milliseconds()
		sure += int64(c.Confidence*1000 + 0.5)
	}
	if n := int64(len(all)); got.Chunks != n || got.Words != words || n > 0 && got.Confidence != float64(sure/n)/1000 {
		t.Fatalf("%+v, want %d chunks, %d words", got, n, words)
	}
	for _, s := range got.Speakers {
		spoken -= s.SpokenMs
		for _, c := range all {
			if c.Speaker == s.User && (s.User != "" || c.Label == s.Label) {
				s.Chunks--
			}
		}
		if s.Chunks != 0 {
			t.Fatalf("%+v: too many or too few by %d", s, s.Chunks)
		}
	}
	if spoken != 0 {
		t.Fatalf("%d ms are nobody's, or twice", spoken)
	}
}

func (r *room) checkExport(t *rapid.T, all []transcripts.Chunk) {
	want := slices.SortedFunc(slices.Values(all), func(a, b transcripts.Chunk) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Position, b.Position))
	})
	var got []transcripts.Spoken
	e := r.store.Export(r.ada, r.id)
	for {
		page, err := e.Next(r.t.Context())
		r.must(err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d chunks exported of %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.Position != w.Position || g.Text != w.Text || g.Speaker != w.Speaker || g.Start != w.Start || g.End != w.End || g.Confidence != w.Confidence || g.Language != w.Language {
			t.Fatalf("%+v, want %+v", g, w)
		}
	}
}

// What is settled while an export goes on is in it once, and what is said meanwhile
// does not disturb it.
func TestExportGoesOnWhileChunksAreSettled(t *testing.T) {
	r := newRoom(t)
	say := func(n int, every, from time.Duration) {
		for i := range n {
			d := says(fmt.Sprint("chunk ", i), from+time.Duration(i)*every)
			d.Label = string(rune('A' + i%2))
			r.append(d)
		}
	}
	say(300, 2*time.Second, 0)
	r.settle()
	say(300, 2*time.Second, time.Second)
	want := len(r.whole())
	e := r.store.Export(r.ada, r.id)
	seen := map[int64]bool{}
	last := transcripts.Chunk{Start: -1}
	for n := 0; ; n++ {
		page, err := e.Next(t.Context())
		r.must(err)
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			if seen[c.Position] || c.Start < last.Start {
				t.Fatalf("%+v after %+v", c, last)
			}
			seen[c.Position] = true
			last = c.Chunk
		}
		if n == 0 {
			r.append(says("late", 0), says("later", time.Second))
			r.settle()
		}
	}
	if len(seen) != want {
		t.Errorf("%d chunks of %d", len(seen), want)
	}
}

// whole returns all of the transcript, page by page.
func (r *room) whole() (all []transcripts.Chunk) {
	after := int64(0)
	for {
		part, err := r.store.Feed(r.t.Context(), r.ada, r.id, transcripts.Filter{}, domain.Span{After: &after, Limit: domain.MaxFeedPage})
		r.must(err)
		all = append(all, part.Items...)
		if !part.More {
			return all
		}
		after = part.Items[len(part.Items)-1].Position
	}
}

// A chunk that joins two stored segments, and is not settled, hides none that follows.
func TestPageOfSegmentsThatAreJoined(t *testing.T) {
	r := newRoom(t)
	other := says("other", 20*time.Second)
	other.Label = "A"
	r.append(says("one", 0), says("two", 8*time.Second), other)
	r.settle()
	r.append(says("between", 4*time.Second))
	page, next, err := r.store.Segments(t.Context(), r.ada, r.id, transcripts.Filter{}, transcripts.Place{}, 1)
	if err != nil || len(page) != 1 || page[0].Text() != "one between two" {
		t.Fatalf("%+v %v", page, err)
	}
	page, next, err = r.store.Segments(t.Context(), r.ada, r.id, transcripts.Filter{}, next, 1)
	if err != nil || len(page) != 1 || page[0].Text() != "other" || next != (transcripts.Place{}) {
		t.Errorf("%+v %v %v", page, next, err)
	}
}

func TestWhoMayNotReadIsRefused(t *testing.T) {
	r := newRoom(t)
	ctx, f := t.Context(), transcripts.Filter{}
	for name, read := range map[string]func(who domain.Actor) error{
		"segments": func(who domain.Actor) error {
			_, _, err := r.store.Segments(ctx, who, r.id, f, transcripts.Place{}, 1)
			return err
		},
		"search": func(who domain.Actor) error {
			_, _, err := r.store.Search(ctx, who, r.id, "x", f, domain.MaxNumber, 1)
			return err
		},
		"stats":  func(who domain.Actor) error { _, err := r.store.Stats(ctx, who, r.id); return err },
		"export": func(who domain.Actor) error { _, err := r.store.Export(who, r.id).Next(ctx); return err },
	} {
		if err := read(r.vera); err != nil {
			t.Errorf("%s, an observer: %v", name, err)
		}
		if err := read(r.linus); domain.KindOf(err) != domain.Forbidden {
			t.Errorf("%s, who has not come: %v", name, err)
		}
	}
}
