// Package words is the words of a text as a search compares them.
package words

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxWord is how many characters of a word are compared: the rest of a longer one
// does not matter.
const MaxWord = 40

// Word is a word of a text.
type Word struct {
	Folded     string // as it is compared: letters and digits only, never empty
	Start, End int    // where it stands, in bytes
}

// Of yields the words of a text in order: runs of letters and digits, folded so that
// two that differ only in case, accents or variants of letters are the same. Scripts
// that are written without spaces have no such runs, so there each character is a word.
func Of(text string) iter.Seq[Word] {
	return func(yield func(Word) bool) {
		for at := 0; at < len(text); {
			start := at + strings.IndexFunc(text[at:], begins)
			if start < at {
				return
			}
			end := endOf(text, start)
			if folded := Fold(text[start:end]); folded != "" && !yield(Word{folded, start, end}) {
				return
			}
			at = end
		}
	}
}

// begins reports whether a word may begin with the character.
func begins(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// endOf returns where the word ends that begins at start.
func endOf(text string, start int) int {
	first, size := utf8.DecodeRuneInString(text[start:])
	end := start + size
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		inside := begins(r) && !Unspaced(first) && !Unspaced(r)
		if !inside && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Mc, r) {
			break
		}
		end += size
	}
	return end
}

// Unspaced reports whether the character is of a script that is written without
// spaces between words.
func Unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// Fold returns a word as it is compared, "" when nothing of it is a letter or a digit.
func Fold(word string) string {
	if folded, plain := lower(word); plain {
		return folded
	}
	var b strings.Builder
	n := 0
	// Folding takes Cherokee back and forth between its cases.
	for _, r := range strings.ToLower(cases.Fold().String(norm.NFKD.String(word))) {
		if !begins(r) {
			continue
		}
		if n++; n > MaxWord {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lower is Fold for a word of ASCII letters and digits; plain reports whether it is one.
func lower(word string) (folded string, plain bool) {
	change := false
	for i := range len(word) {
		c := word[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			change = true
		default:
			return "", false
		}
	}
	word = word[:min(len(word), MaxWord)]
	if change {
		word = strings.ToLower(word)
	}
	return word, true
}
