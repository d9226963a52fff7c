// Package analytics is what can be said about a meeting once it has ended.
package analytics

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/notes"
	"connvo/domain/participants"
)

// MaxComment is the length of what is said with a rating, in characters.
const MaxComment = 1000

// maxCounted is how many events one transaction counts: 20 ms of it.
const maxCounted = 10_000

// Analytics are the figures of a meeting that has ended. All but the rating are
// those of its end.
type Analytics struct {
	Duration      time.Duration             // from its start to its end
	SpeakingShare map[domain.UserID]float64 // of all that was spoken, 0 to 1; never nil
	Messages      int64                     // that people posted
	Edits         int64                     // of what they had written there, and of the notes
	// WordsPerMinute is of the minutes in which somebody spoke, 0 when nobody did.
	WordsPerMinute float64
	Topics         []string // never nil
	// AverageRating is 0 while nobody has rated, else from 1 to 5.
	AverageRating float64
}

// Rating is what somebody thought of a meeting: 1, the worst, to 5.
type Rating struct {
	Rating  int
	Comment string // at most MaxComment, or ""
}

// Store is the analytics in the database.
type Store struct{ db *db.DB }

// NewStore returns the analytics in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Rate stores what the caller thought of a meeting that has ended, in place of
// what they said before. The comment is answered to nobody here.
//
// Errors: Forbidden to those who never joined; Invalid, naming the field; Conflict
// before the end, and when the meeting was cancelled.
func (s *Store) Rate(ctx context.Context, who domain.Actor, m domain.MeetingID, r Rating) error {
	switch {
	case r.Rating < 1 || r.Rating > 5:
		return domain.FailField("body.rating", "must be from 1 to 5")
	case utf8.RuneCountInString(r.Comment) > MaxComment:
		return domain.FailField("body.comment", "must have at most %d characters", MaxComment)
	}
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, m, participants.Rate)
		if err != nil {
			return err
		}
		if err := checkEnded(viewer.State); err != nil {
			return err
		}
		_, err = tx.Exec(upsertRating, m, who.User, tx.Now.UnixMilli(), r.Rating, r.Comment)
		return err
	})
}

// Get returns the figures to those who may read the meeting's content.
//
// They are right from the first answer after the end, whether or not the job of
// Count has been done: what can be read in a few rows is read from them each time,
// and the log is counted here while there is no count, since that gives the same
// number at any time. Where the log is too long for that the answer is Unavailable
// until the job is done, which it is soon. Errors: Conflict before the end, and
// when the meeting was cancelled.
func (s *Store) Get(ctx context.Context, who domain.Actor, m domain.MeetingID) (Analytics, error) {
	var a Analytics
	err := s.db.Read(ctx, func(tx db.Reader) error {
		viewer, err := participants.Require(tx, who, m, participants.ReadContent)
		if err != nil {
			return err
		}
		if err := checkEnded(viewer.State); err != nil {
			return err
		}
		if a, err = db.One(tx, scanMeeting, selectMeeting, m); err != nil {
			return err
		}
		if a.Messages, a.Edits, err = counted(tx, m); err != nil {
			return err
		}
		spoken, err := conversation.Spoken(tx, m)
		if err != nil {
			return err
		}
		a.speaking(spoken)
		if a.Topics, err = conversation.Topics(tx, m); err != nil {
			return err
		}
		a.AverageRating, err = db.One(tx, scanAverage, selectAverage, m)
		return err
	})
	return a, err
}

// checkEnded refuses a meeting that has not ended, or never began.
func checkEnded(state participants.State) error {
	if state != participants.Concluded {
		return domain.Fail(domain.Conflict, "the meeting is %s; this is for one that has ended", state)
	}
	return nil
}

// speaking takes over what follows from who has spoken.
func (a *Analytics) speaking(s conversation.Speaking) {
	a.SpeakingShare = make(map[domain.UserID]float64, len(s.ByUserMs))
	if s.TotalMs == 0 {
		return
	}
	for user, ms := range s.ByUserMs {
		a.SpeakingShare[user] = float64(ms) / float64(s.TotalMs)
	}
	a.WordsPerMinute = float64(s.Words) / (float64(s.TotalMs) / float64(time.Minute.Milliseconds()))
}

// counted returns what Count has stored, or what it will store.
func counted(tx db.Reader, m domain.MeetingID) (messages, edits int64, err error) {
	stored, err := db.One(tx, scanCounts, selectCounts, m)
	if !errors.Is(err, db.ErrNone) {
		return stored.messages, stored.edits, err
	}
	var c counts
	for range 2 { // the events, and the notes
		if err := c.next(tx, m); err != nil {
			return 0, 0, err
		}
	}
	if c.more {
		return 0, 0, domain.Fail(domain.Unavailable, "the meeting is still being counted; ask again")
	}
	return c.messages, c.edits, nil
}

// counts are what is counted in a meeting's log up to its end.
type counts struct {
	messages, edits int64
	after           int64 // the position up to which it is counted
	more            bool  // there is more to count
	heard           bool  // all events are counted, the last of them the end
	notes           int64 // the version up to which edits of the notes are counted
}

// next counts maxCounted events more; once they are all counted, as many edits of
// the notes.
func (c *counts) next(tx db.Reader, m domain.MeetingID) error {
	if c.heard {
		edits, last, more, err := notes.Count(tx, m, c.notes, c.after, maxCounted)
		c.edits += edits
		c.notes, c.more = last, more
		return err
	}
	t, err := events.Count(tx, m, c.after, events.MeetingEnded, maxCounted)
	c.messages += t.Of[events.MessagePosted]
	c.edits += t.Of[events.MessageEdited]
	c.after, c.more, c.heard = t.Last, true, !t.More
	return err
}

// Count counts a meeting that has ended and returns what stores it, for the job
// that its end starts. However often, whenever and in however many places at once
// it is done, the same is stored, and once. No transaction of it is longer than
// that of an answer, however long the log.
func (s *Store) Count(ctx context.Context, m domain.MeetingID) (store func(tx *db.WriteTx) error, err error) {
	c := counts{more: true}
	for c.more {
		if err := s.db.Read(ctx, func(tx db.Reader) error { return c.next(tx, m) }); err != nil {
			return nil, err
		}
	}
	return func(tx *db.WriteTx) error {
		_, err := tx.Exec(insertCounts, m, c.messages, c.edits)
		return err
	}, nil
}
