package notes_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/domain/notes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pick chooses one of the numbers from 0 to n-1: by chance, by what rapid can
// shrink, or by the bytes of a fuzzer.
type pick func(n int) int

func drawn(t *rapid.T) pick {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
}

// bytesOf picks by the bytes of data, and 0 when they are used up.
func bytesOf(data []byte) pick {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := int(data[0])
		data = data[1:]
		return b % n
	}
}

// letters take one, two and three bytes in UTF-8 and, the last ones, two units in
// UTF-16.
var letters = []string{"a", "b", "c", "é", "日", "😀", "𝒳"}

func anyText(p pick, most int) string {
	var to strings.Builder
	for range p(most + 1) {
		to.WriteString(letters[p(len(letters))])
	}
	return to.String()
}

// anyEdit makes an edit of text, which need not be canonical: it may insert
// beside what it deletes, and keep the rest expressly.
func anyEdit(p pick, text string) notes.Delta {
	var d notes.Delta
	rest := []rune(text)
	for {
		switch p(4) {
		case 0:
			d = append(d, notes.Insert(anyText(p, 3)))
		case 1:
			if p(4) == 0 {
				return d
			}
		}
		if len(rest) == 0 {
			return d
		}
		n := 1 + p(min(len(rest), 5))
		units := len(utf16.Encode(rest[:n]))
		if p(2) == 0 {
			d = append(d, notes.Retain(units))
		} else {
			d = append(d, notes.Delete(units))
		}
		rest = rest[n:]
	}
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func apply(t tester, text string, edits ...notes.Delta) string {
	t.Helper()
	for _, d := range edits {
		after, err := d.Apply(text)
		if err != nil {
			t.Fatalf("%s on %q: %v", show(d), text, err)
		}
		text = after
	}
	return text
}

func compose(t tester, a, b notes.Delta) notes.Delta {
	t.Helper()
	c, err := notes.Compose(a, b)
	if err != nil {
		t.Fatalf("compose %s, %s: %v", show(a), show(b), err)
	}
	return c
}

func show(d notes.Delta) string {
	text, err := d.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}
