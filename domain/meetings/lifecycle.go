package meetings

import (
	"context"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// abandonedAfter is how long an active meeting may be without a sign of life
// beyond its planned end before it is ended for its members.
const abandonedAfter = 12 * time.Hour

// Start makes a scheduled meeting active, with the caller in it. Repeated by
// the same person it changes nothing.
func (s *Store) Start(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	return s.step(ctx, who, id, participants.Manage, func(tx *db.WriteTx, m Meeting) error {
		switch {
		case m.State == participants.Active && m.StartedBy == who.User:
			return nil
		case m.State != participants.Scheduled:
			return domain.Fail(domain.Conflict, "a meeting that is %s cannot be started", m.State)
		}
		if _, err := tx.Exec(updateStarted, id, who.User, tx.Now.UnixMilli()); err != nil {
			return err
		}
		if err := s.append(tx, who, id, events.MeetingStarted); err != nil {
			return err
		}
		return s.enter(tx, who, id)
	})
}

// Join puts a member into an active meeting that has room. Repeated it changes
// nothing.
func (s *Store) Join(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	return s.step(ctx, who, id, participants.See, func(tx *db.WriteTx, m Meeting) error {
		switch {
		case m.State != participants.Active:
			return domain.Fail(domain.Conflict, "a meeting that is %s cannot be joined", m.State)
		case m.Viewer.Status == participants.Joined:
			return nil
		}
		in, err := participants.CountJoined(tx, id)
		if err != nil {
			return err
		}
		if in >= int64(m.MaxParticipants) {
			return domain.Fail(domain.Conflict, "the meeting is full: %d are in it", in)
		}
		return s.enter(tx, who, id)
	})
}

func (s *Store) enter(tx *db.WriteTx, who domain.Actor, id domain.MeetingID) error {
	if err := participants.Join(tx, id, who.User); err != nil {
		return err
	}
	_, err := s.log.Append(tx, events.Event{Meeting: id, Type: events.ParticipantJoined, Actor: who.User, Subject: string(who.User)})
	return err
}

// Leave takes the caller out of an active meeting; they stay a member. Repeated
// it changes nothing.
func (s *Store) Leave(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	return s.step(ctx, who, id, participants.See, func(tx *db.WriteTx, m Meeting) error {
		switch {
		case m.State != participants.Active:
			return domain.Fail(domain.Conflict, "a meeting that is %s cannot be left", m.State)
		case m.Viewer.Status == participants.Left:
			return nil
		case m.Viewer.Status != participants.Joined:
			return domain.Fail(domain.Conflict, "you have not joined the meeting")
		}
		if err := participants.Leave(tx, id, who.User); err != nil {
			return err
		}
		_, err := s.log.Append(tx, events.Event{Meeting: id, Type: events.ParticipantLeft, Actor: who.User, Subject: string(who.User)})
		return err
	})
}

// End concludes an active meeting.
func (s *Store) End(ctx context.Context, who domain.Actor, id domain.MeetingID) (Meeting, error) {
	return s.step(ctx, who, id, participants.Manage, func(tx *db.WriteTx, m Meeting) error {
		if m.State != participants.Active {
			return domain.Fail(domain.Conflict, "a meeting that is %s cannot be ended", m.State)
		}
		return s.conclude(tx, who, id)
	})
}

func (s *Store) conclude(tx *db.WriteTx, who domain.Actor, id domain.MeetingID) error {
	if _, err := tx.Exec(updateEnded, id, tx.Now.UnixMilli()); err != nil {
		return err
	}
	return s.append(tx, who, id, events.MeetingEnded)
}

// step is one change of a meeting by a caller who has the right, answered with
// the meeting as it is afterwards.
func (s *Store) step(ctx context.Context, who domain.Actor, id domain.MeetingID, right participants.Right, change func(tx *db.WriteTx, m Meeting) error) (Meeting, error) {
	var m Meeting
	err := s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, id, right)
		if err != nil {
			return err
		}
		if m, err = read(tx, id, viewer); err != nil {
			return err
		}
		if err := change(tx, m); err != nil {
			return err
		}
		if viewer, err = participants.Require(tx, who, id, participants.See); err != nil {
			return err
		}
		m, err = read(tx, id, viewer)
		return err
	})
	return m, err
}

// OrgOf returns the organization that the meeting belongs to, "" for none. It joins
// the caller's transaction.
func OrgOf(tx db.Reader, id domain.MeetingID) (string, error) {
	return db.One(tx, scanOrg, selectOrg, id)
}

// AbandonedAt returns when an active meeting is to be ended for its members, if
// nothing happens in it, and false when it is not active. What has happened is
// told by its events and by heard, the instant at which somebody spoke last, which
// is no event (zero when nobody did).
func AbandonedAt(tx db.Reader, id domain.MeetingID, heard time.Time) (time.Time, bool, error) {
	m, err := db.One(tx, scanMeeting, selectMeeting, id)
	if err != nil || m.State != participants.Active {
		return time.Time{}, false, err
	}
	last, err := events.LastAt(tx, id)
	if err != nil {
		return time.Time{}, false, err
	}
	for _, t := range []time.Time{heard, m.StartedAt.Add(m.Duration), m.ScheduledAt.Add(m.Duration)} {
		if t.After(last) {
			last = t
		}
	}
	return last.Add(abandonedAfter), true, nil
}

// EndAbandoned ends the meeting if its time has come, else it returns the
// instant to ask again; the zero time when there is nothing left to do. heard is
// that of AbandonedAt. It is the work of a job and joins its transaction.
func (s *Store) EndAbandoned(tx *db.WriteTx, id domain.MeetingID, heard time.Time) (again time.Time, err error) {
	at, active, err := AbandonedAt(tx, id, heard)
	if err != nil || !active {
		return time.Time{}, err
	}
	if tx.Now.Before(at) {
		return at, nil
	}
	if err := s.conclude(tx, domain.Actor{}, id); err != nil {
		return time.Time{}, err
	}
	return time.Time{}, record(tx, "", id, audit.MeetingEnded, `{"by":"time"}`)
}

// record records what is done to the meeting by no request of its own.
func record(tx *db.WriteTx, actor domain.UserID, id domain.MeetingID, action audit.Action, detail string) error {
	org, err := OrgOf(tx, id)
	if err != nil {
		return err
	}
	return audit.Record(tx, audit.Entry{Actor: actor, Org: org, Action: action, Resource: string(id), Outcome: audit.Allowed, Detail: detail})
}
