// Package events is the log of what happened in a meeting.
package events

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

// Type says what happened: the package that made it true, a dot, what it did.
type Type string

// The types of events. Their subject is the id of the meeting, the participant or
// the message, unless it is said to be another.
const (
	MeetingCreated     Type = "meetings.created" // together with whom the draft invites
	MeetingUpdated     Type = "meetings.updated"
	MeetingStarted     Type = "meetings.started"
	MeetingEnded       Type = "meetings.ended"
	MeetingCancelled   Type = "meetings.cancelled"
	MeetingTransferred Type = "meetings.transferred" // the subject is the new host

	ParticipantInvited     Type = "participants.invited" // the subject is a user or an invitation
	ParticipantClaimed     Type = "participants.claimed" // the subject is the invitation, the actor who it was for
	ParticipantRoleChanged Type = "participants.role_changed"
	ParticipantRemoved     Type = "participants.removed"
	ParticipantJoined      Type = "participants.joined"
	ParticipantLeft        Type = "participants.left"

	MessagePosted  Type = "messages.posted"
	MessageEdited  Type = "messages.edited"
	MessageDeleted Type = "messages.deleted"

	NotesLocked     Type = "notes.locked"
	NotesUnlocked   Type = "notes.unlocked"
	NotesRolledBack Type = "notes.rolled_back" // the subject is the version they went back to

	SpeakerNamed Type = "transcripts.speaker_named" // the subject is who speaks
	TopicShifted Type = "transcripts.topic_shifted" // nobody did it, and it has no subject

	TranscriptDeleted Type = "transcripts.deleted"
)

// Event is one thing that happened.
type Event struct {
	Position  int64
	Meeting   domain.MeetingID
	Type      Type
	Actor     domain.UserID // "" when nobody did it
	Subject   string        // the id of what it happened to, or ""
	CreatedAt time.Time
}

// Follow is what else happens when an event is appended, in the same
// transaction: it enqueues a job.
type Follow func(tx *db.WriteTx, e Event) error

// Log appends events. What follows each type is set once, when it is made.
type Log struct{ follows map[Type][]Follow }

// NewLog returns a log whose events are followed as given.
func NewLog(follows map[Type][]Follow) *Log { return &Log{follows: follows} }

// Append stores e as having happened now, at the next position, together with
// what follows it, and returns the position.
func (l *Log) Append(tx *db.WriteTx, e Event) (int64, error) {
	e.Position, e.CreatedAt = tx.Next(), tx.Now
	if _, err := tx.Exec(insertEvent, e.Position, e.Meeting, e.Type, e.Actor, e.Subject, e.CreatedAt.UnixMilli()); err != nil {
		return 0, err
	}
	for _, follow := range l.follows[e.Type] {
		if err := follow(tx, e); err != nil {
			return 0, err
		}
	}
	return e.Position, nil
}

// Lifetime is how long events are kept.
const Lifetime = 365 * 24 * time.Hour

// deleted is how many events Delete deletes at once, in about a millisecond.
const deleted = 50

// Oldest returns the instant of the oldest event, or db.ErrNone. It joins the
// caller's transaction.
func Oldest(tx db.Reader) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few events that are not younger than the instant, the oldest
// first, and returns how many, 0 when none is left. It joins the caller's
// transaction.
func Delete(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deleteOldest, until.UnixMilli(), deleted)
}

// Feed returns a part of the meeting's log. It joins the caller's transaction,
// which has checked that the log may be read.
func Feed(tx db.Reader, m domain.MeetingID, span domain.Span) (domain.Part[Event], error) {
	part, err := db.Part(tx, span, scanEvent, db.Feed{
		After:  selectEventsAfter,
		Before: selectEventsBefore,
	}, m)
	if err == nil {
		part.Gone, err = db.Gone(tx, span, "events", string(m))
	}
	return part, err
}

// LastAt returns the instant of the meeting's newest event, the zero time when
// it has none. It joins the caller's transaction.
func LastAt(tx db.Reader, m domain.MeetingID) (time.Time, error) {
	last, err := db.All(tx, scanEvent, selectEventsBefore, m, domain.MaxNumber, 1)
	if err != nil || len(last) == 0 {
		return time.Time{}, err
	}
	return last[0].CreatedAt, nil
}

// Tally is how often things of each type happened in a part of a meeting's log.
type Tally struct {
	Of   map[Type]int64
	Last int64 // the position of the last event that was counted
	More bool  // there are more to count, after Last
}

// Count counts the meeting's events after a position, up to the first of the type
// until, with it, and at most limit of them. What it has counted never changes,
// since the log only grows at its end. It joins the caller's transaction, which
// has checked that the log may be read.
func Count(tx db.Reader, m domain.MeetingID, after int64, until Type, limit int64) (Tally, error) {
	rows, err := db.All(tx, scanCount, countTypes, m, after, until, limit)
	t := Tally{Of: map[Type]int64{}, Last: after}
	var n int64
	for _, r := range rows {
		t.Of[r.of] = r.n
		t.Last = max(t.Last, r.last)
		n += r.n
	}
	t.More = n == limit && t.Of[until] == 0
	return t, err
}
