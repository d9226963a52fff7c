package meetings

import (
	"context"
	"encoding/json"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// Attendee is somebody who may be here in a meeting.
type Attendee struct {
	users.Card
	Visit time.Time // when they joined, zero while they have not
}

// Attend refuses whoever may not be here in the meeting now: before it any
// member may, while it is active who has joined, and afterwards nobody. It returns
// the caller's Attendee.Visit.
func (s *Store) Attend(ctx context.Context, who domain.Actor, id domain.MeetingID) (visit time.Time, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := requireAttendance(tx, who, id); err != nil {
			return err
		}
		p, err := participants.Find(tx, id, string(who.User))
		visit = p.JoinedAt
		return err
	})
	return visit, err
}

// Attendees returns those of the users who may be here in the meeting now, to a
// caller who may.
func (s *Store) Attendees(ctx context.Context, who domain.Actor, id domain.MeetingID, among []domain.UserID) (all map[domain.UserID]Attendee, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := requireAttendance(tx, who, id); err != nil {
			return err
		}
		all, err = attendees(tx, id, among)
		return err
	})
	return all, err
}

func attendees(tx db.Reader, id domain.MeetingID, among []domain.UserID) (map[domain.UserID]Attendee, error) {
	ids, err := json.Marshal(among)
	if err != nil {
		return nil, err
	}
	present, err := participants.Present(tx, id, string(ids))
	if err != nil {
		return nil, err
	}
	who := make([]domain.UserID, len(present))
	for i, p := range present {
		who[i] = p.User
	}
	cards, err := users.ActiveCards(tx, who)
	if err != nil {
		return nil, err
	}
	all := make(map[domain.UserID]Attendee, len(cards))
	for _, p := range present {
		if card, active := cards[p.User]; active {
			all[p.User] = Attendee{card, p.JoinedAt}
		}
	}
	return all, nil
}

func requireAttendance(tx db.Reader, who domain.Actor, id domain.MeetingID) error {
	viewer, err := participants.Require(tx, who, id, participants.ReadContent)
	if err != nil {
		return err
	}
	switch viewer.State {
	case participants.Concluded:
		return domain.Fail(domain.MeetingNotActive, "the meeting is over")
	case participants.Cancelled:
		return domain.Fail(domain.MeetingNotActive, "the meeting is cancelled")
	}
	return nil
}
