// Package meetings is the life of a meeting, from its planning to its end.
package meetings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// Draft is a meeting to be made.
type Draft struct {
	ID              domain.MeetingID // "" makes a new one
	Title           string
	Description     string
	ScheduledAt     time.Time     // zero for none
	Duration        time.Duration // 0 for DefaultDuration
	Kind            Kind          // "" for SmallGroup
	MaxParticipants int           // 0 for DefaultCapacity
	Recording       bool
	Transcription   bool
	Invite          []Invitation
}

// Invitation is someone to be in a meeting.
type Invitation struct {
	User domain.UserID
	Role participants.Role // not Host
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

// Create makes a scheduled meeting whose host is the caller.
func (s *Store) Create(ctx context.Context, who domain.Actor, d Draft) (Meeting, error) {
	var m Meeting
	err := s.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if m, err = d.plan(tx.Now); err != nil {
			return err
		}
		if m.ID == "" {
			m.ID = domain.NewMeetingID(s.home, tx.ULID())
		}
		m.Organizer, m.Org = who.User, who.Org
		if err := insert(tx, m); err != nil {
			return err
		}
		if err := invite(tx, who, m.ID, d.Invite); err != nil {
			return err
		}
		if err := s.append(tx, who, m.ID, events.MeetingCreated); err != nil {
			return err
		}
		m, err = read(tx, m.ID, participants.Membership{Role: participants.Host, Status: participants.Invited, State: m.State})
		return err
	})
	return m, err
}

// plan checks the draft and fills in what it leaves out.
func (d Draft) plan(now time.Time) (Meeting, error) {
	m := Meeting{
		ID: d.ID, State: participants.Scheduled, Kind: d.Kind, Title: strings.TrimSpace(d.Title),
		Description: strings.TrimSpace(d.Description), ScheduledAt: d.ScheduledAt, Duration: d.Duration,
		MaxParticipants: d.MaxParticipants, Recording: d.Recording, Transcription: d.Transcription,
		CreatedAt: now, UpdatedAt: now,
	}
	if m.Title == "" {
		return m, domain.FailField("body.title", "must not be empty")
	}
	if !m.ScheduledAt.IsZero() && m.ScheduledAt.Before(now) {
		return m, domain.FailField("body.scheduledAt", "must not be in the past")
	}
	if m.Kind == "" {
		m.Kind = SmallGroup
	}
	if m.Duration == 0 {
		m.Duration = DefaultDuration
	}
	if m.MaxParticipants == 0 {
		m.MaxParticipants = DefaultCapacity
	}
	return m, nil
}

// invite adds the organizer as host and everyone whom the draft names.
func invite(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, invited []Invitation) error {
	if err := participants.Add(tx, m, who.User, participants.Host, participants.Scheduled); err != nil {
		return err
	}
	for i, p := range invited {
		field := fmt.Sprintf("body.participants[%d].userId", i)
		if p.User == who.User {
			return domain.FailField(field, "is yourself; you are the host already")
		}
		if err := users.RequireInvitable(tx, p.User, field); err != nil {
			return err
		}
		err := participants.Add(tx, m, p.User, p.Role, participants.Scheduled)
		if errors.Is(err, db.ErrDuplicate) {
			return domain.FailField(field, "is invited twice")
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		mine, err := participants.Of(tx, who.User, state, below, limit+1)
		if err != nil {
			return err
		}
		if more = len(mine) > limit; more {
			mine = mine[:limit]
		}
		list, err = readEach(tx, mine)
		return err
	})
	return list, more, err
}

// Participants returns the members of a meeting, by id, and their cards.
func (s *Store) Participants(ctx context.Context, who domain.Actor, id domain.MeetingID) (people []participants.Person, cards map[domain.UserID]users.Card, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, id, participants.See); err != nil {
			return err
		}
		if people, err = participants.List(tx, id); err != nil {
			return err
		}
		ids := make([]domain.UserID, len(people))
		for i, p := range people {
			ids[i] = p.User
		}
		cards, err = users.Cards(tx, ids)
		return err
	})
	return people, cards, err
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
