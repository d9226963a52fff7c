package notes_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"connvo/domain"
	"connvo/domain/notes"
)

func (k *desk) search(query string, after, limit int) notes.Found {
	k.t.Helper()
	found, err := k.notes.Search(context.Background(), k.host, k.id, query, after, limit)
	k.must(err)
	return found
}

func TestSearchFindsTheLinesThatHaveEveryWord(t *testing.T) {
	k := newDesk(t)
	k.accepted("one", 0, 1, insert(0, "# Plan\n\nEin Würfel, full-text 😀 don't\r\nfirst draft\n  second draft \"quoted\" AND more\n日本語のテキスト\nखाना ΣΊΣΥΦΟΣ"))
	for query, want := range map[string]int{
		"wurfel": 1, "WÜR": 1, "ein wür": 1, "wür ein": 0, // only the last word is a beginning
		"full-text": 1, "text full": 1, "don't": 1, "draft": 2, "draft first": 1, "first second": 0, "draft draft": 2, `"quoted"`: 1,
		"and": 1, "OR": 0, "NOT draft": 0, "dr": 0, "dra": 2, "dra first": 0, "d\u0301\u0301": 0, "..dra..": 2,
		"!!!": 0, "!!! draft": 2, "*": 0, "日本": 0, "日本語": 1, "खाना": 1, "σίσυφος": 0, "draft\x00first": 1, "\xff draft": 2, "\u0301": 0,
	} {
		if found := k.search(query, 0, 10); len(found.Lines) != want || found.More {
			t.Errorf("%q: %+v, want %d", query, found, want)
		}
	}
	for query, want := range map[string]notes.Line{
		"plan":       {Number: 1, Offset: 2, Snippet: "# ⟦Plan⟧"},
		"text ein":   {Number: 3, Offset: 8, Snippet: "⟦Ein⟧ Würfel, full-⟦text⟧ 😀 don't"},
		"don":        {Number: 3, Offset: 33, Snippet: "Ein Würfel, full-text 😀 ⟦don⟧'t"},
		"mor second": {},
		"second mor": {Number: 5, Offset: 54, Snippet: "⟦second⟧ draft \"quoted\" AND ⟦more⟧"},
	} {
		found := k.search(query, 0, 10)
		if want == (notes.Line{}) && len(found.Lines) == 0 {
			continue
		}
		if len(found.Lines) != 1 || found.Lines[0] != want {
			t.Errorf("%q: %+v, want %+v", query, found, want)
		}
	}
	for _, query := range []string{"", " \t", strings.Repeat("x", notes.MaxQuery+1)} {
		if _, err := k.notes.Search(t.Context(), k.host, k.id, query, 0, 10); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q: %v", query, err)
		}
	}
	if _, err := k.notes.Search(t.Context(), k.person("mallory"), k.id, "draft", 0, 10); domain.KindOf(err) != domain.NotFound {
		t.Errorf("a stranger: %v", err)
	}
}

// What an edit has committed is found, and what it has removed is not.
func TestSearchFindsWhatIsCommitted(t *testing.T) {
	k := newDesk(t)
	if found := k.search("draft", 0, 10); found.Version != 0 || found.Lines != nil {
		t.Errorf("%+v", found)
	}
	a := k.accepted("one", 0, 1, insert(0, "draft\nother\ndraft\ndraft"))
	for after, want := range map[int]string{0: "1 3 more", 1: "3 4", 3: "4", 4: ""} {
		var got []string
		found := k.search("draft", after, 2)
		for _, l := range found.Lines {
			got = append(got, string(rune('0'+l.Number)))
		}
		if found.More {
			got = append(got, "more")
		}
		if strings.Join(got, " ") != want || found.Version != a.Version {
			t.Errorf("after %d: %+v, want %s", after, found, want)
		}
	}
	b := k.accepted("one", a.Version, 2, notes.Delta{notes.Delete(5), notes.Retain(7), notes.Insert("a "), notes.Delete(1)})
	if found := k.search("draft", 0, 10); len(found.Lines) != 1 || found.Lines[0].Number != 4 || found.Version != b.Version {
		t.Errorf("%+v", found)
	}
	if found := k.search("raft", 0, 10); len(found.Lines) != 1 || found.Lines[0].Number != 3 {
		t.Errorf("%+v", found)
	}
}

// A snippet is the part of a long line with most of the words.
func TestSnippetHasMostOfTheWords(t *testing.T) {
	k := newDesk(t)
	k.accepted("one", 0, 1, insert(0, "one "+strings.Repeat("x ", 100)+"two one, "+strings.Repeat("y ", 100)+"two"))
	const ten = " x x x x x x x x x x"
	if found := k.search("one two", 0, 10); len(found.Lines) != 1 || found.Lines[0].Offset != 0 ||
		found.Lines[0].Snippet != "…"+strings.TrimPrefix(ten, " ")+" x ⟦two⟧ ⟦one⟧,"+strings.ReplaceAll(ten, "x", "y")+" y…" {
		t.Errorf("%+v", found)
	}
}

// Whatever is looked for in whatever text: a snippet is of its line, and the word
// found is where it says.
func FuzzSearch(f *testing.F) {
	k := newDesk(f)
	f.Add("one two\nthree", "two")
	f.Add("\u0301a é\r\n😀 x\n", "é a")
	f.Add("a\xffb", "\xff")
	version, seq, units := int64(0), int64(1), 0
	f.Fuzz(func(t *testing.T, text, query string) {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
		if len(text) == 0 || len(text) > 2_000 || strings.ContainsAny(text, "⟦⟧…") {
			t.Skip()
		}
		a, err := k.submit("one", version, seq, notes.Delta{notes.Insert(text), notes.Delete(units)}.Normalize())
		if err != nil {
			t.Fatal(err)
		}
		version, seq, units = a.Version, seq+1, len(utf16.Encode([]rune(text)))
		found, err := k.notes.Search(t.Context(), k.host, k.id, query, 0, 10)
		if err != nil && domain.KindOf(err) != domain.Invalid {
			t.Fatal(err)
		}
		for _, l := range found.Lines {
			line := strings.SplitAfter(text, "\n")[l.Number-1]
			plain := strings.NewReplacer("⟦", "", "⟧", "", "…", "").Replace(l.Snippet)
			if !strings.Contains(line, plain) || !strings.Contains(l.Snippet, "⟦") || !utf8.ValidString(l.Snippet) {
				t.Errorf("%q in %q: %+v", query, text, l)
			}
			if rest := utf16.Decode(utf16.Encode([]rune(text))[l.Offset:]); !strings.HasPrefix(line[strings.LastIndex(line, string(rest[:1])):], string(rest[:1])) {
				t.Errorf("%q in %q: %+v", query, text, l)
			}
		}
	})
}

// BenchmarkSearch looks through the longest text there may be, reading it included.
func BenchmarkSearch(b *testing.B) {
	k := newDesk(b)
	line := strings.Repeat("the quick brown fox jumps over the lazy dog and écrit ", 9) + "\n"
	version := int64(0)
	for seq, units := int64(1), 0; units+len(line) <= notes.MaxDocument; seq++ {
		version = k.accepted("one", version, seq, insert(units, line)).Version
		units += len(utf16.Encode([]rune(line)))
	}
	for name, query := range map[string]string{"rare": "zebra", "common": "the", "seven": "the quick brown fox jumps over lazy"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				k.search(query, 0, 20)
			}
		})
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			k.get()
		}
	})
}
