package meetings

import (
	"context"
	"errors"
	"fmt"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// Invitation is someone to be in a meeting: a user, or whoever has the e-mail
// address. Exactly one of User and Email is not "".
type Invitation struct {
	User  domain.UserID
	Email string
	Role  participants.Role
}

// Invite makes somebody a member of a meeting that is not over. By e-mail that is
// somebody of the caller's organization; whoever else has the address becomes one when
// they sign in with it or are seen next, and nothing tells before whether they have an
// account.
//
// Errors: Forbidden unless the caller's role is above the invited one's; Invalid,
// naming the field, for the caller themselves and for whom nobody can invite;
// Conflict when the meeting is over, has MaxMembers, or has them already.
func (s *Store) Invite(ctx context.Context, who domain.Actor, id domain.MeetingID, i Invitation) (g Guest, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, id, participants.Manage)
		if err != nil {
			return err
		}
		if !viewer.Role.Above(i.Role) {
			return errRole
		}
		if err := checkOpen(viewer.State); err != nil {
			return err
		}
		taken, err := participants.Places(tx, id)
		if err != nil {
			return err
		}
		p, err := invite(tx, who, id, i, "body")
		switch {
		case errors.Is(err, db.ErrDuplicate):
			return domain.Fail(domain.Conflict, "they are in the meeting or invited already")
		case err != nil:
			return err
		case taken >= participants.MaxMembers:
			return domain.Fail(domain.Conflict, "a meeting has at most %d participants", participants.MaxMembers)
		}
		if g, err = guest(tx, p); err != nil {
			return err
		}
		return s.appendAbout(tx, who, id, events.ParticipantInvited, p.ID())
	})
	return g, err
}

// inviteAll adds the organizer as host and everyone whom the draft names.
func inviteAll(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, invited []Invitation) error {
	if len(invited) > MaxInvited {
		return domain.FailField("body.participants", "must name at most %d people", MaxInvited)
	}
	if err := participants.Add(tx, m, who.User, participants.Host); err != nil {
		return err
	}
	for i, one := range invited {
		at := fmt.Sprintf("body.participants[%d]", i)
		if !participants.Host.Above(one.Role) {
			return domain.FailField(at+".role", "must be below host")
		}
		_, err := invite(tx, who, m, one, at)
		if errors.Is(err, db.ErrDuplicate) {
			return domain.FailField(at+one.field(), "is invited twice")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// field is where a request names whom it invites.
func (i Invitation) field() string {
	if i.Email != "" {
		return ".email"
	}
	return ".userId"
}

// invite makes the invited a member, or keeps a place for them: db.ErrDuplicate
// when they have one. at is where the request speaks of them.
func invite(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, i Invitation, at string) (participants.Person, error) {
	none, field := participants.Person{}, at+i.field()
	if (i.User == "") == (i.Email == "") {
		return none, domain.FailField(at+".userId", "give either userId or email")
	}
	if i.Email != "" {
		address, ok := users.Address(i.Email)
		if !ok {
			return none, domain.FailField(field, "must be an e-mail address without a name, such as ada@example.com")
		}
		user, err := byAddress(tx, who, address)
		if errors.Is(err, db.ErrNone) {
			return participants.Invite(tx, m, who.User, address, i.Role)
		}
		if err != nil {
			return none, err
		}
		i.User = user
	} else if err := users.RequireReachable(tx, who, i.User, field); err != nil {
		return none, err
	}
	if i.User == who.User {
		return none, domain.FailField(field, "is yourself; you are in the meeting already")
	}
	p := participants.Person{User: i.User, Role: i.Role, Status: participants.Invited}
	return p, participants.Add(tx, m, i.User, i.Role)
}

// byAddress returns the active user of the caller's organization whose address it is,
// or db.ErrNone: of others, and where a block is between them, the caller does not
// learn whether they have an account.
func byAddress(tx *db.WriteTx, who domain.Actor, address string) (domain.UserID, error) {
	user, err := users.ByAddress(tx, who.User, address)
	if err != nil {
		return "", err
	}
	hidden, err := blocks.Between(tx, who.User, user)
	if err == nil && hidden {
		err = db.ErrNone
	}
	return user, err
}

// Claim makes the user a member wherever their address is invited, and reports
// whether there are more invitations, for another transaction. It joins the
// caller's, which knows that the address is theirs.
func (s *Store) Claim(tx *db.WriteTx, user domain.UserID, address string) (more bool, err error) {
	claimed, more, err := participants.Claim(tx, user, address)
	if err != nil {
		return false, err
	}
	for _, c := range claimed {
		if !c.New {
			continue // they were a member already
		}
		if err := record(tx, user, c.Meeting, audit.ParticipantClaimed, `{}`); err != nil {
			return false, err
		}
		if err := s.appendAbout(tx, domain.Actor{User: user}, c.Meeting, events.ParticipantClaimed, string(c.Invitation)); err != nil {
			return false, err
		}
	}
	return more, nil
}
