// Package notifications is what people are told about their meetings and connections.
package notifications

import (
	"context"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// MaxUnread is where counting what somebody has not read ends: more would not
// fit where it is shown.
const MaxUnread = 100

// Type says what somebody is told.
type Type string

// The types. Nobody is told what they have done themselves.
const (
	MeetingInvited   Type = "meeting.invited"
	MeetingStarting  Type = "meeting.starting" // within Notice of its planned time
	MeetingStarted   Type = "meeting.started"
	MeetingCancelled Type = "meeting.cancelled"
	RoleChanged      Type = "role.changed"      // the subject is the new role
	MessageMentioned Type = "message.mentioned" // the subject is the message
	// In these the subject is the connection, and there is no meeting.
	ConnectionRequested Type = "connection.requested"
	ConnectionAccepted  Type = "connection.accepted"
)

// personal reports whether what is told is that one person turns to another: a
// block holds it back. What a meeting does to its members is told all the same,
// whoever did it: it changes what they can do, or where they have to be.
func (t Type) personal() bool {
	return t == MeetingInvited || t == MessageMentioned || t == ConnectionRequested || t == ConnectionAccepted
}

// lasting reports whether one of the type stands for those that follow in the same
// meeting until it is read: who is called in a chat looks into the chat.
func (t Type) lasting() bool { return t == MessageMentioned }

// Notification is one thing that somebody was told. It does not change.
type Notification struct {
	Position  int64
	Type      Type
	Meeting   domain.MeetingID // "" where it is about none
	Actor     domain.UserID    // "" when time did it, or it is not known who
	Subject   string           // "" where the type has none
	CreatedAt time.Time
}

// Standing is how far somebody has read.
type Standing struct {
	Unread   int64 // at most MaxUnread, which stands for that many or more
	ReadUpTo int64 // the position of the last one that is read, 0 for none
}

// Store is the notifications in the database.
type Store struct{ db *db.DB }

// NewStore returns the notifications in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Feed returns a part of what the caller was told.
func (s *Store) Feed(ctx context.Context, who domain.Actor, span domain.Span) (part domain.Part[Notification], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		part, err = db.Part(tx, span, scanNotification, db.Feed{After: selectAfter, Before: selectBefore}, who.User)
		if err == nil {
			part.Gone, err = db.Gone(tx, span, "notifications", string(who.User))
		}
		return err
	})
	return part, err
}

// Standing returns how far the caller has read.
func (s *Store) Standing(ctx context.Context, who domain.Actor) (standing Standing, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		standing, err = db.One(tx, scanStanding, selectStanding, who.User, MaxUnread)
		return err
	})
	return standing, err
}

// Read notes that the caller has read everything up to the position upTo, at most
// what there is. What is read stays so: a smaller position changes nothing.
func (s *Store) Read(ctx context.Context, who domain.Actor, upTo int64) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		last, err := db.All(tx, scanNotification, selectBefore, who.User, min(upTo, domain.MaxNumber-1)+1, 1)
		if err != nil || len(last) == 0 {
			return err
		}
		_, err = tx.Exec(upsertMark, who.User, last[0].Position)
		return err
	})
}
