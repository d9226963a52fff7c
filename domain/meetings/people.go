package meetings

import (
	"context"
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// Guest is somebody in a meeting, and their card, which an invitation by e-mail
// does not have.
type Guest struct {
	participants.Person
	Card users.Card
}

// Participants returns who is in a meeting or invited to it, as participants.List
// does.
func (s *Store) Participants(ctx context.Context, who domain.Actor, id domain.MeetingID) (guests []Guest, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, id, participants.See); err != nil {
			return err
		}
		people, err := participants.List(tx, id)
		if err != nil {
			return err
		}
		guests, err = withCards(tx, people)
		return err
	})
	return guests, err
}

// Addresses returns the invitations to a meeting that nobody has claimed, with the
// addresses that they went to, as participants.Addresses does. Errors: Forbidden to
// all but host and cohosts.
func (s *Store) Addresses(ctx context.Context, who domain.Actor, id domain.MeetingID) (all []participants.Address, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if _, err := participants.Require(tx, who, id, participants.Manage); err != nil {
			return err
		}
		all, err = participants.Addresses(tx, id)
		return err
	})
	return all, err
}

func withCards(tx db.Reader, people []participants.Person) ([]Guest, error) {
	ids := make([]domain.UserID, 0, len(people))
	for _, p := range people {
		if p.User != "" {
			ids = append(ids, p.User)
		}
	}
	cards, err := users.Cards(tx, ids)
	guests := make([]Guest, len(people))
	for i, p := range people {
		guests[i] = Guest{p, cards[p.User]}
	}
	return guests, err
}

// errRole is the answer to whoever reaches for their own role or a higher one.
var errRole = domain.Fail(domain.Forbidden, "this can be done only with roles below your own")

// ChangeRole changes what somebody is in a meeting that is not cancelled; target
// is the id of a user or of an invitation. The same role again changes nothing.
//
// Errors: Forbidden unless the caller's role is above the old and the new one;
// NotFound; Conflict when the meeting is cancelled and when the host means
// themselves.
func (s *Store) ChangeRole(ctx context.Context, who domain.Actor, id domain.MeetingID, target string, role participants.Role) (g Guest, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, id, participants.Manage)
		if err != nil {
			return err
		}
		if !viewer.Role.Above(role) {
			return errRole
		}
		p, err := below(tx, who, id, viewer, target)
		if err != nil {
			return err
		}
		if p.Role != role {
			p.Role = role
			if err := participants.SetRole(tx, id, p, role); err != nil {
				return err
			}
			if err := s.appendAbout(tx, who, id, events.ParticipantRoleChanged, p.ID()); err != nil {
				return err
			}
		}
		g, err = guest(tx, p)
		return err
	})
	return g, err
}

// Remove takes somebody out of a meeting that is not cancelled; target is the id
// of a user or of an invitation. They lose every right in it at once.
//
// Errors: as ChangeRole, for the role that they have.
func (s *Store) Remove(ctx context.Context, who domain.Actor, id domain.MeetingID, target string) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, id, participants.Manage)
		if err != nil {
			return err
		}
		p, err := below(tx, who, id, viewer, target)
		if err != nil {
			return err
		}
		if err := participants.Remove(tx, id, p); err != nil {
			return err
		}
		return s.appendAbout(tx, who, id, events.ParticipantRemoved, p.ID())
	})
}

// below returns somebody whom the viewer may change or remove.
func below(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, viewer participants.Membership, target string) (participants.Person, error) {
	p, err := participants.Find(tx, m, target)
	switch {
	case errors.Is(err, db.ErrNone):
		return p, domain.Fail(domain.NotFound, "there is no such participant")
	case err != nil:
		return p, err
	case p.User == who.User && viewer.Role == participants.Host:
		return p, domain.Fail(domain.Conflict, "a meeting is never without a host: transfer the meeting first")
	case !viewer.Role.Above(p.Role):
		return p, errRole
	case viewer.State == participants.Cancelled:
		return p, errCancelled
	}
	return p, nil
}

// errCancelled is the answer to whoever wants to do something in a meeting that
// was called off.
var errCancelled = domain.Fail(domain.Conflict, "the meeting is cancelled")

// Transfer makes another member the host, and the caller a cohost. To themselves
// it changes nothing.
//
// Errors: Forbidden to all but the host; Conflict when the meeting is cancelled;
// Invalid, naming the field, when the other is no member or deactivated.
func (s *Store) Transfer(ctx context.Context, who domain.Actor, id domain.MeetingID, to domain.UserID) (Meeting, error) {
	// A cohost gets this far: who repeats a transfer has become one.
	return s.step(ctx, who, id, participants.Manage, func(tx *db.WriteTx, m Meeting) error {
		if m.Viewer.Role != participants.Host {
			return domain.Fail(domain.Forbidden, "only the host may do this")
		}
		if m.State == participants.Cancelled {
			return errCancelled
		}
		if to == who.User {
			return nil
		}
		p, err := participants.Find(tx, id, string(to))
		if errors.Is(err, db.ErrNone) || (err == nil && p.User == "") {
			return domain.FailField("body.userId", "names no member of the meeting who could be its host")
		}
		if err != nil {
			return err
		}
		if err := users.RequireInvitable(tx, to, "body.userId"); err != nil {
			return err
		}
		if err := participants.SetRole(tx, id, p, participants.Host); err != nil {
			return err
		}
		if err := participants.SetRole(tx, id, participants.Person{User: who.User}, participants.Cohost); err != nil {
			return err
		}
		return s.appendAbout(tx, who, id, events.MeetingTransferred, string(to))
	})
}

func guest(tx db.Reader, p participants.Person) (Guest, error) {
	guests, err := withCards(tx, []participants.Person{p})
	return guests[0], err
}

func (s *Store) appendAbout(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, t events.Type, subject string) error {
	_, err := s.log.Append(tx, events.Event{Meeting: m, Type: t, Actor: who.User, Subject: subject})
	return err
}
