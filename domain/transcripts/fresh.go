package transcripts

import (
	"connvo/db"
	"connvo/domain"
)

// What follows from chunks is stored a second or two after them: segments, counts and
// words. Whoever reads it adds the chunks that are not in there yet, so that every
// answer is that of all chunks, and both are done by the same functions.

// maxFresh is how many chunks of a meeting a reader adds, and maxFreshText how much
// text, some milliseconds' work: twenty seconds of the most that one may send. Where
// more wait, those that came last are in no answer until they are settled.
const (
	maxFresh     = 2000
	maxFreshText = 4 << 20 // bytes
	freshPage    = 500     // chunks that are read at once
)

var errUnsettled = domain.Fail(domain.Unavailable, "more was said than is stored yet: ask again in some seconds")

// fresh returns the meeting's chunks that are not settled, in order of position, and
// whether they are all of them.
func fresh(tx db.Reader, m domain.MeetingID) (chunks []Chunk, all bool, err error) {
	settled, err := db.One(tx, scanSettled, selectSettled, m)
	if err != nil {
		return nil, false, err
	}
	after, text := settled.settled, 0
	for len(chunks) < maxFresh && text < maxFreshText {
		page, err := db.All(tx, scanFresh, selectFresh, m, after, freshPage)
		if err != nil {
			return nil, false, err
		}
		chunks = append(chunks, page...)
		if len(page) < freshPage {
			return chunks, true, nil
		}
		for _, c := range page {
			text += len(c.Text)
		}
		after = page[len(page)-1].Position
	}
	return chunks, false, nil
}

const selectSettled = `
SELECT coalesce(max(settled), 0), coalesce(max(longest_ms), 0)
FROM transcript_counts
WHERE meeting_id = ?1
-- scope: transcript_counts.meeting_id=?1`

const selectFresh = `
SELECT position, start_ms, end_ms, confidence, speaker_id, label, language, text
FROM transcripts
WHERE meeting_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: transcripts.meeting_id=?1`

func scanFresh(r db.Row) (c Chunk, err error) {
	var start, end int64
	err = r.Scan(&c.Position, &start, &end, &c.Confidence, &c.Speaker, &c.Label, &c.Language, &c.Text)
	c.Start, c.End = milliseconds(start), milliseconds(end)
	return c, err
}

func scanSettled(r db.Row) (t tally, err error) {
	err = r.Scan(&t.settled, &t.longest)
	return t, err
}
