package notes

import (
	"bytes"
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
)

// The bounds of a search, as those of the chat.
const (
	MaxQuery     = 200 // characters
	minPrefix    = 3   // of the shortest last word that stands for all that begin with it
	snippetWords = 24
)

// Found is the lines of the notes that have what was looked for.
type Found struct {
	Version int64 // of the notes that were looked through
	Lines   []Line
	More    bool // further lines have it
}

// Line is a line of the notes, which a paragraph of Markdown mostly is.
type Line struct {
	Number int // from 1
	Offset int // of the first word found, in UTF-16 code units from the beginning of the notes
	// Snippet is the part of the line around the words, at most 24 words with "…"
	// where it was cut. What was found stands between ⟦ and ⟧.
	Snippet string
}

// Search returns the lines of the notes that have every word of the query, at most
// limit of those after a line, 0 for all. Case and accents do not matter; the last
// word, of three characters or more, stands for all that begin with it.
//
// It reads the text as Get does, and so finds what is committed. A text of
// MaxDocument is looked through in about two milliseconds, which is less than to
// read it, so that there is no index to keep up to date with every edit, and none
// from which words would have to be deleted.
func (s *Store) Search(ctx context.Context, who domain.Actor, m domain.MeetingID, query string, after, limit int) (Found, error) {
	if n := utf8.RuneCountInString(query); n > MaxQuery || strings.TrimSpace(query) == "" {
		return Found{}, domain.FailField("query.q", "must be 1 to %d characters", MaxQuery)
	}
	var n Note
	err := s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		h, err := headOf(tx, m)
		if err != nil {
			return err
		}
		n, err = h.noteAt(tx, m, h.version)
		return err
	})
	if err != nil {
		return Found{}, err
	}
	found := Found{Version: n.Version}
	found.Lines, found.More = newQuery(query).lines(n.Content, after, limit)
	return found, nil
}

// query is words that are looked for.
type query struct {
	words  map[string]int // folded, numbered from 0
	prefix string         // of the last word, folded; "" when it stands for itself
	folded []byte         // the word that was folded last
}

func newQuery(text string) *query {
	q := &query{words: map[string]int{}}
	for from, to := nextWord(text, 0); from < to; from, to = nextWord(text, to) {
		folded := string(q.fold(text[from:to]))
		if q.prefix = ""; lengthOf(text[from:to]) >= minPrefix { // the last word's remains
			q.prefix = folded
		}
		if _, again := q.words[folded]; !again {
			q.words[folded] = len(q.words)
		}
	}
	return q
}

// lines returns the lines of a text that have all words, at most limit of those
// after a line, and whether there are more.
func (q *query) lines(text string, after, limit int) (found []Line, more bool) {
	if len(q.words) == 0 {
		return nil, false
	}
	number, units := 0, 0
	for line := range strings.Lines(text) {
		if number++; number > after {
			if hits := q.hits(line); hits != nil {
				if len(found) == limit {
					return found, true
				}
				found = append(found, Line{number, units + unitsOf(line[:hits[0].from]), snippet(line, hits, len(q.words))})
			}
		}
		units += unitsOf(line)
	}
	return found, false
}

// hit is a word in a line that is one of those looked for.
type hit struct {
	word     int // the word of the line that it is, from 0
	of       int // the word of the query that it is
	from, to int // bytes
}

// hits returns where a line has the words of the query, nil when it has not all.
func (q *query) hits(line string) []hit {
	var hits []hit
	seen, missing := make([]bool, len(q.words)), len(q.words)
	see := func(of int) {
		if !seen[of] {
			seen[of], missing = true, missing-1
		}
	}
	word := -1
	for from, to := nextWord(line, 0); from < to; from, to = nextWord(line, to) {
		word++
		folded := q.fold(line[from:to])
		of, found := q.words[string(folded)]
		if found {
			see(of)
		}
		if q.prefix != "" && bytes.HasPrefix(folded, []byte(q.prefix)) {
			of, found = q.words[q.prefix], true
			see(of)
		}
		if found {
			hits = append(hits, hit{word, of, from, to})
		}
	}
	if missing > 0 {
		return nil
	}
	return hits
}

// snippet returns the part of a line that has most of the words that were looked
// for, with some of the line before and after it.
func snippet(line string, hits []hit, words int) string {
	best, last := densest(hits, words)
	spare := snippetWords - (hits[last].word - hits[best].word + 1)
	from, to, cutBefore, cutAfter := window(line, hits[best].word-spare/2)
	var b strings.Builder
	if cutBefore {
		b.WriteString("…")
	}
	at := from
	for _, h := range hits {
		if h.from >= from && h.to <= to {
			b.WriteString(line[at:h.from] + "⟦" + line[h.from:h.to] + "⟧")
			at = h.to
		}
	}
	b.WriteString(line[at:to])
	if cutAfter {
		b.WriteString("…")
	}
	return b.String()
}

// densest returns the first and the last of the hits within snippetWords that are
// most of the words looked for.
func densest(hits []hit, words int) (best, last int) {
	seen, distinct, most, next := make([]int, words), 0, 0, 0
	for i, h := range hits {
		for ; next < len(hits) && hits[next].word < h.word+snippetWords; next++ {
			if seen[hits[next].of]++; seen[hits[next].of] == 1 {
				distinct++
			}
		}
		if distinct > most {
			best, last, most = i, next-1, distinct
		}
		if seen[h.of]--; seen[h.of] == 0 {
			distinct--
		}
	}
	return best, last
}

// window returns the bytes of a line that are its words from one on, no more than
// snippetWords, and whether other words stand before and after them.
func window(line string, first int) (from, to int, cutBefore, cutAfter bool) {
	first = max(first, 0)
	word, end := 0, 0
	for begins, ends := nextWord(line, 0); begins < ends; begins, ends = nextWord(line, ends) {
		if word == first+snippetWords {
			return from, end, first > 0, true
		}
		if word == first && first > 0 {
			from = begins
		}
		word, end = word+1, ends
	}
	from += len(line[from:]) - len(strings.TrimLeftFunc(line[from:], unicode.IsSpace))
	return from, len(strings.TrimRightFunc(line, unicode.IsSpace)), first > 0, false
}

// nextWord returns the bytes of the first word of text at or after a byte, the
// same number twice when there is none.
func nextWord(text string, at int) (from, to int) {
	n := strings.IndexFunc(text[at:], inWord)
	if n < 0 {
		return at, at
	}
	from = at + n
	if n = strings.IndexFunc(text[from:], notInWord); n < 0 {
		return from, len(text)
	}
	return from, from + n
}

// inWord reports whether a character is of a word; everything else separates words.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

func notInWord(r rune) bool { return !inWord(r) }

// fold returns the form in which words are the same whatever their case and
// accents. It is valid until the next call.
func (q *query) fold(word string) []byte {
	q.folded = q.folded[:0]
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c >= utf8.RuneSelf {
			return q.foldAll(word)
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		q.folded = append(q.folded, c)
	}
	return q.folded
}

// foldAll is fold for words that are not ASCII.
func (q *query) foldAll(word string) []byte {
	q.folded = q.folded[:0]
	for _, r := range norm.NFD.String(word) {
		if !unicode.Is(unicode.Mn, r) {
			q.folded = utf8.AppendRune(q.folded, unicode.ToLower(r))
		}
	}
	return q.folded
}

// lengthOf counts characters, of which accents are none.
func lengthOf(word string) (n int) {
	for _, r := range word {
		if !unicode.Is(unicode.Mn, r) {
			n++
		}
	}
	return n
}
