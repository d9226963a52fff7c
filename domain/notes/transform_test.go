package notes_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"connvo/domain/notes"
)

// every returns all canonical edits of text that insert letter in any of its places.
func every(text []rune, letter string) []notes.Delta {
	if len(text) == 0 {
		return []notes.Delta{nil, {notes.Insert(letter)}}
	}
	units := notes.NewText(string(text[:1])).Units()
	var all []notes.Delta
	for _, step := range []notes.Op{notes.Retain(units), notes.Delete(units)} {
		for _, rest := range every(text[1:], letter) {
			all = append(all, append(notes.Delta{step}, rest...), append(notes.Delta{notes.Insert(letter), step}, rest...))
		}
	}
	seen := map[string]bool{}
	var canonical []notes.Delta
	for _, d := range all {
		if d = d.Normalize(); !seen[show(d)] {
			seen[show(d)] = true
			canonical = append(canonical, d)
		}
	}
	return canonical
}

// Every pair of edits of small texts makes the same text in both orders, with
// either of them first.
func TestEveryPairConverges(t *testing.T) {
	pairs := 0
	for _, text := range []string{"", "a", "😀", "ab", "a😀", "abc", "😀b𝒳", "abcd"} {
		left, right := every([]rune(text), "X"), every([]rune(text), "😎Y")
		for _, a := range left {
			for _, b := range right {
				for _, aFirst := range []bool{true, false} {
					converge(t, text, a, b, aFirst)
					pairs++
				}
			}
		}
	}
	t.Logf("%d pairs", pairs)
}

func converge(t tester, text string, a, b notes.Delta, aFirst bool) {
	t.Helper()
	then, before := notes.Transform(a, b, aFirst), notes.Transform(b, a, !aFirst)
	left, right := apply(t, text, a, before), apply(t, text, b, then)
	if left != right {
		t.Fatalf("%q: %s then %s is %q, %s then %s is %q", text, show(a), show(before), left, show(b), show(then), right)
	}
	if !then.Normalize().Equal(then) || !before.Normalize().Equal(before) {
		t.Fatalf("%q: %s and %s are not canonical", text, show(then), show(before))
	}
}

func TestPairsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := anyText(p, 20)
		converge(t, text, anyEdit(p, text), anyEdit(p, text), p(2) == 0)
	})
}

func FuzzTransform(f *testing.F) {
	f.Add([]byte("0123456789"))
	f.Add([]byte("\x05\x00\x01\x05\x02\x00\x01\x01\x00\x00\x03\x00\x01\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := bytesOf(data)
		text := anyText(p, 30)
		a, b := anyEdit(p, text), anyEdit(p, text)
		converge(t, text, a, b, true)
		converge(t, text, a, b, false)
		after := apply(t, text, a)
		c := anyEdit(p, after)
		if got, want := apply(t, text, compose(t, a, c)), apply(t, after, c); got != want {
			t.Fatalf("%q: %s, %s: %q, want %q", text, show(a), show(c), got, want)
		}
	})
}

func TestTheFirstInsertionStandsFirst(t *testing.T) {
	for _, c := range []struct{ text, a, b, aFirst, bFirst string }{
		{"..", `[{"retain":1},{"insert":"a"}]`, `[{"retain":1},{"insert":"b"}]`, ".ab.", ".ba."},
		{"..", `[{"insert":"a"},{"delete":2}]`, `[{"insert":"b"},{"delete":2}]`, "ab", "ba"},
		{"0123", `[{"delete":4}]`, `[{"retain":2},{"insert":"b"}]`, "b", "b"},
		{"0123", `[{"retain":1},{"delete":2}]`, `[{"delete":2},{"insert":"b"}]`, "b3", "b3"},
		{"0123", `[{"retain":1},{"insert":"a"},{"delete":2}]`, `[{"retain":2},{"insert":"b"}]`, "0ab3", "0ab3"},
	} {
		var a, b notes.Delta
		if err := a.UnmarshalJSON([]byte(c.a)); err != nil {
			t.Fatal(err)
		}
		if err := b.UnmarshalJSON([]byte(c.b)); err != nil {
			t.Fatal(err)
		}
		if got := apply(t, c.text, a, notes.Transform(b, a, false)); got != c.aFirst {
			t.Errorf("%s before %s: %q, want %q", c.a, c.b, got, c.aFirst)
		}
		if got := apply(t, c.text, b, notes.Transform(a, b, false)); got != c.bFirst {
			t.Errorf("%s before %s: %q, want %q", c.b, c.a, got, c.bFirst)
		}
	}
}

// What is inserted is there afterwards, whatever happens around it, and what one
// deletes is gone: nothing more.
func TestInsertionsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := strings.Repeat(".", p(12))
		a, b := inserting(p, text, "A"), inserting(p, text, "B")
		both := apply(t, text, a, notes.Transform(b, a, false))
		for letter, edit := range map[string]notes.Delta{"A": a, "B": b} {
			if got, want := strings.Count(both, letter), strings.Count(show(edit), letter); got != want {
				t.Fatalf("%s, %s on %q: %q has %d %s, want %d", show(a), show(b), text, both, got, letter, want)
			}
		}
	})
}

func inserting(p pick, text, letter string) notes.Delta {
	var d notes.Delta
	for range text {
		d = append(d, notes.Insert(strings.Repeat(letter, p(2))))
		d = append(d, []notes.Op{notes.Retain(1), notes.Delete(1)}[p(2)])
	}
	return append(d, notes.Insert(strings.Repeat(letter, p(2))))
}

// What one has done after another's edits, and the other after one's, is the same
// text, however many edits there are on both sides: what a client and the server
// each do with them.
func TestLiftedEditsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := anyText(p, 10)
		mine, left := several(t, p, text)
		others, right := several(t, p, text)
		for _, d := range others {
			lifted, over := notes.Lift(mine, d)
			mine, left = lifted, apply(t, left, over)
		}
		if right = apply(t, right, mine...); left != right {
			t.Fatalf("%q, %q", left, right)
		}
	})
}

// several makes edits that follow one another, and returns what they make.
func several(t tester, p pick, text string) ([]notes.Delta, string) {
	var all []notes.Delta
	for range p(5) {
		d := anyEdit(p, text)
		all, text = append(all, d), apply(t, text, d)
	}
	return all, text
}

// Where nothing is deleted, transforming against two edits is transforming
// against what they are together.
func TestTransformOverCompose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := anyText(p, 8)
		a := anyEdit(p, text)
		b := onlyInserting(p, text)
		c := onlyInserting(p, apply(t, text, b))
		for _, aFirst := range []bool{true, false} {
			got := notes.Transform(a, compose(t, b, c), aFirst)
			want := notes.Transform(notes.Transform(a, b, aFirst), c, aFirst)
			if !got.Equal(want) {
				t.Fatalf("%s over %s, %s: %s, want %s", show(a), show(b), show(c), show(got), show(want))
			}
		}
	})
}

func onlyInserting(p pick, text string) notes.Delta {
	var d notes.Delta
	for _, letter := range text {
		d = append(d, notes.Insert(anyText(p, 1)), notes.Retain(notes.NewText(string(letter)).Units()))
	}
	return append(d, notes.Insert(anyText(p, 1)))
}

// Where something is deleted it is not the same, which is why revisions are never
// put together before an edit is taken past them.
func TestComposingForgetsPlaces(t *testing.T) {
	a := notes.Delta{notes.Insert("y")}
	b := notes.Delta{notes.Retain(1), notes.Insert("x")}
	c := notes.Delta{notes.Delete(1)}
	apart := notes.Transform(notes.Transform(a, b, false), c, false)
	together := notes.Transform(a, compose(t, b, c), false)
	got := fmt.Sprint(apply(t, "a", b, c, apart), " ", apply(t, "a", b, c, together))
	if got != "yx xy" {
		t.Errorf("%s: if both are the same now, revisions may be composed", got)
	}
}
