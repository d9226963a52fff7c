// Package conversation is what goes on in a meeting while people talk.
//
// It has no routes that write: what it knows comes from the packages above it,
// which hear the meeting, in the transactions in which they heard it.
package conversation

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// The bounds of what is talked about.
const (
	MaxTopics = 20  // at a time: more are no summary
	MaxTopic  = 100 // characters of one
)

// Severity is how bad a lull is.
type Severity string

// The severities; None is that of no lull.
const (
	None   Severity = "none"
	Mild   Severity = "mild"
	Severe Severity = "severe"
)

// Lull is a silence that has lasted long enough to be told of.
type Lull struct {
	Since    time.Time // zero when there is none
	Severity Severity
}

// Detected reports whether there is a lull.
func (l Lull) Detected() bool { return l.Severity != None }

// State is a meeting as it runs, or as it was left when it ended.
type State struct {
	Active        bool
	StartedAt     time.Time // zero until then
	EndedAt       time.Time // zero until then
	Speaking      Speaking
	Lull          Lull
	Topics        []string  // never nil
	ShiftedAt     time.Time // when the topics last changed all at once; zero until then
	Recording     bool      // it is being recorded
	Transcription bool      // its plan is that what is said is written down
}

// Store is the conversations in the database.
type Store struct{ db *db.DB }

// NewStore returns the conversations in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// State returns the state of a meeting to those who may read its content. Where
// nothing has been heard everything is zero and empty.
func (s *Store) State(ctx context.Context, who domain.Actor, m domain.MeetingID) (State, error) {
	var state State
	err := s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		var err error
		if state, err = db.One(tx, scanMeeting, selectMeeting, m); err != nil {
			return err
		}
		if state.Speaking, err = Spoken(tx, m); err != nil {
			return err
		}
		going, err := read(tx, m)
		state.Lull, state.Topics, state.ShiftedAt, state.Recording = going.lull, going.topics, going.shiftedAt, going.recording
		return err
	})
	return state, err
}

// going is a row of conversations.
type going struct {
	lull      Lull
	topics    []string
	shiftedAt time.Time
	recording bool
}

// read returns what is known of a conversation.
func read(tx db.Reader, m domain.MeetingID) (going, error) {
	g, err := db.One(tx, scanGoing, selectGoing, m)
	if errors.Is(err, db.ErrNone) {
		return going{lull: Lull{Severity: None}, topics: []string{}}, nil
	}
	return g, err
}

// Topics returns what the meeting is, or was, about: at most MaxTopics, never
// nil. It joins the caller's transaction, which has checked that they may be read.
func Topics(tx db.Reader, m domain.MeetingID) ([]string, error) {
	g, err := read(tx, m)
	return g.topics, err
}

// SetLull says that there is a lull, or with None that there is none. It is
// heard of an active meeting only: one that has ended is not silent. Speak does not
// end a lull, since what was said before it may be heard late. What is so already
// changes nothing.
func SetLull(tx *db.WriteTx, m domain.MeetingID, l Lull) error {
	if l.Severity == None {
		l.Since = time.Time{}
	} else if l.Since.IsZero() {
		return fmt.Errorf("a lull of severity %q has begun at some instant", l.Severity)
	}
	_, err := tx.Exec(upsertLull, m, l.Severity, db.Millis(l.Since))
	return err
}

// EndLull says that somebody speaks. It writes nothing where there is no lull, and
// reads one row.
func EndLull(tx *db.WriteTx, m domain.MeetingID) error {
	_, err := tx.Exec(updateLullEnded, m)
	return err
}

// SetTopics replaces what the meeting is about, the most important first; also
// after its end. What is so already changes nothing. Errors: Invalid for more
// than MaxTopics, or one that is empty or longer than MaxTopic.
func SetTopics(tx *db.WriteTx, m domain.MeetingID, topics []string) error {
	if len(topics) > MaxTopics {
		return domain.Fail(domain.Invalid, "a meeting has at most %d topics", MaxTopics)
	}
	for _, t := range topics {
		if n := utf8.RuneCountInString(t); n == 0 || n > MaxTopic {
			return domain.Fail(domain.Invalid, "a topic has 1 to %d characters", MaxTopic)
		}
	}
	_, err := tx.Exec(upsertTopics, m, encode(topics))
	return err
}

// ForgetTopics makes a meeting one that is about nothing that is known, and never came
// to speak of something else. It joins the caller's transaction.
func ForgetTopics(tx *db.WriteTx, m domain.MeetingID) error {
	_, err := tx.Exec(updateTopicsForgotten, m)
	return err
}

// Shift says that the meeting has come to speak of something else, unless it was said
// within the span before: first reports that it was not.
func Shift(tx *db.WriteTx, m domain.MeetingID, span time.Duration) (first bool, err error) {
	n, err := tx.Exec(upsertShift, m, tx.Now.UnixMilli(), tx.Now.Add(-span).UnixMilli())
	return n > 0, err
}

// SetRecording says whether the meeting is being recorded; one that is not
// active is not. What is so already changes nothing.
func SetRecording(tx *db.WriteTx, m domain.MeetingID, recording bool) error {
	_, err := tx.Exec(upsertRecording, m, recording)
	return err
}

// Close is an events.Follow for the end of a meeting: nobody waits for another to
// speak any more, and nothing is recorded.
func Close(tx *db.WriteTx, e events.Event) error {
	_, err := tx.Exec(updateClosed, e.Meeting)
	return err
}
