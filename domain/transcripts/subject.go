package transcripts

import (
	"errors"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/topics"
)

const (
	// topicsEvery is how often it is looked what a meeting is about.
	topicsEvery = 10 * time.Second
	// topicsSpan is how far back it is looked, by when it was heard, and once more as
	// far for what it was about before: a sender's offsets may be wrong.
	topicsSpan = 2 * time.Minute
	// topicsSize is how much of what was said is looked at each time, and topicsChunks
	// in how many chunks: two minutes of speech, in half a millisecond.
	topicsSize   = 2000 // bytes
	topicsChunks = 200
	// stateTopics is how many topics the state of a meeting has at most.
	stateTopics = 8
	// shiftTopics is how many of the most important are compared, minTopics how many
	// there are at least for it to mean anything.
	shiftTopics = 5
	minTopics   = 2
	// shiftBelow is how similar two lists of topics are at least of one subject.
	shiftBelow = 0.3
)

// Subject returns a Settled that keeps what a meeting is about in its state, and tells
// that it has come to speak of something else, once for a change: the state says when,
// and an event without actor.
func Subject(log *events.Log) Settled {
	return func(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
		if deleted, err := Deleted(tx, m); err != nil || deleted {
			return err
		}
		due, err := topicsDue(tx, m, chunks)
		if err != nil || !due {
			return err
		}
		now, before, err := recent(tx, m, chunks[len(chunks)-1])
		if err != nil {
			return err
		}
		present := repeated(now)
		if len(present) == 0 {
			return nil // what was said is not about something else because it was little
		}
		var names []string
		for _, t := range present {
			names = append(names, t.Text)
		}
		if err := conversation.SetTopics(tx, m, names); err != nil {
			return err
		}
		if !shifted(repeated(before), present) {
			return nil
		}
		first, err := conversation.Shift(tx, m, topicsSpan)
		if err != nil || !first {
			return err
		}
		_, err = log.Append(tx, events.Event{Meeting: m, Type: events.TopicShifted})
		return err
	}
}

// topicsDue reports whether the chunks are the first that were heard in their ten seconds.
func topicsDue(tx db.Reader, m domain.MeetingID, chunks []Chunk) (bool, error) {
	before, err := db.One(tx, db.Int, selectHeardBefore, m, chunks[0].Position)
	if errors.Is(err, db.ErrNone) {
		return true, nil
	}
	last := chunks[len(chunks)-1].CreatedAt
	return last.Truncate(topicsEvery).After(time.UnixMilli(before)), err
}

// recent returns what was said of late, up to the chunk, and what just before that.
func recent(tx db.Reader, m domain.MeetingID, last Chunk) (now, before []topics.Text, err error) {
	chunks, err := db.All(tx, scanHeard, selectHeard, m, last.Position, last.CreatedAt.Add(-2*topicsSpan).UnixMilli(), topicsChunks)
	if err != nil {
		return nil, nil, err
	}
	size, border := 0, last.CreatedAt.Add(-topicsSpan)
	for i, c := range chunks {
		if size > topicsSize || c.CreatedAt.Before(border) {
			return ordered(chunks[:i]), ordered(upTo(chunks[i:], topicsSize)), nil
		}
		size += len(c.Text)
	}
	return ordered(chunks), nil, nil
}

// upTo returns the first chunks that are so long together, or a little longer.
func upTo(chunks []Chunk, size int) []Chunk {
	for i, c := range chunks {
		if size -= len(c.Text); size <= 0 {
			return chunks[:i+1]
		}
	}
	return chunks
}

// ordered returns the texts of chunks, of which the last is the first.
func ordered(chunks []Chunk) []topics.Text {
	all := texts(chunks)
	slices.Reverse(all)
	return all
}

// repeated returns the topics that were named more than once: others are chance.
func repeated(said []topics.Text) []topics.Topic {
	return slices.DeleteFunc(topics.Of(said, stateTopics), func(t topics.Topic) bool { return t.Count < 2 })
}

// shifted reports whether two lists of topics are of different subjects.
func shifted(before, now []topics.Topic) bool {
	before, now = before[:min(len(before), shiftTopics)], now[:min(len(now), shiftTopics)]
	return len(before) >= minTopics && len(now) >= minTopics && topics.Similarity(before, now) < shiftBelow
}

const selectHeardBefore = `
SELECT created_at
FROM transcripts
WHERE meeting_id = ?1 AND position < ?2
ORDER BY position DESC
LIMIT 1
-- scope: transcripts.meeting_id=?1`

// selectHeard is some chunks up to a position, the last first, while they were heard
// after an instant: instants ascend with positions.
const selectHeard = `
SELECT created_at, language, text
FROM transcripts
WHERE meeting_id = ?1 AND position <= ?2 AND created_at > ?3
ORDER BY position DESC
LIMIT ?4
-- scope: transcripts.meeting_id=?1`

func scanHeard(r db.Row) (c Chunk, err error) {
	var at int64
	err = r.Scan(&at, &c.Language, &c.Text)
	c.CreatedAt = time.UnixMilli(at)
	return c, err
}
