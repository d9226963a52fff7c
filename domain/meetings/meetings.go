// Package meetings is the life of a meeting, from its planning to its end.
package meetings

import (
	"context"
	"encoding/json"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// The bounds of a meeting.
const (
	MaxTitle        = 200
	MaxDescription  = 5000
	MaxInvited      = 100 // people named in one request
	MinDuration     = time.Minute
	MaxDuration     = 24 * time.Hour
	DefaultDuration = 30 * time.Minute
	MaxCapacity     = participants.MaxMembers
	DefaultCapacity = 10
)

// Kind is the form of a meeting.
type Kind string

// The kinds of meetings.
const (
	OneOnOne     Kind = "one-on-one"
	SmallGroup   Kind = "small-group"
	LargeMeeting Kind = "large-meeting"
	Webinar      Kind = "webinar"
)

// Meeting is a meeting as one of its members sees it.
type Meeting struct {
	ID              domain.MeetingID
	State           participants.State
	Organizer       domain.UserID
	Org             string // the organizer's organization, or ""
	Kind            Kind
	Title           string
	Description     string
	ScheduledAt     time.Time // zero when it has no time
	Duration        time.Duration
	StartedAt       time.Time // zero until then
	StartedBy       domain.UserID
	EndedAt         time.Time // zero until then
	MaxParticipants int       // how many may be in it at once
	Recording       bool      // wanted, where the video provider can
	Transcription   bool      // wanted
	CreatedAt       time.Time
	UpdatedAt       time.Time

	Participants int64 // members, whether they have joined or not
	Viewer       participants.Membership
}

// Store is the meetings in the database.
type Store struct {
	db   *db.DB
	log  *events.Log
	home string
}

// NewStore returns the meetings in d. New ones belong to the region home.
func NewStore(d *db.DB, log *events.Log, home string) *Store {
	return &Store{db: d, log: log, home: home}
}

// Get returns a meeting to one of its members.
func (s *Store) Get(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	var m Meeting
	err := s.db.Read(ctx, func(tx db.Reader) error {
		viewer, err := participants.Require(tx, who, id, participants.See)
		if err != nil {
			return err
		}
		m, err = read(tx, id, viewer)
		return err
	})
	return m, err
}

// List returns the caller's meetings, newest first: at most limit of them,
// below the meeting below ("" for the first page), in the given state ("" for
// any), and whether there are more.
func (s *Store) List(ctx context.Context, who domain.Actor, state participants.State, below domain.MeetingID, limit int) (list []Meeting, more bool, err error) {
	return s.list(ctx, who, limit, func(tx db.Reader, limit int) ([]participants.Meeting, error) {
		return participants.Of(tx, who.User, state, below, limit)
	})
}

// Period asks for meetings by the time they are planned to begin at.
type Period struct {
	From  time.Time
	After domain.MeetingID // of those at From, only the ones behind this; "" for all
	To    time.Time        // before this; zero for no end
	State participants.State
}

// endOfTime is behind every time that can be written down.
var endOfTime = time.Date(10_000, time.January, 1, 0, 0, 0, 0, time.UTC)

// Planned returns the caller's meetings of a period, soonest first, at most
// limit of them, and whether there are more.
func (s *Store) Planned(ctx context.Context, who domain.Actor, p Period, limit int) (list []Meeting, more bool, err error) {
	if p.To.IsZero() {
		p.To = endOfTime
	}
	return s.list(ctx, who, limit, func(tx db.Reader, limit int) ([]participants.Meeting, error) {
		return participants.Planned(tx, who.User, p.State, p.From, p.After, p.To, limit)
	})
}

func (s *Store) list(ctx context.Context, who domain.Actor, limit int, mine func(tx db.Reader, limit int) ([]participants.Meeting, error)) (list []Meeting, more bool, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		page, err := mine(tx, limit+1)
		if err != nil {
			return err
		}
		if more = len(page) > limit; more {
			page = page[:limit]
		}
		list, err = readEach(tx, page)
		return err
	})
	return list, more, err
}

// Events returns a part of what happened in the meeting.
func (s *Store) Events(ctx context.Context, who domain.Actor, id domain.MeetingID, span domain.Span) (part domain.Part[events.Event], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, id, participants.See); err != nil {
			return err
		}
		part, err = events.Feed(tx, id, span)
		return err
	})
	return part, err
}

func (s *Store) append(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, t events.Type) error {
	_, err := s.log.Append(tx, events.Event{Meeting: m, Type: t, Actor: who.User, Subject: string(m)})
	return err
}

// jsonIDs returns the ids as the JSON array that the statements take.
func jsonIDs[T any](list []T, id func(T) domain.MeetingID) string {
	ids := make([]domain.MeetingID, len(list))
	for i, e := range list {
		ids[i] = id(e)
	}
	b, _ := json.Marshal(ids) // strings always encode
	return string(b)
}
