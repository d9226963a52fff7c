package words_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"

	"connvo/domain/words"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func folded(text string) (all []string) {
	for w := range words.Of(text) {
		all = append(all, w.Folded)
	}
	return all
}

func TestWordsAreComparedWithoutCaseAndAccents(t *testing.T) {
	for text, want := range map[string]string{
		"The Budget, again: 2026!": "the budget again 2026",
		"Crème BRÛLÉE":             "creme brulee",
		"cre\u0300me":              "creme",
		"Straße":                   "strasse",
		"don't re-use it":          "don t re use it",
		"Ｆｕｌｌ":                     "full",
		"会议 now":                   "会 议 now",
		"ab会c":                     "ab 会 c",
		"Ёлка":                     "елка",
		"…–!":                      "",
		"":                         "",
		strings.Repeat("x", 50):    strings.Repeat("x", words.MaxWord),
		strings.Repeat("é", 50):    strings.Repeat("e", words.MaxWord),
		"हिन्दी":                   "हनद",
		"\xff bad \xffutf":         "bad utf",
	} {
		if got := strings.Join(folded(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Words stand where they say, in order, and folding one again changes nothing: so an
// index of folded words and a text agree on what is found.
func FuzzOf(f *testing.F) {
	f.Add("The crème, 会议 don't ½ ﷺ Ⅻ")
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		for w := range words.Of(text) {
			if w.Start < at || w.End <= w.Start || w.End > len(text) {
				t.Fatalf("%+v after %d", w, at)
			}
			at = w.End
			if n := utf8.RuneCountInString(w.Folded); n == 0 || n > words.MaxWord {
				t.Fatalf("%q has %d characters", w.Folded, n)
			}
			if i := strings.IndexFunc(w.Folded, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }); i >= 0 {
				t.Fatalf("%q", w.Folded)
			}
			if words.Fold(w.Folded) != w.Folded {
				t.Fatalf("%q is folded to %q", w.Folded, words.Fold(w.Folded))
			}
		}
	})
}

func BenchmarkOf(b *testing.B) {
	text := "so what I would like to talk about today is the budget of the launch"
	for b.Loop() {
		if n := len(slices.Collect(words.Of(text))); n != 15 {
			b.Fatal(n)
		}
	}
}
