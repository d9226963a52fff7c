package insights

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSentence is the longest sentence that is quoted, in bytes: what is longer has no
// punctuation, and nobody reads it as one.
const maxSentence = 300

// span is a part of a text, in bytes.
type span struct{ from, to int }

// sentences returns where the sentences of a text stand, in order: up to a line's end or
// to punctuation with a space behind it, without spaces around. What follows in small
// letters belongs to it, as after an abbreviation.
func sentences(text string) []span {
	var all []span
	add := func(from, to int) {
		s := text[from:to]
		from += len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
		to = from + len(strings.TrimSpace(s))
		if from < to {
			all = append(all, span{from, to})
		}
	}
	from := 0
	for at, r := range text {
		next := at + utf8.RuneLen(max(r, 0))
		if r == utf8.RuneError {
			_, size := utf8.DecodeRuneInString(text[at:])
			next = at + size
		}
		if r == '\n' || r == '\r' || strings.ContainsRune("。！？", r) || strings.ContainsRune(".!?…", r) && ends(text[next:]) {
			add(from, next)
			from = next
		}
	}
	add(from, len(text))
	return all
}

// ends reports whether a sentence ends before the rest of a text.
func ends(rest string) bool {
	first, _ := utf8.DecodeRuneInString(rest)
	if rest != "" && !unicode.IsSpace(first) {
		return false
	}
	word, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(rest, unicode.IsSpace))
	return !unicode.IsLower(word)
}

// item returns the part of a line of Markdown that says something, and whether it is a
// task that is not done. Headings, done tasks and rules are empty.
func item(line string) (from int, task bool) {
	rest := strings.TrimLeft(line, " \t>")
	for _, bullet := range []string{"- ", "* ", "+ "} {
		rest = strings.TrimPrefix(rest, bullet)
	}
	rest = strings.TrimLeft(rest, " \t")
	if done := strings.HasPrefix(rest, "[x]") || strings.HasPrefix(rest, "[X]"); done || strings.HasPrefix(rest, "#") || strings.Trim(rest, "-*_= ") == "" {
		return len(line), false
	}
	if after, open := strings.CutPrefix(rest, "[ ]"); open {
		rest, task = strings.TrimLeft(after, " \t"), true
	}
	return len(line) - len(rest), task
}
