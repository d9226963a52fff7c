package transcripts

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/domain"
)

// list is stored segments, in order.
type list []Segment

func (l list) upTo(k key) (Segment, bool, error) {
	for _, s := range slices.Backward(l) {
		if s.key().compare(k) <= 0 {
			return s, true, nil
		}
	}
	return Segment{}, false, nil
}

func (l list) after(k key) (Segment, bool, error) {
	for _, s := range l {
		if s.key().compare(k) > 0 {
			return s, true, nil
		}
	}
	return Segment{}, false, nil
}

// revised returns the list as a revision leaves it.
func (l list) revised(t *rapid.T, v revision) list {
	for _, k := range v.gone {
		i := slices.IndexFunc(l, func(s Segment) bool { return s.key() == k })
		if i < 0 {
			t.Fatalf("%v is gone, and was not there", k)
		}
		l = slices.Delete(slices.Clone(l), i, i+1)
	}
	for _, s := range v.now {
		l = append(slices.DeleteFunc(slices.Clone(l), func(o Segment) bool { return o.key() == s.key() }), s)
	}
	slices.SortFunc(l, func(a, b Segment) int { return a.key().compare(b.key()) })
	return l
}

// spoken draws chunks that come close to every bound of a segment.
var spoken = rapid.Custom(func(t *rapid.T) Chunk {
	start := rapid.OneOf(rapid.Int64Range(0, 40), rapid.Int64Range(280, 320), rapid.Int64Range(0, 700)).Draw(t, "start") * 1000
	length := rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Just(int64(119_000)), rapid.Just(int64(200_000))).Draw(t, "length")
	return Chunk{
		Speaker:  domain.UserID(rapid.SampledFrom([]string{"", "usr_a"}).Draw(t, "speaker")),
		Label:    rapid.SampledFrom([]string{"", "", "", "S1"}).Draw(t, "label"),
		Language: rapid.SampledFrom([]string{"", "en", "en", "de"}).Draw(t, "language"),
		Text:     strings.Repeat("x", rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(1300, 1400)).Draw(t, "text")),
		Start:    time.Duration(start) * time.Millisecond, End: time.Duration(start+length) * time.Millisecond,
		Confidence: float64(rapid.IntRange(0, confidences).Draw(t, "confidence")) / confidences,
	}
})

// However chunks come, in whatever order and portions, what is stored is what a fresh
// look at all of them finds.
func TestRevisedSegmentsAreFreshOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(spoken, 1, 60).Draw(t, "chunks")
		var stored list
		for done := 0; done < len(all); {
			n := rapid.IntRange(1, len(all)-done).Draw(t, "portion")
			for i := range n {
				all[done+i].Position = int64(done + i + 1)
			}
			v, err := revise(stored, all[done:done+n])
			if err != nil {
				t.Fatal(err)
			}
			done += n
			stored = stored.revised(t, v)
			if want := Segments(all[:done]); !reflect.DeepEqual([]Segment(stored), want) {
				t.Fatalf("stored %v\nfresh %v", stored, want)
			}
		}
		for _, s := range stored {
			back := Segment{Speaker: s.Speaker, Label: s.Label, Start: s.Start, End: s.End, closed: s.closed}
			if err := back.unpack(pack(s.Chunks), s.Text()); err != nil || !reflect.DeepEqual(back, s) {
				t.Fatalf("packed %+v, unpacked %+v: %v", s, back, err)
			}
		}
	})
}

func TestSegmentsKeepTheirBounds(t *testing.T) {
	at := func(speaker string, start, end float64, text string) Chunk {
		return Chunk{Speaker: domain.UserID(speaker), Text: text, Start: time.Duration(start * float64(time.Second)), End: time.Duration(end * float64(time.Second))}
	}
	for _, c := range []struct {
		name     string
		a, b     Chunk
		together bool
	}{
		{"a pause of 5 s", at("a", 0, 1, "x"), at("a", 6, 7, "y"), true},
		{"a longer pause", at("a", 0, 1, "x"), at("a", 6.001, 7, "y"), false},
		{"another speaker", at("a", 0, 1, "x"), at("b", 1, 2, "y"), false},
		{"two minutes", at("a", 0, 100, "x"), at("a", 100, 120, "y"), true},
		{"more than two minutes", at("a", 0, 100, "x"), at("a", 100, 120.001, "y"), false},
		{"said at the same time", at("a", 0, 20, "x"), at("a", 5, 6, "y"), true},
		{"the next five minutes", at("a", 299, 299.5, "x"), at("a", 300, 301, "y"), false},
		{"4 KiB", at("a", 0, 1, "x"), at("a", 1, 2, strings.Repeat("y", maxSegmentText-2)), true},
		{"more than 4 KiB", at("a", 0, 1, "x"), at("a", 1, 2, strings.Repeat("y", maxSegmentText-1)), false},
	} {
		c.a.Position, c.b.Position = 2, 1
		got := Segments([]Chunk{c.b, c.a})
		if (len(got) == 1) != c.together {
			t.Errorf("%s: %d segments", c.name, len(got))
		}
		if got[0].Chunks[0].Text != c.a.Text {
			t.Errorf("%s: begins with %q", c.name, got[0].Chunks[0].Text)
		}
	}
}

// FuzzUnpack: nothing that a file may hold makes the server fall over.
func FuzzUnpack(f *testing.F) {
	f.Add(pack([]Chunk{{Position: 7, Text: "hi", Language: "en", End: time.Second}, {Position: 3, Text: "you", Start: time.Second, End: time.Minute, Confidence: 1}}), "hi you")
	f.Fuzz(func(t *testing.T, pieces []byte, text string) {
		var s Segment
		if err := s.unpack(pieces, text); err == nil && s.Text() != text {
			t.Errorf("%q has become %q", text, s.Text())
		}
		if len(s.Chunks) > 0 && s.Chunks[0].Confidence > 1 || math.IsNaN(s.Start.Seconds()) {
			t.Error(s)
		}
	})
}
