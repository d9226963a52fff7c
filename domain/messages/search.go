package messages

import (
	"context"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
)

// The bounds of a search.
const (
	MaxQuery = 200 // characters
	// minPrefix is the shortest last word that stands for all that begin with
	// it, the one that the index knows as a word: shorter ones are most of the chat.
	minPrefix = 3
)

// Found is a message that has the words that were looked for.
type Found struct {
	Message
	// Snippet is the part of the content around them, at most 24 words with "…"
	// where it was cut. What was found stands between ⟦ and ⟧.
	Snippet string
}

// Search returns the messages of a meeting that have every word of the query,
// newest first: at most limit of them, created before the message with the
// number below (MaxNumber for the first page), and whether there are more. Case
// and accents do not matter; the last word, of three characters or more, stands
// for all that begin with it. What the server says itself is not found.
func (s *Store) Search(ctx context.Context, who domain.Actor, meeting domain.MeetingID, query string, below int64, limit int) (found []Found, more bool, err error) {
	if n := utf8.RuneCountInString(query); n > MaxQuery || strings.TrimSpace(query) == "" {
		return nil, false, domain.FailField("query.q", "must be 1 to %d characters", MaxQuery)
	}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, meeting, participants.ReadContent); err != nil {
			return err
		}
		found, err = db.All(tx, scanMatch, selectMatches, meeting, expression(meeting, query), below, limit+1)
		if more = len(found) > limit; more {
			found = found[:limit]
		}
		return err
	})
	return found, more, err
}

// expression returns what the index is asked: the meeting's word, and those of
// the query, each quoted, so that nothing in them is an operator.
func expression(meeting domain.MeetingID, query string) string {
	var b strings.Builder
	b.WriteString(`meeting : "` + hex.EncodeToString([]byte(meeting)) + `" AND content : (`)
	words := strings.FieldsFunc(strings.ToValidUTF8(query, " "), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	if len(words) == 0 {
		words = []string{""}
	}
	for _, w := range words {
		b.WriteString(` "` + strings.ReplaceAll(w, `"`, `""`) + `"`)
	}
	if endLength(words[len(words)-1]) >= minPrefix {
		b.WriteString(" *")
	}
	b.WriteString(" )")
	return b.String()
}

// endLength returns how many characters the word at the end of the text has in
// the index, to which everything but letters and digits separates words: that of
// "..a" is "a". Accents are no characters there.
func endLength(text string) (n int) {
	inside := false
	for text != "" {
		r, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
		switch {
		case unicode.IsLetter(r), unicode.IsNumber(r):
			n, inside = n+1, true
		case inside && !unicode.Is(unicode.Mn, r):
			return n
		}
	}
	return n
}
