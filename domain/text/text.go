// Package text is what people write about themselves, as it is stored: in one
// form, and without what deceives a reader.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"connvo/domain"
)

// Name returns a name as it is stored: in the normal form NFKC, in which letters
// that look alike because they are variants of one another are the same, with
// single spaces. Errors, for the field: Invalid for one that is empty or longer than
// limit characters, has control or invisible characters, or mixes the letters
// of scripts in one word, by which one name passes for another.
func Name(field, s string, limit int) (string, error) {
	s = strings.Join(strings.Fields(norm.NFKC.String(s)), " ")
	switch {
	case s == "":
		return "", domain.FailField(field, "must not be empty")
	case !plain(s, ""):
		return "", domain.FailField(field, "has a control character or an invisible one")
	case mixes(s):
		return "", domain.FailField(field, "mixes the letters of different scripts in one word")
	}
	return s, short(field, s, limit)
}

// Line returns a text of one line as it is stored: in the normal form NFC and
// trimmed; it may be empty. Errors, for the field: Invalid for one that is longer
// than limit characters or has control or invisible characters.
func Line(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(norm.NFC.String(s))
	if !plain(s, "") {
		return "", domain.FailField(field, "has a line break, a control character or an invisible one")
	}
	return s, short(field, s, limit)
}

// Prose is Line for a text that may have line breaks, stored as \n, and tabs.
func Prose(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(norm.NFC.String(strings.ReplaceAll(s, "\r\n", "\n")))
	if !plain(s, "\n\t") {
		return "", domain.FailField(field, "has a control character or an invisible one")
	}
	return s, short(field, s, limit)
}

// Fold returns the form in which names are compared and sorted: two that differ
// only in case or variants of letters are the same.
func Fold(s string) string { return cases.Fold().String(norm.NFKC.String(s)) }

func short(field, s string, limit int) error {
	if utf8.RuneCountInString(s) > limit {
		return domain.FailField(field, "has at most %d characters", limit)
	}
	return nil
}

// joiners are invisible, and needed to write some scripts and pictures.
const joiners = "\u200c\u200d"

// plain reports whether every character shows, is a space, or one of the allowed.
func plain(s, allowed string) bool {
	before := ' '
	for _, r := range s {
		switch {
		case r == ' ' || strings.ContainsRune(allowed, r):
		case strings.ContainsRune(joiners, r):
			if before == ' ' || unicode.In(before, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Nd) {
				return false // there it joins nothing, so that two names look the same
			}
		case r == utf8.RuneError || !unicode.IsGraphic(r):
			return false
		}
		before = r
	}
	return true
}

// scripts are those that are told apart; all others count as one.
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Arabic, unicode.Hebrew, unicode.Devanagari, unicode.Thai,
	unicode.Armenian, unicode.Georgian, unicode.Cherokee, unicode.Coptic,
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
}

// eastAsian are written together, and with Latin; nobody takes one for another.
var eastAsian = []*unicode.RangeTable{
	unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
}

// mixes reports whether a word has letters of scripts that are not written
// together.
func mixes(s string) bool {
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
		first, together := -1, true
		for _, r := range word {
			if unicode.In(r, unicode.Common, unicode.Inherited) {
				continue
			}
			script := scriptOf(r)
			if first < 0 {
				first = script
			}
			together = together && unicode.In(r, eastAsian...)
			if script != first && !together {
				return true
			}
		}
	}
	return false
}

// scriptOf returns the place of the rune's script among scripts, len(scripts) for
// all others.
func scriptOf(r rune) int {
	for i, table := range scripts {
		if unicode.Is(table, r) {
			return i
		}
	}
	return len(scripts)
}
