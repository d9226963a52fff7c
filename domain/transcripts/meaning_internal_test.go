package transcripts

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func said(language string, texts ...string) (s Segment) {
	for _, text := range texts {
		s.Chunks = append(s.Chunks, Chunk{Text: text, Language: language})
	}
	return s
}

func TestSentimentIsThatOfEnglish(t *testing.T) {
	for _, c := range []struct {
		language, text string
		sign           float64
		known          bool
	}{
		{"en", "This is a great result, I love it!", 1, true},
		{"en-US", "The  deadline is a terrible disaster", -1, true},
		{"EN", "The table has four legs", 0, true},
		{"de", "Das ist toll", 0, false},
		{"", "This is great", 0, false},
	} {
		got, known := said(c.language, c.text).Sentiment()
		if known != c.known || (got > 0) != (c.sign > 0) || (got < 0) != (c.sign < 0) {
			t.Errorf("%q: %v %v", c.text, got, known)
		}
	}
}

// A topic is not cut where a chunk ends, but chunks are not read as one sentence.
func TestTopicsOfASegment(t *testing.T) {
	got := said("en", "the launch budget is small", "we need a bigger launch budget").Topics()
	if !slices.Contains(got, "launch budget") {
		t.Errorf("%q", got)
	}
	if got := said("en", "um").Topics(); got == nil || len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func FuzzSentiment(f *testing.F) {
	f.Add("not good :( 😀 but GREAT!!!")
	f.Fuzz(func(t *testing.T, text string) {
		if v, _ := said("en", text).Sentiment(); math.IsNaN(v) || v < -1 || v > 1 {
			t.Errorf("%q: %v", text, v)
		}
	})
}

// BenchmarkMeaning is what a segment of a minute costs whoever reads it.
func BenchmarkMeaning(b *testing.B) {
	s := said("en", slices.Repeat([]string{strings.Repeat("so what we would like to talk about today is the great budget of the launch ", 1)}, 10)...)
	b.Run("topics", func(b *testing.B) {
		for b.Loop() {
			s.Topics()
		}
	})
	b.Run("sentiment", func(b *testing.B) {
		for b.Loop() {
			s.Sentiment()
		}
	})
}
