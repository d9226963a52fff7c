package notes

import (
	"errors"
	"sync"
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

// maxTexts is how many texts are kept in memory: some megabytes, 30 if all are as
// long as they may be.
const maxTexts = 200

// texts are the documents that were edited last, as that has left them, so that
// who types does not have them read again.
//
// A text of which the version is that of the head is what the database has: every
// write that gives notes a version puts their text here, and writes are one after
// the other. One that was undone leaves a version that its head does not have, or
// has only once another write has put its own text here.
type texts struct {
	mu sync.Mutex // guards of
	of map[domain.MeetingID]edited
}

type edited struct {
	version int64
	text    *Text
}

// take returns the text at the version of the head for the caller to change, who
// puts it back if the change is written.
func (t *texts) take(tx db.Reader, m domain.MeetingID, h head) (*Text, error) {
	t.mu.Lock()
	kept, found := t.of[m]
	delete(t.of, m)
	t.mu.Unlock()
	if found && kept.version == h.version {
		return kept.text, nil
	}
	n, err := h.noteAt(tx, m, h.version)
	return NewText(n.Content), err
}

// put keeps the text of the meeting's notes in place of another.
func (t *texts) put(m domain.MeetingID, version int64, text *Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other := range t.of {
		if len(t.of) < maxTexts {
			break
		}
		delete(t.of, other)
	}
	t.of[m] = edited{version, text}
}
