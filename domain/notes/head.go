package notes

import (
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
)

// head is the row of the notes: which version they have, and what is known of it.
type head struct {
	version int64
	floor   int64 // versions up to it, which is one, are gone from the history
	locked  bool
	edits   int64 // since the newest snapshot
	bytes   int64 // of these
	units   int   // of the text
	at      time.Time
	by      domain.UserID
}

// headOf returns the zero head for notes that nobody has touched.
func headOf(tx db.Reader, m domain.MeetingID) (head, error) {
	h, err := db.One(tx, scanHead, selectHead, m)
	if errors.Is(err, db.ErrNone) {
		return head{}, nil
	}
	return h, err
}

func (h head) store(tx *db.WriteTx, m domain.MeetingID) error {
	_, err := tx.Exec(upsertHead, m, h.version, h.floor, h.locked, h.edits, h.bytes, h.units, db.Millis(h.at), h.by)
	return err
}

// checkOpen refuses notes that nobody may edit now.
func (h head) checkOpen(tx *db.WriteTx, m domain.MeetingID, viewer participants.Membership) error {
	if h.locked {
		return ErrLocked
	}
	return checkKept(tx, m, viewer)
}

// checkKept refuses meetings whose notes are forgotten, or soon will be.
func checkKept(tx *db.WriteTx, m domain.MeetingID, viewer participants.Membership) error {
	switch viewer.State {
	case participants.Cancelled:
		return errCancelled
	case participants.Concluded:
		ended, err := db.One(tx, db.Int, selectEndedAt, m)
		if err != nil {
			return err
		}
		if tx.Now.Sub(time.UnixMilli(ended)) >= meetings.Remembered {
			return domain.Fail(domain.MeetingNotActive, "the meeting ended more than a year ago")
		}
	}
	return nil
}

// ErrLocked is an edit or a rollback of notes that a host has locked.
var ErrLocked = domain.Fail(domain.Conflict, "the notes are locked")

var errCancelled = domain.Fail(domain.MeetingNotActive, "the meeting is cancelled")

// checkVersion refuses what is no version of the notes, or one that is gone.
func (h head) checkVersion(tx db.Reader, m domain.MeetingID, version int64) error {
	if version == h.floor || version == h.version {
		return nil
	}
	if version < h.floor {
		return ErrBase
	}
	_, err := db.One(tx, db.Int, selectVersion, m, version)
	if errors.Is(err, db.ErrNone) {
		return ErrBase
	}
	return err
}
