package notes_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"connvo/domain/notes"
)

func unitsOf(letters []rune) int { return len(utf16.Encode(letters)) }

// anywhere makes an edit at several places of a long text.
func anywhere(p pick, text string) notes.Delta {
	var d notes.Delta
	for rest := []rune(text); len(rest) > 0 && p(4) > 0; {
		kept := p(len(rest) + 1)
		gone := p(1 + p(len(rest)-kept+1))
		d = append(d, notes.Retain(unitsOf(rest[:kept])))
		steps := notes.Delta{notes.Insert(anyText(p, p(1_500))), notes.Delete(unitsOf(rest[kept : kept+gone]))}
		if p(2) == 0 {
			slices.Reverse(steps)
		}
		d, rest = append(d, steps...), rest[kept+gone:]
	}
	return d
}

// A Text of many pieces is what a string would be, wherever and however it is changed.
func TestTextIsWhatAStringWouldBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).IntN
		want := anyText(p, 5_000)
		text := notes.NewText(want)
		for range 20 {
			d := anywhere(p, want)
			want = apply(t, want, d)
			if err := text.Apply(d); err != nil || text.String() != want || text.Units() != unitsOf([]rune(want)) {
				t.Fatalf("%s: %v, %d units, want %d", show(d), err, text.Units(), unitsOf([]rune(want)))
			}
		}
	})
}

// BenchmarkTextAtItsLimit is the edits of one request that have the most places, in a
// text of the most bytes.
func BenchmarkTextAtItsLimit(b *testing.B) {
	long := strings.Repeat("日", notes.MaxDocument)
	var d notes.Delta
	for range notes.MaxOps / 2 {
		d = append(d, notes.Retain(4), notes.Delete(1))
	}
	for b.Loop() {
		text := notes.NewText(long)
		for range 4 { // a MiB of JSON
			if err := text.Apply(d); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkNormalizeAtItsLimit is the same for letters of an insertion that come one by
// one.
func BenchmarkNormalizeAtItsLimit(b *testing.B) {
	d := slices.Repeat(notes.Delta{notes.Insert("日")}, notes.MaxOps)
	for b.Loop() {
		for range 3 {
			d.Normalize()
		}
	}
}
