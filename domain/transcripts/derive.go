package transcripts

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Derive stores what follows from chunks of the meeting that are now settled: in order
// of position, each once. It joins the caller's transaction.
func Derive(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	return meanings{}.derive(tx, m, chunks)
}

// derive is Derive where it is known already what most segments mean.
func (known meanings) derive(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	chunks = unnamed(chunks)
	if err := known.reviseStored(tx, m, chunks); err != nil {
		return err
	}
	if err := count(tx, m, chunks); err != nil {
		return err
	}
	return index(tx, m, chunks)
}

// unnamed returns the chunks as they are stored: whom a label stands for is known when
// they are read.
func unnamed(chunks []Chunk) []Chunk {
	chunks = slices.Clone(chunks)
	for i := range chunks {
		if chunks[i].Label != "" {
			chunks[i].Speaker = ""
		}
	}
	return chunks
}

// inTx is the stored segments of a meeting, as a transaction sees them.
type inTx struct {
	tx      db.Reader
	meeting domain.MeetingID
}

func (t inTx) upTo(k key) (Segment, bool, error) {
	return maybe(db.One(t.tx, scanSegment, selectSegmentUpTo, t.meeting, k.start, k.position))
}

func (t inTx) after(k key) (Segment, bool, error) {
	return maybe(db.One(t.tx, scanSegment, selectSegmentAfter, t.meeting, k.start, k.position))
}

// maybe reports whether there is a segment.
func maybe(s Segment, err error) (Segment, bool, error) {
	if errors.Is(err, db.ErrNone) {
		return s, false, nil
	}
	return s, err == nil, err
}

// reviseStored stores what the chunks make of the segments.
func (known meanings) reviseStored(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	v, err := revise(inTx{tx, m}, chunks)
	if err != nil {
		return err
	}
	for _, k := range v.gone {
		if _, err := tx.Exec(deleteSegment, m, k.start, k.position); err != nil {
			return err
		}
	}
	for _, s := range v.now {
		if err := known.store(tx, m, s); err != nil {
			return err
		}
	}
	return nil
}

// store stores a segment, and what it means where another follows.
func (known meanings) store(tx *db.WriteTx, m domain.MeetingID, s Segment) error {
	var topics *string
	var sentiment *float64
	if s.closed {
		meant := known.of(m, s)
		names, err := json.Marshal(meant.topics)
		if err != nil {
			return err
		}
		text := string(names)
		topics, sentiment = &text, meant.sentiment
	}
	k := s.key()
	_, err := tx.Exec(upsertSegment, m, k.start, k.position, s.End.Milliseconds(), s.Speaker, s.Label, topics, sentiment, pack(s.Chunks), s.Text())
	return err
}

// maxCounted is how many speakers and languages of a meeting are counted apart: the
// rest count as one of which nothing is known.
const maxCounted = 1000

// tally is how much was said by a speaker in a language.
type tally struct {
	speaker           domain.UserID
	label, language   string
	settled           int64 // the last position among them
	chunks, words     int64
	confidence, spoke int64 // in thousandths, in milliseconds
	start, end        int64 // of the first and the last, in milliseconds
	longest           int64 // of one, in milliseconds
}

// counted is what a tally is of.
type counted struct {
	speaker         domain.UserID
	label, language string
}

func tallyOf(c Chunk) tally {
	return tally{
		speaker: c.Speaker, label: c.Label, language: c.Language, settled: c.Position,
		chunks: 1, words: int64(len(strings.Fields(c.Text))), confidence: int64(c.Confidence*confidences + 0.5),
		spoke: (c.End - c.Start).Milliseconds(), start: c.Start.Milliseconds(), end: c.End.Milliseconds(),
		longest: (c.End - c.Start).Milliseconds(),
	}
}

func (t tally) of() counted { return counted{t.speaker, t.label, t.language} }

func (t *tally) add(o tally) {
	t.settled = max(t.settled, o.settled)
	t.chunks += o.chunks
	t.words += o.words
	t.confidence += o.confidence
	t.spoke += o.spoke
	t.start, t.end, t.longest = min(t.start, o.start), max(t.end, o.end), max(t.longest, o.longest)
}

// tallies returns those of the chunks, in the order in which they come.
func tallies(chunks []Chunk) []tally {
	var all []tally
	place := map[counted]int{}
	for _, c := range chunks {
		t := tallyOf(c)
		if i, found := place[t.of()]; found {
			all[i].add(t)
			continue
		}
		place[t.of()] = len(all)
		all = append(all, t)
	}
	return all
}

// count adds the chunks to the counts of their meeting.
func count(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	known := map[counted]bool{}
	rows, err := db.All(tx, scanTally, selectTallies, m, maxCounted+1)
	if err != nil {
		return err
	}
	for _, r := range rows {
		known[r.of()] = true
	}
	for _, t := range tallies(chunks) {
		if !known[t.of()] && len(known) >= maxCounted {
			t.speaker, t.label, t.language = "", "", ""
		}
		known[t.of()] = true
		_, err := tx.Exec(upsertTally, m, t.speaker, t.label, t.language, t.settled, t.chunks, t.words, t.confidence, t.spoke, t.start, t.end, t.longest)
		if err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

const selectSegmentUpTo = `
SELECT first, end_ms, start_ms, speaker_id, label, topics, sentiment, chunks, text
FROM segments
WHERE meeting_id = ?1 AND (start_ms, first) <= (?2, ?3)
ORDER BY start_ms DESC, first DESC
LIMIT 1
-- scope: segments.meeting_id=?1`

const selectSegmentAfter = `
SELECT first, end_ms, start_ms, speaker_id, label, topics, sentiment, chunks, text
FROM segments
WHERE meeting_id = ?1 AND (start_ms, first) > (?2, ?3)
ORDER BY start_ms, first
LIMIT 1
-- scope: segments.meeting_id=?1`

const deleteSegment = `
DELETE FROM segments
WHERE meeting_id = ?1 AND start_ms = ?2 AND first = ?3`

const upsertSegment = `
INSERT INTO segments (meeting_id, start_ms, first, end_ms, speaker_id, label, topics, sentiment, chunks, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, start_ms, first) DO UPDATE
SET end_ms = excluded.end_ms, speaker_id = excluded.speaker_id, label = excluded.label,
  topics = excluded.topics, sentiment = excluded.sentiment, chunks = excluded.chunks, text = excluded.text`

const selectTallies = `
SELECT speaker_id, label, language, settled, chunks, words, confidence, spoken_ms, start_ms, end_ms, longest_ms
FROM transcript_counts
WHERE meeting_id = ?1
ORDER BY speaker_id, label, language
LIMIT ?2
-- scope: transcript_counts.meeting_id=?1`

const upsertTally = `
INSERT INTO transcript_counts (meeting_id, speaker_id, label, language, settled, chunks, words, confidence, spoken_ms, start_ms, end_ms, longest_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, speaker_id, label, language) DO UPDATE
SET settled = max(settled, excluded.settled), chunks = chunks + excluded.chunks, words = words + excluded.words,
  confidence = confidence + excluded.confidence, spoken_ms = spoken_ms + excluded.spoken_ms,
  start_ms = min(start_ms, excluded.start_ms), end_ms = max(end_ms, excluded.end_ms),
  longest_ms = max(longest_ms, excluded.longest_ms)`

func scanSegment(r db.Row) (s Segment, err error) {
	var first, start, end int64
	var pieces []byte
	var text string
	var topics *string
	var sentiment *float64
	if err := r.Scan(&first, &end, &start, &s.Speaker, &s.Label, &topics, &sentiment, &pieces, &text); err != nil {
		return s, err
	}
	if topics != nil {
		s.stored = &meaning{sentiment: sentiment}
		if err := json.Unmarshal([]byte(*topics), &s.stored.topics); err != nil {
			return s, err
		}
	}
	s.Start, s.End = milliseconds(start), milliseconds(end)
	return s, s.unpack(pieces, text)
}

func scanTally(r db.Row) (t tally, err error) {
	err = r.Scan(&t.speaker, &t.label, &t.language, &t.settled, &t.chunks, &t.words, &t.confidence, &t.spoke, &t.start, &t.end, &t.longest)
	return t, err
}
