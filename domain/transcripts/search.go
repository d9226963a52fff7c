package transcripts

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/words"
)

// The bounds of a search.
const (
	MaxQuery = 200 // characters
	// minPrefix is the shortest last word that stands for all that begin with it.
	minPrefix = 3
	// searchPage is how many chunks with the words are read at once, and searchPages
	// how often, until enough are the speaker's and of the time that were asked for.
	searchPage  = 200
	searchPages = 10
	// commonEvery is how common the words with a beginning are that the index is not asked
	// for: it puts together all places of all of them before it tells the first. One in so
	// many chunks has one, of the newest searchPage.
	commonEvery = 50
	// snippetWords is how many words a snippet has at most.
	snippetWords = 24
)

// Found is a chunk that has the words that were looked for.
type Found struct {
	Chunk
	// Snippet is the part of the text around them, at most 24 words with "…"
	// where it was cut. What was found stands between ⟦ and ⟧.
	Snippet string
}

// Search returns the chunks of a meeting that have every word of the query and that the
// filter lets pass, newest first: at most limit of them, of positions below the
// number (MaxNumber for the first page). Case and accents do not matter; the last word,
// of three characters or more, stands for all that begin with it. more is the position
// below which there may be more, 0 when there are none; where few of the chunks with the
// words pass, or many words begin as the last does, a page may be short, or empty, and
// not the last.
func (s *Store) Search(ctx context.Context, who domain.Actor, m domain.MeetingID, query string, f Filter, below int64, limit int) (found []Found, more int64, err error) {
	if n := utf8.RuneCountInString(query); n > MaxQuery || strings.TrimSpace(query) == "" {
		return nil, 0, domain.FailField("query.q", "must be 1 to %d characters", MaxQuery)
	}
	q := parse(query)
	err = s.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, who, m)
		if err != nil || !there {
			return err
		}
		if len(q) == 0 {
			return nil
		}
		names, err := namesOf(tx, m)
		if err != nil {
			return err
		}
		l := looking{tx: tx, meeting: m, query: q, names: names, filter: f, limit: limit}
		more, err = l.look(below)
		found = l.found
		return err
	})
	return found, more, err
}

// looking is a search as it goes on.
type looking struct {
	tx      db.Reader
	meeting domain.MeetingID
	query   query
	names   names
	filter  Filter
	limit   int
	found   []Found
}

// look finds chunks below the position, and returns the one below which there may be
// more, or 0.
func (l *looking) look(below int64) (more int64, err error) {
	unsettled, _, err := fresh(l.tx, l.meeting)
	if err != nil {
		return 0, err
	}
	for _, c := range slices.Backward(unsettled) {
		if c.Position < below && l.query.in(c.Text) && l.add(c) {
			return l.last(), nil
		}
	}
	if len(unsettled) > 0 {
		below = min(below, unsettled[0].Position)
	}
	common, err := l.common(below)
	switch {
	case err != nil:
		return 0, err
	case common && len(l.query) == 1:
		return l.pages(below, func(below int64) ([]Chunk, error) {
			return db.All(l.tx, scanFresh, selectNewest, l.meeting, below, searchPage)
		})
	}
	asked, beginning := l.query, l.query.prefix()
	if common {
		asked, beginning = asked[:len(asked)-1], false
	}
	expression := asked.expression(l.meeting, beginning)
	return l.pages(below, func(below int64) ([]Chunk, error) {
		return db.All(l.tx, scanFresh, selectMatches, l.meeting, expression, below, searchPage)
	})
}

// common reports whether the last word is the beginning of words that many of the newest
// chunks below the position have.
func (l *looking) common(below int64) (bool, error) {
	if !l.query.prefix() {
		return false, nil
	}
	newest, err := db.All(l.tx, scanFresh, selectNewest, l.meeting, below, searchPage)
	if err != nil || len(newest) < searchPage {
		return false, err // of so few the index tells all at once
	}
	last, n := l.query[len(l.query)-1:], 0
	for _, c := range newest {
		if last.in(c.Text) {
			n++
		}
	}
	return n*commonEvery >= searchPage, nil
}

// pages looks at pages of chunks below the position, the newest first, as next reads them.
func (l *looking) pages(below int64, next func(below int64) ([]Chunk, error)) (more int64, err error) {
	for range searchPages {
		chunks, err := next(below)
		if err != nil {
			return 0, err
		}
		for _, c := range chunks {
			if l.query.in(c.Text) && l.add(c) {
				return l.last(), nil
			}
			below = c.Position
		}
		if len(chunks) < searchPage {
			return 0, nil
		}
	}
	return below, nil
}

// add adds the chunk where the filter lets it pass, unless the page is full, which it
// reports.
func (l *looking) add(c Chunk) (full bool) {
	if !l.filter.passes(l.names, c.Speaker, c.Label, c.Start.Milliseconds(), c.End.Milliseconds()) {
		return false
	}
	if len(l.found) == l.limit {
		return true
	}
	c.Meeting, c.Speaker = l.meeting, l.names.of(c.Speaker, c.Label)
	l.found = append(l.found, Found{c, l.query.snippet(c.Text)})
	return false
}

func (l *looking) last() int64 { return l.found[len(l.found)-1].Position }

// query is the words that are looked for; the last may stand for all that begin with it.
type query []string

func parse(text string) query {
	var q query
	for w := range words.Of(text) {
		q = append(q, w.Folded)
	}
	return q
}

// prefix reports whether the last word stands for all that begin with it.
func (q query) prefix() bool { return utf8.RuneCountInString(q[len(q)-1]) >= minPrefix }

// match reports whether the folded word is the i-th of the query.
func (q query) match(i int, word string) bool {
	return word == q[i] || i == len(q)-1 && q.prefix() && strings.HasPrefix(word, q[i])
}

// in reports whether the text has every word.
func (q query) in(text string) bool {
	missing := make(map[int]bool, len(q))
	for i := range q {
		missing[i] = true
	}
	for w := range words.Of(text) {
		for i := range missing {
			if q.match(i, w.Folded) {
				delete(missing, i)
			}
		}
	}
	return len(missing) == 0
}

// expression is what the index is asked: each word of the query in the meeting, the last
// also as the beginning of others. They are letters and digits, so nothing in them is an
// operator.
func (q query) expression(m domain.MeetingID, beginning bool) string {
	var b strings.Builder
	for i, w := range q {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(`"` + codeOf(m) + w + `"`)
	}
	if beginning {
		b.WriteString(" *")
	}
	return b.String()
}

// snippet returns the part of the text around the first of the words that are in it.
func (q query) snippet(text string) string {
	all := slices.Collect(words.Of(text))
	hit := func(w words.Word) bool {
		for i := range q {
			if q.match(i, w.Folded) {
				return true
			}
		}
		return false
	}
	first := max(0, slices.IndexFunc(all, hit))
	from := max(0, min(first-snippetWords/4, len(all)-snippetWords))
	to := min(len(all), from+snippetWords)
	var b strings.Builder
	start, end := 0, len(text)
	if from > 0 {
		b.WriteString("…")
		start = all[from].Start
	}
	if to < len(all) {
		end = all[to-1].End
	}
	for _, w := range all[from:to] {
		if hit(w) {
			b.WriteString(text[start:w.Start] + "⟦" + text[w.Start:w.End] + "⟧")
			start = w.End
		}
	}
	b.WriteString(text[start:end])
	if to < len(all) {
		b.WriteString("…")
	}
	return b.String()
}

// selectNewest is what came last, first, in the index or not.
const selectNewest = `
SELECT position, start_ms, end_ms, confidence, speaker_id, label, language, text
FROM transcripts
WHERE meeting_id = ?1 AND position < ?2
ORDER BY position DESC
LIMIT ?3
-- scope: transcripts.meeting_id=?1`

// selectMatches looks for words in one meeting, what came last first.
const selectMatches = `
SELECT t.position, t.start_ms, t.end_ms, t.confidence, t.speaker_id, t.label, t.language, t.text
FROM transcript_words AS w
JOIN transcripts AS t ON t.position = w.rowid
WHERE w.transcript_words MATCH ?2 AND w.rowid < ?3 AND t.meeting_id = ?1
ORDER BY w.rowid DESC
LIMIT ?4
-- scope: transcripts.meeting_id=?1`
