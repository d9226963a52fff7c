package transcripts

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/jobs"
)

// Deletion is the kind of the jobs that delete what is stored of a transcript that
// nobody is answered any more; the payload is a Doomed.
const Deletion = "transcripts.deletion"

// Doomed is a transcript that is to be deleted.
type Doomed struct {
	Meeting domain.MeetingID
	Words   bool // something was said, so that there are words of it in the index
}

// ErrUnsettled says that what was said in a meeting is not all settled yet: it is in
// the index in part only, and cannot be taken out. It will be within seconds.
var ErrUnsettled = errors.New("what was said is not settled yet")

// Delete deletes the transcript of a meeting that is over, for good: from its commit on
// every answer is that of a meeting in which nothing was said, and a job deletes what is
// stored. Repeated it changes nothing; the instant is that of the first time.
//
// Errors: Forbidden to all but the host; Conflict before the meeting is over.
func (s *Store) Delete(ctx context.Context, who domain.Actor, m domain.MeetingID) (at time.Time, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, m, participants.Preside)
		if err != nil {
			return err
		}
		if viewer.State != participants.Concluded && viewer.State != participants.Cancelled {
			return domain.Fail(domain.Conflict, "the meeting is %s; its transcript can be deleted once it is over", viewer.State)
		}
		ms, err := db.One(tx, db.Int, selectDeleted, m)
		if err == nil {
			at = time.UnixMilli(ms).UTC()
			return nil
		}
		if !errors.Is(err, db.ErrNone) {
			return err
		}
		at = tx.Now
		return s.hide(tx, who, m)
	})
	return at, err
}

// hide makes the transcript one of which nobody is answered anything, and leaves the
// rest to a job.
func (s *Store) hide(tx *db.WriteTx, who domain.Actor, m domain.MeetingID) error {
	if _, err := tx.Exec(insertDeleted, m, tx.Now.UnixMilli()); err != nil {
		return err
	}
	if err := conversation.ForgetTopics(tx, m); err != nil {
		return err
	}
	position, err := s.log.Append(tx, events.Event{Meeting: m, Type: events.TranscriptDeleted, Actor: who.User, Subject: string(m)})
	if err != nil {
		return err
	}
	// Whoever follows the transcript, wherever they are in it, holds what is deleted.
	if _, err := tx.Exec(upsertGone, m, position); err != nil {
		return err
	}
	_, err = db.One(tx, db.Int, selectLast, m)
	said := err == nil
	if err != nil && !errors.Is(err, db.ErrNone) {
		return err
	}
	org, err := db.One(tx, scanText, selectOrg, m)
	if err != nil {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: Deletion, Name: Deletion + ":" + string(m), Org: org, Payload: Doomed{Meeting: m, Words: said}})
}

// Deleted reports whether the transcript of the meeting was deleted by its host: then
// nothing of it may be told, or stored. It joins the caller's transaction.
func Deleted(tx db.Reader, m domain.MeetingID) (bool, error) {
	_, err := db.One(tx, db.Int, selectDeleted, m)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// readable refuses whoever may not read what was said in the meeting, and reports
// whether there is a transcript to read: one that was deleted is as if nothing had been
// said.
func readable(tx db.Reader, who domain.Actor, m domain.MeetingID) (bool, error) {
	if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
		return false, err
	}
	deleted, err := Deleted(tx, m)
	return !deleted, err
}

// Erase deletes a few rows of what is stored of the meeting's transcript, in a
// millisecond or two, and returns how many, 0 when none is left; their words stay in
// the index, marked, until Purge. It joins the caller's transaction. Errors:
// ErrUnsettled.
func Erase(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	last, err := db.One(tx, db.Int, selectLast, m)
	if err == nil {
		return eraseChunks(tx, m, last)
	}
	if !errors.Is(err, db.ErrNone) {
		return 0, err
	}
	if n, err := tx.Exec(deleteUtterances, m, deletedUtterance); err != nil || n > 0 {
		return n, err
	}
	if n, err := forget(tx, m); err != nil || n > 0 {
		return n, err
	}
	return tx.Exec(deleteTranscribed, m)
}

// eraseChunks deletes the first chunks of a transcript that ends with last.
func eraseChunks(tx *db.WriteTx, m domain.MeetingID, last int64) (int64, error) {
	counts, err := db.One(tx, scanSettled, selectSettled, m)
	if err != nil {
		return 0, err
	}
	if counts.settled < last {
		return 0, ErrUnsettled
	}
	if err := unindex(tx, m, tx.Now, deletedChunks); err != nil {
		return 0, err
	}
	return tx.Exec(deleteOldest, m, tx.Now.UnixMilli(), deletedChunks)
}

const selectDeleted = `
SELECT deleted_at
FROM deleted_transcripts
WHERE meeting_id = ?1
-- scope: deleted_transcripts.meeting_id=?1`

const insertDeleted = `
INSERT INTO deleted_transcripts (meeting_id, deleted_at)
VALUES (?, ?)`

const upsertGone = `
INSERT INTO horizons (owner, collection, gone)
VALUES (?1, 'transcripts', ?2)
ON CONFLICT (owner, collection) DO UPDATE
SET gone = excluded.gone
WHERE excluded.gone > gone`

const selectOrg = `
SELECT org_id
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectLast = `
SELECT position
FROM transcripts
WHERE meeting_id = ?1
ORDER BY position DESC
LIMIT 1
-- scope: transcripts.meeting_id=?1`
