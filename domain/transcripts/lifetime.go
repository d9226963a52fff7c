package transcripts

import (
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/jobs"
)

// Closed is the kind of the jobs that forget what senders called the chunks of a
// meeting that has ended; the payload is the meeting.
const Closed = "transcripts.closed"

// The bounds of deleting at once, each some milliseconds' work.
const (
	deletedChunks    = 50
	deletedNames     = 200
	deletedSegments  = 20
	deletedUtterance = 500
)

// Close is an events.Follow for the end of a meeting.
func Close(tx *db.WriteTx, e events.Event) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Closed, Name: Closed + ":" + string(e.Meeting), Payload: e.Meeting})
}

// ForgetUtterances is the effect of the jobs of the kind Closed: nothing is said in
// the meeting any more, so nothing is said again.
func ForgetUtterances(tx *db.WriteTx, m domain.MeetingID) error {
	n, err := tx.Exec(deleteUtterances, m, deletedUtterance)
	if err != nil || n < deletedUtterance {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: Closed, Name: Closed + ":" + string(m), Payload: m})
}

// begin is a Settled: it notes that the meeting has a transcript, and where in it what
// is.
func begin(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	if _, err := tx.Exec(insertTranscribed, m, chunks[0].CreatedAt.UnixMilli()); err != nil {
		return err
	}
	return putIntoBuckets(tx, m, chunks)
}

// NextOrg returns the first organization after the one given, in the order of their
// ids, whose meetings have transcripts, or db.ErrNone. It joins the caller's
// transaction.
func NextOrg(tx db.Reader, after string) (string, error) {
	return db.One(tx, scanText, selectNextOrg, after)
}

// Oldest returns the instant of the oldest chunk in the organization's meetings, or
// db.ErrNone. It joins the caller's transaction.
func Oldest(tx db.Reader, org string) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest, org)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few chunks of one of the organization's meetings that are not
// younger than the instant, the oldest first, and returns how many, 0 when none is
// left. It joins the caller's transaction.
func Delete(tx *db.WriteTx, org string, until time.Time) (int64, error) {
	meeting, err := db.One(tx, scanText, selectOldestTranscript, org, until.UnixMilli())
	if errors.Is(err, db.ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := unindex(tx, domain.MeetingID(meeting), until, deletedChunks); err != nil {
		return 0, err
	}
	n, err := tx.Exec(deleteOldest, meeting, until.UnixMilli(), deletedChunks)
	if err != nil {
		return 0, err
	}
	oldest, err := db.One(tx, db.Int, selectOldestIn, meeting)
	if err == nil {
		_, err = tx.Exec(updateTranscribed, meeting, oldest)
		return n, err
	}
	if !errors.Is(err, db.ErrNone) {
		return 0, err
	}
	more, err := forgetWithTranscript(tx, domain.MeetingID(meeting))
	if err == nil && more == 0 {
		_, err = tx.Exec(deleteTranscribed, meeting)
	}
	return n + more, err
}

// forgetWithTranscript is Forget for a meeting whose transcript was kept for longer
// than the meeting is remembered.
func forgetWithTranscript(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	_, err := db.One(tx, db.Int, selectForgotten, m)
	if errors.Is(err, db.ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return forget(tx, m)
}

// Forget deletes, of a meeting that has no transcript any more, the segments, counts
// and names of speakers, a few at a time, and returns how many, 0 when none is left: a
// transcript may be kept for longer than the meeting is remembered, and then they are
// too. It joins the caller's transaction.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	_, err := db.One(tx, db.Int, selectTranscribed, m)
	if !errors.Is(err, db.ErrNone) {
		return 0, err
	}
	return forget(tx, m)
}

func forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	if n, err := tx.Exec(deleteSegments, m, deletedSegments); err != nil || n > 0 {
		return n, err
	}
	if n, err := tx.Exec(deleteCounts, m, deletedNames); err != nil || n > 0 {
		return n, err
	}
	return tx.Exec(deleteSpeakers, m, deletedNames)
}

const deleteUtterances = `
DELETE FROM utterances
WHERE meeting_id = ?1 AND utterance IN (
  SELECT utterance
  FROM utterances
  WHERE meeting_id = ?1
  ORDER BY utterance
  LIMIT ?2
)`

const insertTranscribed = `
INSERT INTO transcribed (meeting_id, org_id, oldest_at)
SELECT id, org_id, ?2 FROM meetings WHERE id = ?1
ON CONFLICT DO NOTHING`

const selectNextOrg = `
SELECT org_id
FROM transcribed
WHERE org_id > ?1
ORDER BY org_id
LIMIT 1`

const selectOldest = `
SELECT oldest_at
FROM transcribed
WHERE org_id = ?1
ORDER BY oldest_at
LIMIT 1`

const selectOldestTranscript = `
SELECT meeting_id
FROM transcribed
WHERE org_id = ?1 AND oldest_at <= ?2
ORDER BY oldest_at
LIMIT 1`

const selectOldestIn = `
SELECT created_at
FROM transcripts
WHERE meeting_id = ?1
ORDER BY position
LIMIT 1`

// deleteOldest looks at the meeting's first chunks only: instants ascend with
// positions.
const deleteOldest = `
DELETE FROM transcripts
WHERE created_at <= ?2 AND position IN (
  SELECT position
  FROM transcripts
  WHERE meeting_id = ?1
  ORDER BY position
  LIMIT ?3
)`

const selectTranscribed = `
SELECT oldest_at
FROM transcribed
WHERE meeting_id = ?1`

// selectForgotten is a row where the meeting has ended and is not remembered.
const selectForgotten = `
SELECT m.ended_at
FROM meetings AS m
LEFT JOIN concluded AS c ON c.ended_at = m.ended_at AND c.meeting_id = m.id
WHERE m.id = ?1 AND m.state = 'concluded' AND c.meeting_id IS NULL`

const deleteSegments = `
DELETE FROM segments
WHERE meeting_id = ?1 AND (start_ms, first) IN (
  SELECT start_ms, first
  FROM segments
  WHERE meeting_id = ?1
  ORDER BY start_ms, first
  LIMIT ?2
)`

const deleteCounts = `
DELETE FROM transcript_counts
WHERE meeting_id = ?1 AND (speaker_id, label, language) IN (
  SELECT speaker_id, label, language
  FROM transcript_counts
  WHERE meeting_id = ?1
  ORDER BY speaker_id, label, language
  LIMIT ?2
)`

const deleteTranscribed = `
DELETE FROM transcribed
WHERE meeting_id = ?1`

const updateTranscribed = `
UPDATE transcribed
SET oldest_at = ?2
WHERE meeting_id = ?1 AND oldest_at <> ?2`

const deleteSpeakers = `
DELETE FROM speakers
WHERE meeting_id = ?1 AND label IN (
  SELECT label
  FROM speakers
  WHERE meeting_id = ?1
  ORDER BY label
  LIMIT ?2
)`
