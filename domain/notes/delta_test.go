package notes_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"connvo/domain"
	"connvo/domain/notes"
)

func TestEditsAreCountedInUTF16(t *testing.T) {
	for _, c := range []struct {
		text, edit, want string // want "" is refused
	}{
		{"", `[{"insert":"a"}]`, "a"},
		{"abc", `[{"retain":1},{"delete":1},{"insert":"xy"}]`, "axyc"},
		{"a😀b", `[{"retain":3},{"insert":"x"}]`, "a😀xb"},
		{"a😀b", `[{"retain":1},{"delete":2}]`, "ab"},
		{"日é", `[{"retain":1},{"insert":"x"},{"delete":1}]`, "日x"},
		{"a😀b", `[{"retain":2},{"insert":"x"}]`, ""},
		{"a😀b", `[{"retain":1},{"delete":1}]`, ""},
		{"a😀b", `[{"delete":2},{"retain":1}]`, ""},
		{"😀", `[{"retain":3},{"insert":"x"}]`, ""},
		{"ab", `[{"retain":2},{"delete":1}]`, ""},
		{"ab", `[{"insert":"x"},{"retain":3}]`, ""},
	} {
		d, err := notes.Parse([]byte(c.edit))
		if err != nil {
			t.Fatal(err)
		}
		text := notes.NewText(c.text)
		errText := text.Apply(d)
		got, err := d.Apply(c.text)
		_, errInvert := d.Invert(c.text)
		if c.want == "" {
			for _, err := range []error{err, errText, errInvert} {
				if domain.KindOf(err) != domain.Invalid {
					t.Errorf("%s on %q: %v", c.edit, c.text, err)
				}
			}
			if text.String() != c.text {
				t.Errorf("%s on %q: refused, and leaves %q", c.edit, c.text, text)
			}
			continue
		}
		if got != c.want || err != nil || text.String() != c.want || errText != nil {
			t.Errorf("%s on %q: %q, %v; as a Text %q, %v", c.edit, c.text, got, err, text, errText)
		}
	}
}

// model applies an edit to UTF-16 code units, one after the other.
func model(units []uint16, d notes.Delta) []uint16 {
	var to []uint16
	for op := range strings.SplitSeq(strings.Trim(show(d), "[{}]"), "},{") {
		name, value, _ := strings.Cut(op, ":")
		switch name {
		case `"insert"`:
			to = append(to, utf16.Encode([]rune(strings.Trim(value, `"`)))...)
		case `"retain"`, `"delete"`:
			n := 0
			for _, digit := range value {
				n = 10*n + int(digit-'0')
			}
			if name == `"retain"` {
				to = append(to, units[:n]...)
			}
			units = units[n:]
		}
	}
	return append(to, units...)
}

func TestEditsDoWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := anyText(p, 12)
		d := anyEdit(p, text)
		after := apply(t, text, d)
		want := model(utf16.Encode([]rune(text)), d)
		if got := utf16.Encode([]rune(after)); !slices.Equal(got, want) {
			t.Fatalf("%s on %q makes %q, want %q", show(d), text, after, string(utf16.Decode(want)))
		}
		if n := notes.NewText(after).Units(); n != len(want) || d.Growth() != n-notes.NewText(text).Units() {
			t.Fatalf("%s on %q makes %d units, grows by %d", show(d), text, n, d.Growth())
		}
		if n := d.Normalize(); apply(t, text, n) != after || !n.Normalize().Equal(n) {
			t.Fatalf("%s is %s in canonical form", show(d), show(n))
		}
		undo, err := d.Invert(text)
		if err != nil || apply(t, after, undo) != text {
			t.Fatalf("%s on %q is taken back by %s, %v", show(d), text, show(undo), err)
		}
		again, err := undo.Invert(after)
		if err != nil || apply(t, text, again) != after {
			t.Fatalf("%s on %q is done again by %s, %v", show(d), text, show(again), err)
		}
		if c := compose(t, d, undo); apply(t, text, c) != text {
			t.Fatalf("%s and its inverse on %q are %s", show(d), text, show(c))
		}
	})
}

func TestCanonicalForm(t *testing.T) {
	for edit, want := range map[string]string{
		`[{"retain":1},{"retain":2},{"insert":"a"},{"insert":"b"},{"delete":1},{"delete":2},{"retain":9}]`: `[{"retain":3},{"insert":"ab"},{"delete":3}]`,
		`[{"delete":1},{"insert":"a"},{"delete":1},{"insert":"b"}]`:                                        `[{"insert":"ab"},{"delete":2}]`,
		`[{"insert":"a"},{"delete":1},{"insert":"b"},{"retain":1},{"insert":"c"}]`:                         `[{"insert":"ab"},{"delete":1},{"retain":1},{"insert":"c"}]`,
	} {
		d, err := notes.Parse([]byte(edit))
		if err != nil || show(d.Normalize()) != want {
			t.Errorf("%s: %s, %v, want %s", edit, show(d.Normalize()), err, want)
		}
		if show(d) != edit {
			t.Errorf("%s has become %s", edit, show(d))
		}
	}
	nothing := notes.Delta{notes.Retain(0), notes.Insert(""), notes.Delete(-1), notes.Retain(4)}
	if show(nothing.Normalize()) != "[]" {
		t.Errorf("nothing is %s", show(nothing.Normalize()))
	}
	var empty notes.Text
	if err := empty.Apply(nothing[:3]); err != nil || empty.String() != "" {
		t.Errorf("nothing makes %q, %v", &empty, err)
	}
}

func TestComposeIsOneAfterTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		text := anyText(p, 10)
		a := anyEdit(p, text)
		first := apply(t, text, a)
		b := anyEdit(p, first)
		second := apply(t, first, b)
		c := anyEdit(p, second)
		ab, bc := compose(t, a, b), compose(t, b, c)
		if got := apply(t, text, ab); got != second || !ab.Normalize().Equal(ab) {
			t.Fatalf("%s, %s on %q: %q by %s, want %q", show(a), show(b), text, got, show(ab), second)
		}
		if left, right := compose(t, ab, c), compose(t, a, bc); !left.Equal(right) {
			t.Fatalf("composing %s, %s, %s is not associative: %s, %s", show(a), show(b), show(c), show(left), show(right))
		}
	})
}

func TestComposeRefusesHalfAPair(t *testing.T) {
	for _, b := range []notes.Delta{{notes.Delete(1)}, {notes.Retain(1), notes.Delete(1)}, {notes.Retain(1), notes.Insert("x")}} {
		if d, err := notes.Compose(notes.Delta{notes.Insert("😀")}, b); domain.KindOf(err) != domain.Invalid {
			t.Errorf("composed %s: %s, %v", show(b), show(d), err)
		}
	}
	if d := compose(t, notes.Delta{notes.Insert("a😀b")}, notes.Delta{notes.Retain(1), notes.Delete(2)}); show(d) != `[{"insert":"ab"}]` {
		t.Error(show(d))
	}
}
