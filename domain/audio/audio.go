// Package audio is pieces of somebody's speech that wait to become text.
package audio

import (
	"context"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
)

// The bounds of what waits. A piece waits for seconds, so that all of this is for an
// endpoint that is away for a while.
const (
	maxMeetingPieces = 200       // of a meeting: ten people for three minutes
	maxMeetingBytes  = 32 << 20  // of a meeting
	maxPieces        = 2000      // in all: the scribe looks at each when it chooses
	maxAllBytes      = 256 << 20 // in all: what the database grows by
)

// Lifetime is how long a piece is kept at most: the scribe gives it up before.
const Lifetime = time.Hour

// deleted is how many pieces Delete deletes at once: each is up to 256 pages.
const deleted = 4

// Piece is what somebody said in a meeting, before it is text.
type Piece struct {
	Number    int64 // its number of the one sequence, which ascends as pieces arrive
	Meeting   domain.MeetingID
	Speaker   domain.UserID
	CreatedAt time.Time
	Start     time.Duration // the offset in the meeting at which it begins
	Duration  time.Duration
	Format    Format
}

// ID returns the name of the piece, which is the utterance of its chunk.
func (p Piece) ID() domain.AudioID { return domain.NewAudioID(p.Number) }

// Store takes pieces in. It is safe for concurrent use.
type Store struct{ db *db.DB }

// NewStore returns the pieces in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Accept keeps a piece of the caller's speech until it is text, or cannot become any.
// start is the offset in the meeting at which it begins; nil where it ends now.
//
// Errors: Forbidden to observers and to who is not there; MeetingNotActive unless the
// meeting is active; Invalid for a start beyond transcripts.MaxOffset; RateLimited
// when as much of the meeting waits as may; Unavailable when as much of all does.
func (s *Store) Accept(ctx context.Context, who domain.Actor, m domain.MeetingID, start *time.Duration, sound Sound) (p Piece, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := transcripts.RequireHeard(tx, who, m); err != nil {
			return err
		}
		at, err := startOf(tx, m, start, sound.Duration)
		if err != nil {
			return err
		}
		if err := checkRoom(tx, m, len(sound.Bytes)); err != nil {
			return err
		}
		p = Piece{Number: tx.Next(), Meeting: m, Speaker: who.User, CreatedAt: tx.Now, Start: at, Duration: sound.Duration, Format: sound.Format}
		_, err = tx.Exec(insertPiece, p.Number, m, who.User, tx.Now.UnixMilli(), at.Milliseconds(), p.Duration.Milliseconds(), p.Format, len(sound.Bytes), sound.Bytes)
		return err
	})
	return p, err
}

// startOf returns where in the meeting a piece begins.
func startOf(tx *db.WriteTx, m domain.MeetingID, sent *time.Duration, lasts time.Duration) (time.Duration, error) {
	var start time.Duration
	if sent != nil {
		start = *sent
	} else {
		ago, err := db.One(tx, db.Int, selectSinceStart, m, tx.Now.UnixMilli())
		if err != nil {
			return 0, err
		}
		start = max(0, time.Duration(ago)*time.Millisecond-lasts)
	}
	if start+lasts > transcripts.MaxOffset {
		return 0, domain.FailField("query.startMs", "must be at most %d for a piece that lasts so long", (transcripts.MaxOffset - lasts).Milliseconds())
	}
	return start, nil
}

// checkRoom refuses a piece of so many bytes where no more may wait.
func checkRoom(tx db.Reader, m domain.MeetingID, size int) error {
	meeting, err := db.One(tx, scanBacklog, selectBacklogOf, m)
	if err != nil {
		return err
	}
	if meeting.Pieces >= maxMeetingPieces || meeting.Bytes+int64(size) > maxMeetingBytes {
		return domain.Fail(domain.RateLimited, "more is being said in the meeting than is transcribed; this was not kept, send it again")
	}
	all, err := Waiting(tx)
	if err != nil {
		return err
	}
	if all.Pieces >= maxPieces || all.Bytes+int64(size) > maxAllBytes {
		return domain.Fail(domain.Unavailable, "more audio waits to be transcribed than can be kept; this was not, send it again")
	}
	return nil
}

// Backlog is how much waits.
type Backlog struct{ Pieces, Bytes int64 }

// Waiting returns how much waits in all meetings. It joins the caller's transaction.
func Waiting(tx db.Reader) (Backlog, error) { return db.One(tx, scanBacklog, selectBacklog) }

// All returns all pieces that wait, in the order of their starts. It joins the
// caller's transaction.
func All(tx db.Reader) ([]Piece, error) { return db.All(tx, scanPiece, selectPieces, maxPieces) }

// SoundOf returns the file of a piece, or db.ErrNone where it waits no more. It joins
// the caller's transaction.
func SoundOf(tx db.Reader, number int64) ([]byte, error) {
	return db.One(tx, scanSound, selectSound, number)
}

// Said ends the waiting of a piece: its words are in the transcript from then on, as
// the chunk d, also where the meeting has ended or the speaker has left since. It
// returns false, and stores nothing, where the piece waits no more, as after the erasure
// of its speaker, and where the transcript was deleted. It joins the caller's
// transaction. Errors: those of transcripts.Add.
func Said(tx *db.WriteTx, p Piece, d transcripts.Draft) (bool, error) {
	waits, err := Drop(tx, p)
	if err != nil || !waits {
		return false, err
	}
	if deleted, err := transcripts.Deleted(tx, p.Meeting); err != nil || deleted {
		return false, err
	}
	d.Speaker, d.Utterance = p.Speaker, string(p.ID())
	return true, transcripts.Add(tx, p.Meeting, d)
}

// Drop ends the waiting of a piece that has no words, or cannot be transcribed. It
// returns false where it waits no more. It joins the caller's transaction.
func Drop(tx *db.WriteTx, p Piece) (bool, error) {
	n, err := tx.Exec(deletePiece, p.Number)
	return n > 0, err
}

// Oldest returns the instant at which the first piece that waits came, or db.ErrNone.
// It joins the caller's transaction.
func Oldest(tx db.Reader) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few pieces that had come by the instant, the oldest first, and
// returns how many, 0 when none is left. It joins the caller's transaction.
func Delete(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deleteOldest, until.UnixMilli(), deleted)
}

// Forget deletes a few pieces of the meeting that wait, and returns how many, 0 when none
// is left. It joins the caller's transaction.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	return tx.Exec(deleteOfMeeting, m, deleted)
}
