// Package notes is the shared document of a meeting.
//
// A document changes by Deltas, which may be made at the same time in many
// places. The server puts them into one order and rewrites each for the document
// it meets ([Client.Rebase]); every client does the same with what it has not yet
// sent ([Lift]). Both walk the same squares of Transform, one edit against one
// edit, and so come to the same text: docs/notes.md tells how, and why edits are
// never put together on the way.
package notes

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// What is taken from a client. Lengths are UTF-16 code units.
const (
	MaxDocument = 100_000   // of a document, some 40 pages
	MaxInsert   = 20_000    // of all that one edit inserts, a pasted article
	MaxOps      = 20_000    // in one edit: a deletion has two for each place where others write meanwhile
	MaxEdits    = 500       // in one request: a minute of typing
	MaxJSON     = 256 << 10 // bytes of one edit: MaxInsert units as \u escapes, and MaxOps lengths
)

// Note is the notes of a meeting at one version. Those that nobody has written
// are the zero Note.
type Note struct {
	Content   string // Markdown, as its writers mean it; any text as the server sees it
	Version   int64  // the number of the last edit, 0 before the first
	UpdatedAt time.Time
	UpdatedBy domain.UserID
	Locked    bool // nobody may edit; false for what they once were
}

// Logged is an edit in the history of the notes. Those that the server made, of a
// rollback, have no Client, and who asked for them as User.
type Logged struct {
	Revision
	User      domain.UserID
	CreatedAt time.Time
}

// Store is the notes in the database.
type Store struct {
	db    *db.DB
	log   *events.Log
	texts texts
}

// NewStore returns the notes in d.
func NewStore(d *db.DB, log *events.Log) *Store {
	return &Store{db: d, log: log, texts: texts{of: map[domain.MeetingID]edited{}}}
}

// Get returns the notes as they are.
func (s *Store) Get(ctx context.Context, who domain.Actor, m domain.MeetingID) (n Note, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		n, err = Written(tx, m)
		return err
	})
	return n, err
}

// Written returns the notes as they are, for whoever has checked that they may be read.
// It joins the caller's transaction.
func Written(tx db.Reader, m domain.MeetingID) (Note, error) {
	h, err := headOf(tx, m)
	if err != nil {
		return Note{}, err
	}
	n, err := h.noteAt(tx, m, h.version)
	n.Locked = h.locked
	return n, err
}

// At returns the notes as they were at a version. It is NotFound where there is
// no such version, and for those older than Lifetime that are no snapshot.
func (s *Store) At(ctx context.Context, who domain.Actor, m domain.MeetingID, version int64) (n Note, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		h, err := headOf(tx, m)
		if err != nil {
			return err
		}
		n, err = h.noteAt(tx, m, version)
		return err
	})
	return n, err
}

// Feed returns a part of the history of the notes, by version. Edits
// older than Lifetime are gone.
func (s *Store) Feed(ctx context.Context, who domain.Actor, m domain.MeetingID, span domain.Span) (part domain.Part[Logged], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		part, err = db.Part(tx, span, scanLogged, db.Feed{After: selectLoggedAfter, Before: selectLoggedBefore}, m)
		if err != nil || span.After == nil {
			return err
		}
		part.Gone, err = db.One(tx, db.Int, selectFloor, m)
		if errors.Is(err, db.ErrNone) {
			return nil
		}
		return err
	})
	return part, err
}

// Count counts the edits of people, those with a Client, that follow a version up
// to another, at most limit of all edits. It returns the last one it has looked at,
// and whether there are more. It joins the caller's transaction, which has checked
// that the notes may be read.
func Count(tx db.Reader, m domain.MeetingID, after, until, limit int64) (edits, last int64, more bool, err error) {
	c, err := db.One(tx, scanCount, countOps, m, after, until, limit)
	return c.edits, max(after, c.last), c.seen == limit, err
}
