package meetings

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// Draft is a meeting to be made.
type Draft struct {
	ID              domain.MeetingID // "" makes a new one
	Title           string
	Description     string
	ScheduledAt     *time.Time    // nil for none
	Duration        time.Duration // 0 for DefaultDuration
	Kind            Kind          // "" for SmallGroup
	MaxParticipants int           // 0 for DefaultCapacity
	Recording       bool
	Transcription   bool
	Invite          []Invitation // at most MaxInvited, below Host
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
		if err := inviteAll(tx, who, m.ID, d.Invite); err != nil {
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
		Description: strings.TrimSpace(d.Description), Duration: d.Duration,
		MaxParticipants: d.MaxParticipants, Recording: d.Recording, Transcription: d.Transcription,
		CreatedAt: now, UpdatedAt: now,
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
	if d.ScheduledAt != nil {
		if m.ScheduledAt = *d.ScheduledAt; m.ScheduledAt.Before(now) {
			return m, errPast
		}
	}
	return m, m.check()
}

// errPast is the answer to a time that nobody can meet at.
var errPast = domain.FailField("body.scheduledAt", "must not be in the past")

// check refuses what no meeting may be.
func (m Meeting) check() error {
	switch {
	case m.Title == "":
		return domain.FailField("body.title", "must not be empty")
	case utf8.RuneCountInString(m.Title) > MaxTitle:
		return domain.FailField("body.title", "must have at most %d characters", MaxTitle)
	case utf8.RuneCountInString(m.Description) > MaxDescription:
		return domain.FailField("body.description", "must have at most %d characters", MaxDescription)
	case !m.ScheduledAt.Before(endOfTime):
		return domain.FailField("body.scheduledAt", "must be before the year 10000, in UTC")
	case m.Duration < MinDuration, m.Duration > MaxDuration:
		return domain.FailField("body.durationMs", "must be from %d to %d", MinDuration.Milliseconds(), MaxDuration.Milliseconds())
	case m.MaxParticipants < 1, m.MaxParticipants > MaxCapacity:
		return domain.FailField("body.maxParticipants", "must be from 1 to %d", MaxCapacity)
	}
	return nil
}

// Change is what may be changed about a meeting; nil leaves a field.
type Change struct {
	Title           *string
	Description     *string
	ScheduledAt     *time.Time
	NoTime          bool // it is to have no planned time; ScheduledAt is nil then
	Duration        *time.Duration
	Kind            *Kind
	MaxParticipants *int
	Recording       *bool
	Transcription   *bool
}

// apply returns the meeting as it is after the change.
func (c Change) apply(m Meeting) Meeting {
	set(&m.Title, c.Title)
	set(&m.Description, c.Description)
	set(&m.Duration, c.Duration)
	set(&m.Kind, c.Kind)
	set(&m.MaxParticipants, c.MaxParticipants)
	set(&m.Recording, c.Recording)
	set(&m.Transcription, c.Transcription)
	if c.ScheduledAt != nil {
		m.ScheduledAt = time.UnixMilli(c.ScheduledAt.UnixMilli()).UTC() // as it is stored
	}
	if c.NoTime {
		m.ScheduledAt = time.Time{}
	}
	m.Title, m.Description = strings.TrimSpace(m.Title), strings.TrimSpace(m.Description)
	return m
}

// set copies what is there.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Update changes a meeting that is not over. A change that changes nothing is
// none.
//
// Errors: Forbidden to all but host and cohosts; Invalid, naming the field;
// Conflict when the meeting is over, when it has begun and the time is to change,
// and when more people are in it than it would have room for.
func (s *Store) Update(ctx context.Context, who domain.Actor, id domain.MeetingID, c Change) (Meeting, error) {
	return s.step(ctx, who, id, participants.Manage, func(tx *db.WriteTx, m Meeting) error {
		after := c.apply(m)
		if err := after.check(); err != nil {
			return err
		}
		moved := !after.ScheduledAt.Equal(m.ScheduledAt)
		if at := c.ScheduledAt; at != nil && at.Before(tx.Now) && (moved || at.IsZero()) {
			return errPast
		}
		if err := checkOpen(m.State); err != nil {
			return err
		}
		if moved && m.State != participants.Scheduled {
			return domain.Fail(domain.Conflict, "the meeting has begun, so its time cannot be changed")
		}
		if after == m {
			return nil
		}
		in, err := participants.CountJoined(tx, id)
		if err != nil {
			return err
		}
		if int64(after.MaxParticipants) < in {
			return domain.Fail(domain.Conflict, "%d are in the meeting, which is more than maxParticipants", in)
		}
		after.UpdatedAt = tx.Now
		if err := update(tx, after); err != nil {
			return err
		}
		return s.append(tx, who, id, events.MeetingUpdated)
	})
}

// Cancel calls off a scheduled meeting. Nothing can be done in it any more.
func (s *Store) Cancel(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	return s.step(ctx, who, id, participants.Manage, func(tx *db.WriteTx, m Meeting) error {
		if m.State != participants.Scheduled {
			return domain.Fail(domain.Conflict, "a meeting that is %s cannot be cancelled", m.State)
		}
		if _, err := tx.Exec(updateCancelled, id, tx.Now.UnixMilli()); err != nil {
			return err
		}
		return s.append(tx, who, id, events.MeetingCancelled)
	})
}

// checkOpen refuses a meeting that is over.
func checkOpen(state participants.State) error {
	if state != participants.Scheduled && state != participants.Active {
		return domain.Fail(domain.Conflict, "the meeting is %s", state)
	}
	return nil
}
