package text_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"connvo/domain"
	"connvo/domain/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNamesAreStoredInOneForm(t *testing.T) {
	for given, want := range map[string]string{
		"  Ada   Lovelace ":          "Ada Lovelace",
		"Zoe\u0308":                  "Zoë",
		"Ａｄａ":                        "Ada",
		"𝐀𝐝𝐚":                        "Ada",
		"Ada\u00a0L":                 "Ada L",
		"Анна":                       "Анна",
		"Anna Анна":                  "Anna Анна",
		"Anna-Анна":                  "Anna-Анна",
		"山田タロウ Yamada":               "山田タロウ Yamada",
		"ゆーこ":                        "ゆーこ",
		"O'Neill, Jr.":               "O'Neill, Jr.",
		"می\u200cخواهم":              "می\u200cخواهم",
		"👩\u200d💻 Grace":             "👩\u200d💻 Grace",
		strings.Repeat("e\u0301", 5): strings.Repeat("é", 5),
	} {
		if got, err := text.Name("body.name", given, 30); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", given, got, err, want)
		}
	}
}

func TestNamesThatDeceiveAreRefused(t *testing.T) {
	for why, given := range map[string]string{
		"empty":              " \u00a0 ",
		"long":               strings.Repeat("é", 31),
		"long when expanded": strings.Repeat("\ufdfa", 2), // 18 characters each
		"NUL":                "Ada\x00",
		"escape":             "Ada\x1b[2J",
		"delete":             "Ada\x7f",
		"not UTF-8":          "Ada\xff",
		"right to left":      "Ada\u202eecalevoL",
		"zero width space":   "A\u200bda",
		"joiner in Latin":    "A\u200dda",
		"byte order mark":    "\ufeffAda",
		"private use":        "Ada\ue000",
		"Cyrillic A":         "Аda",
		"Greek omicron":      "Graceο",
		"Armenian o":         "Johո",
		"Cyrillic in Han":    "山д",
	} {
		if got, err := text.Name("body.name", given, 30); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%s: %q %v", why, got, err)
		}
	}
}

func TestProseHasLinesAndLinesHaveNone(t *testing.T) {
	const two = "one\r\ntwo\tthree "
	if got, err := text.Prose("body.bio", two, 13); err != nil || got != "one\ntwo\tthree" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := text.Prose("body.bio", two, 12); domain.KindOf(err) != domain.Invalid {
		t.Errorf("too long: %v", err)
	}
	if _, err := text.Prose("body.bio", "a\rb", 12); domain.KindOf(err) != domain.Invalid {
		t.Errorf("a carriage return: %v", err)
	}
	if got, err := text.Line("body.field", " Zoe\u0308 ", 3); err != nil || got != "Zoë" {
		t.Errorf("%q %v", got, err)
	}
	for _, bad := range []string{"a\nb", "a\tb", "a\u2028b", "abcd"} {
		if _, err := text.Line("body.field", bad, 3); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFoldedNamesAreCompared(t *testing.T) {
	for _, pair := range [][2]string{{"ÉMILE", "émile"}, {"Straße", "STRASSE"}, {"Ａda", "ada"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}} {
		if a, b := text.Fold(pair[0]), text.Fold(pair[1]); a != b {
			t.Errorf("%q and %q", a, b)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"Ada", "Zoe\u0308", "Аda", "می\u200cخواهم", "\xff", "ﷺ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := text.Name("body.name", s, 100)
		if err != nil {
			return
		}
		if twice, err := text.Name("body.name", once, 100); err != nil || twice != once {
			t.Errorf("%q is stored as %q, and that as %q %v", s, once, twice, err)
		}
	})
}
