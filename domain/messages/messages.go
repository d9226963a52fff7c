// Package messages is the chat of a meeting.
package messages

import (
	"context"
	"errors"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// MaxContent is the length of a message, in characters.
const MaxContent = 4000

// writableAfterEnd is how long a concluded meeting's chat stays open.
const writableAfterEnd = 30 * 24 * time.Hour

// Message is one entry of the chat. Seq is its creation, Position its last
// change; content and attachments of a deleted one are gone.
type Message struct {
	Seq         int64
	Position    int64
	Thread      int64         // the Seq of the message that its thread began with
	User        domain.UserID // "" for what the server says itself
	ReplyTo     int64         // the Seq of the message it answers, or 0
	Content     string
	Attachments []Attachment // nil for none
	CreatedAt   time.Time
	EditedAt    time.Time // zero when it was never edited
	DeletedAt   time.Time // zero unless it was deleted
}

// System reports whether the server said it itself.
func (m Message) System() bool { return m.User == "" }

// ID returns the message's id.
func (m Message) ID() domain.MessageID { return domain.NewMessageID(m.Seq) }

// Draft is a message to be posted.
type Draft struct {
	Content     string
	ReplyTo     domain.MessageID // "" for none
	Attachments []Attachment     // at most MaxAttachments
}

// Store is the messages in the database.
type Store struct {
	db  *db.DB
	log *events.Log
}

// NewStore returns the messages in d.
func NewStore(d *db.DB, log *events.Log) *Store { return &Store{db: d, log: log} }

// Post adds a message to the chat.
func (s *Store) Post(ctx context.Context, who domain.Actor, meeting domain.MeetingID, d Draft) (Message, error) {
	if err := checkContent(d.Content); err != nil {
		return Message{}, err
	}
	if err := checkAttachments(d.Attachments); err != nil {
		return Message{}, err
	}
	var m Message
	err := s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := requireWritable(tx, who, meeting); err != nil {
			return err
		}
		m = Message{User: who.User, Content: d.Content, Attachments: d.Attachments}
		if d.ReplyTo != "" {
			original, err := find(tx, meeting, d.ReplyTo)
			if domain.KindOf(err) == domain.NotFound {
				return domain.FailField("body.replyTo", "names no message of this meeting")
			}
			if err != nil {
				return err
			}
			m.ReplyTo, m.Thread = original.Seq, original.Thread
		}
		if err := m.insert(tx, meeting); err != nil {
			return err
		}
		if err := s.append(tx, who, meeting, m, events.MessagePosted); err != nil {
			return err
		}
		return m.tellMentioned(tx, meeting)
	})
	return m, err
}

// insert stores m as said now: it gives it its numbers, and a thread of its own
// when it answers nothing.
func (m *Message) insert(tx *db.WriteTx, meeting domain.MeetingID) error {
	m.CreatedAt, m.Seq = tx.Now, tx.Next()
	m.Position = m.Seq
	if m.Thread == 0 {
		m.Thread = m.Seq
	}
	_, err := tx.Exec(insertMessage, m.Seq, meeting, m.Thread, m.Position, author(m.User), null(m.ReplyTo),
		m.CreatedAt.UnixMilli(), encode(m.Attachments), m.Content)
	return err
}

// Edit replaces the content of the caller's own message; its attachments stay.
// Content that is there already changes nothing.
func (s *Store) Edit(ctx context.Context, who domain.Actor, meeting domain.MeetingID, id domain.MessageID, content string) (Message, error) {
	if err := checkContent(content); err != nil {
		return Message{}, err
	}
	return s.change(ctx, who, meeting, id, events.MessageEdited, func(tx *db.WriteTx, viewer participants.Membership, m *Message) (bool, error) {
		switch {
		case m.System() || m.User != who.User:
			return false, domain.Fail(domain.Forbidden, "only the author may edit a message")
		case !m.DeletedAt.IsZero():
			return false, domain.Fail(domain.Conflict, "the message is deleted")
		case m.Content == content:
			return false, nil
		}
		m.Content, m.EditedAt = content, tx.Now
		return true, nil
	})
}

// Delete removes content and attachments of a message: the author's, or for host and
// cohosts anyone's. Repeated it changes nothing.
func (s *Store) Delete(ctx context.Context, who domain.Actor, meeting domain.MeetingID, id domain.MessageID) error {
	_, err := s.change(ctx, who, meeting, id, events.MessageDeleted, func(tx *db.WriteTx, viewer participants.Membership, m *Message) (bool, error) {
		manages := viewer.Role == participants.Host || viewer.Role == participants.Cohost
		switch {
		case m.System():
			return false, domain.Fail(domain.Forbidden, "what the server says is not deleted")
		case m.User != who.User && !manages:
			return false, domain.Fail(domain.Forbidden, "only the author, the host and cohosts may delete a message")
		case !m.DeletedAt.IsZero():
			return false, nil
		}
		m.Content, m.Attachments, m.DeletedAt = "", nil, tx.Now
		return true, nil
	})
	return err
}

// change applies one change to a message; apply says whether there is one.
func (s *Store) change(ctx context.Context, who domain.Actor, meeting domain.MeetingID, id domain.MessageID, t events.Type,
	apply func(tx *db.WriteTx, viewer participants.Membership, m *Message) (bool, error)) (Message, error) {
	var m Message
	err := s.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		viewer, err := participants.Require(tx, who, meeting, participants.WriteContent)
		if err != nil {
			return err
		}
		if m, err = find(tx, meeting, id); err != nil {
			return err
		}
		changed, err := apply(tx, viewer, &m)
		if err != nil || !changed {
			return err
		}
		if err := requireOpen(tx, meeting, viewer); err != nil {
			return err
		}
		m.Position = tx.Next()
		if _, err := tx.Exec(updateMessage, m.Seq, m.Position, m.Content, db.Millis(m.EditedAt), db.Millis(m.DeletedAt), encode(m.Attachments)); err != nil {
			return err
		}
		if err := s.append(tx, who, meeting, m, t); err != nil {
			return err
		}
		return m.tellMentioned(tx, meeting)
	})
	return m, err
}

// Get returns a message of the meeting as it is now; NotFound when there is none.
func (s *Store) Get(ctx context.Context, who domain.Actor, meeting domain.MeetingID, id domain.MessageID) (m Message, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, meeting, participants.ReadContent); err != nil {
			return err
		}
		m, err = find(tx, meeting, id)
		return err
	})
	return m, err
}

// Feed returns a part of the chat: by the position of the last change with
// After, else by the order of creation. With a thread, which any of its messages
// names, it is a part of that thread, the message it began with included;
// NotFound when the meeting has no such message.
func (s *Store) Feed(ctx context.Context, who domain.Actor, meeting domain.MeetingID, thread domain.MessageID, span domain.Span) (part domain.Part[Message], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, meeting, participants.ReadContent); err != nil {
			return err
		}
		gone, err := db.Gone(tx, span, "messages", string(meeting))
		if err != nil {
			return err
		}
		if thread == "" {
			part, err = db.Part(tx, span, scanMessage, db.Feed{After: selectMessagesAfter, Before: selectMessagesBefore}, meeting)
		} else {
			part, err = threadPart(tx, meeting, thread, span)
		}
		part.Gone = gone
		return err
	})
	return part, err
}

func threadPart(tx db.Reader, meeting domain.MeetingID, thread domain.MessageID, span domain.Span) (domain.Part[Message], error) {
	root, err := threadOf(tx, meeting, thread)
	if err != nil {
		return domain.Part[Message]{}, err
	}
	return db.Part(tx, span, scanMessage, db.Feed{After: selectThreadAfter, Before: selectThreadBefore}, root)
}

// threadOf returns the thread of a message of the meeting.
func threadOf(tx db.Reader, meeting domain.MeetingID, id domain.MessageID) (int64, error) {
	missing := domain.Fail(domain.NotFound, "there is no such message")
	seq, ok := id.Seq()
	if !ok {
		return 0, missing
	}
	root, err := db.One(tx, db.Int, selectThread, seq, meeting)
	if errors.Is(err, db.ErrNone) {
		return 0, missing
	}
	return root, err
}

func checkContent(content string) error {
	if strings.TrimSpace(content) == "" {
		return domain.FailField("body.content", "must not be empty")
	}
	return nil
}

// requireWritable refuses whoever may not write into the chat now.
func requireWritable(tx *db.WriteTx, who domain.Actor, meeting domain.MeetingID) error {
	viewer, err := participants.Require(tx, who, meeting, participants.WriteContent)
	if err != nil {
		return err
	}
	return requireOpen(tx, meeting, viewer)
}

// requireOpen refuses a chat that the meeting's state has closed.
func requireOpen(tx *db.WriteTx, meeting domain.MeetingID, viewer participants.Membership) error {
	switch viewer.State {
	case participants.Cancelled:
		return domain.Fail(domain.MeetingNotActive, "the meeting is cancelled")
	case participants.Concluded:
		ended, err := db.One(tx, db.Int, selectEndedAt, meeting)
		if err != nil {
			return err
		}
		if tx.Now.Sub(time.UnixMilli(ended)) > writableAfterEnd {
			return domain.Fail(domain.MeetingNotActive, "the meeting ended more than 30 days ago")
		}
	}
	return nil
}

// find returns a message of the meeting.
func find(tx db.Reader, meeting domain.MeetingID, id domain.MessageID) (Message, error) {
	missing := domain.Fail(domain.NotFound, "there is no such message")
	seq, ok := id.Seq()
	if !ok {
		return Message{}, missing
	}
	m, err := db.One(tx, scanMessage, selectMessage, seq, meeting)
	if errors.Is(err, db.ErrNone) {
		return m, missing
	}
	return m, err
}

func (s *Store) append(tx *db.WriteTx, who domain.Actor, meeting domain.MeetingID, m Message, t events.Type) error {
	_, err := s.log.Append(tx, events.Event{Meeting: meeting, Type: t, Actor: who.User, Subject: string(m.ID())})
	return err
}
