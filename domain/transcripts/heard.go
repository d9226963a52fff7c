package transcripts

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/participants"
	"connvo/jobs"
)

// Lull is the kind of the jobs that notice, one for a meeting, that nobody speaks;
// the payload is the meeting.
const Lull = "transcripts.lull"

const (
	// mildAfter and severeAfter are how long nobody speaks in a lull.
	mildAfter   = 30 * time.Second
	severeAfter = 60 * time.Second
	// ahead is how far the sender's clock may be before ours: what is said to end
	// later is counted where it was heard.
	ahead = time.Minute
)

// label is a Settled: it notes the labels under which somebody speaks, and how much
// those say whom nobody has named. Who speaks may be known since the chunks were read.
func label(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	said := map[string]conversation.Utterance{}
	known := map[string]domain.UserID{}
	for i, c := range chunks {
		if c.Label == "" {
			continue
		}
		user, seen := known[c.Label]
		if !seen {
			s, err := db.One(tx, scanSpeaker, selectSpeaker, m, c.Label)
			if err != nil && !errors.Is(err, db.ErrNone) {
				return err
			}
			user = s.User
			known[c.Label] = user
		}
		if chunks[i].Speaker = user; user == "" {
			sum := said[c.Label]
			sum.End += c.End - c.Start
			sum.Words += wordsOf(c)
			said[c.Label] = sum
		}
	}
	for _, label := range slices.Sorted(maps.Keys(said)) {
		sum := said[label]
		if _, err := tx.Exec(upsertUnattributed, m, label, sum.End.Milliseconds(), sum.Words, MaxSpeakers); err != nil {
			return err
		}
	}
	return nil
}

func wordsOf(c Chunk) int64 { return int64(len(strings.Fields(c.Text))) }

// hear is a Settled: it counts who has spoken how long.
func hear(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	ms, err := db.One(tx, db.Int, selectStarted, m)
	if err != nil {
		return err
	}
	started := time.UnixMilli(ms)
	said := make([]conversation.Utterance, len(chunks))
	for i, c := range chunks {
		said[i] = conversation.Utterance{Speaker: c.Speaker, Start: c.Start, End: c.End, Words: wordsOf(c)}
		if late := c.End - c.CreatedAt.Sub(started); late > ahead {
			said[i].Start, said[i].End = max(0, c.Start-late), max(0, c.End-late)
		}
	}
	return conversation.Speak(tx, m, said...)
}

// endLull is a Settled: it ends the lull of the meeting, and has a job look for the
// next one. A job that waits is left to find by itself that somebody has spoken.
func endLull(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	if err := conversation.EndLull(tx, m); err != nil {
		return err
	}
	name := Lull + ":" + string(m)
	if waits, err := jobs.Waits(tx, name); err != nil || waits {
		return err
	}
	return watch(tx, m, chunks[len(chunks)-1].CreatedAt.Add(mildAfter))
}

func watch(tx *db.WriteTx, m domain.MeetingID, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Lull, Name: Lull + ":" + string(m), Payload: m, RunAt: at})
}

// NoticeLull is the effect of the jobs of the kind Lull: it begins a lull, or makes it
// a severe one, or looks again when there may be one. A meeting that has ended is
// not looked after any more.
func NoticeLull(tx *db.WriteTx, m domain.MeetingID) error {
	state, err := db.One(tx, scanText, selectState, m)
	if err != nil || participants.State(state) != participants.Active {
		return err
	}
	ms, err := db.One(tx, db.Int, selectLastAt, m)
	if errors.Is(err, db.ErrNone) {
		return nil // it was deleted
	}
	if err != nil {
		return err
	}
	last := time.UnixMilli(ms).UTC()
	switch silent := tx.Now.Sub(last); {
	case silent < mildAfter:
		return watch(tx, m, last.Add(mildAfter))
	case silent < severeAfter:
		if err := conversation.SetLull(tx, m, conversation.Lull{Since: last, Severity: conversation.Mild}); err != nil {
			return err
		}
		return watch(tx, m, last.Add(severeAfter))
	}
	return conversation.SetLull(tx, m, conversation.Lull{Since: last, Severity: conversation.Severe})
}

func scanText(r db.Row) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}

const upsertUnattributed = `
INSERT INTO speakers (meeting_id, label, total_ms, words)
SELECT ?1, ?2, ?3, ?4
WHERE EXISTS (SELECT 1 FROM speakers WHERE meeting_id = ?1 AND label = ?2)
  OR (SELECT count(*) FROM speakers WHERE meeting_id = ?1) < ?5
ON CONFLICT (meeting_id, label) DO UPDATE
SET total_ms = total_ms + excluded.total_ms, words = words + excluded.words`

const selectStarted = `
SELECT coalesce(started_at, created_at)
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectState = `
SELECT state
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectLastAt = `
SELECT created_at
FROM transcripts
WHERE meeting_id = ?1
ORDER BY position DESC
LIMIT 1
-- scope: transcripts.meeting_id=?1`
