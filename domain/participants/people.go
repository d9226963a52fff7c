package participants

import (
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
)

// MaxMembers bounds a meeting, members and invitations together: its participants
// are answered in one page.
const MaxMembers = 1000

// Person is a member as other members see them, or an invitation of somebody who
// has not signed in yet: one of User and Invitation is "".
type Person struct {
	User       domain.UserID
	Invitation domain.InvitationID
	Role       Role
	Status     Status
	JoinedAt   time.Time // zero when they never did
	LeftAt     time.Time // zero when they have not
}

// ID returns the id of the user or the invitation.
func (p Person) ID() string {
	if p.Invitation != "" {
		return string(p.Invitation)
	}
	return string(p.User)
}

// List returns who is in the meeting or invited to it: the members by id, then
// the invitations, oldest first; at most MaxMembers.
func List(tx db.Reader, m domain.MeetingID) ([]Person, error) {
	members, err := db.All(tx, scanPerson, selectMembers, m, MaxMembers)
	if err != nil {
		return nil, err
	}
	invited, err := db.All(tx, scanInvited, selectInvitations, m, MaxMembers)
	return append(members, invited...), err
}

// Address is an invitation by e-mail, and where it went.
type Address struct {
	Invitation domain.InvitationID
	Email      string // as users.Address returns it
	Role       Role
	By         domain.UserID // who invited it
	At         time.Time
}

// Addresses returns the invitations by e-mail that nobody has claimed, oldest first;
// at most MaxMembers.
func Addresses(tx db.Reader, m domain.MeetingID) ([]Address, error) {
	return db.All(tx, scanAddress, selectAddresses, m, MaxMembers)
}

// Present returns those of the users who may be there now, each with the time at
// which they joined, zero where they have not. ids is a JSON array. Whether the
// meeting's state lets anybody be there is asked by the caller, as with rights.
func Present(tx db.Reader, m domain.MeetingID, ids string) ([]Person, error) {
	return db.All(tx, scanPerson, selectPresent, m, ids)
}

// Find returns the member or the invitation with the id, or db.ErrNone.
func Find(tx db.Reader, m domain.MeetingID, id string) (Person, error) {
	if strings.HasPrefix(id, domain.InvitationPrefix) {
		return db.One(tx, scanInvited, selectInvitation, m, id)
	}
	return db.One(tx, scanPerson, selectMember, m, id)
}

// Places returns how many of MaxMembers are taken.
func Places(tx db.Reader, m domain.MeetingID) (int64, error) {
	return db.One(tx, db.Int, countPlaces, m)
}

// SetRole changes what the person is in the meeting.
func SetRole(tx *db.WriteTx, m domain.MeetingID, p Person, role Role) error {
	if p.Invitation != "" {
		_, err := tx.Exec(updateInvitationRole, m, p.Invitation, role)
		return err
	}
	_, err := tx.Exec(updateRole, m, p.User, role)
	return err
}

// Remove takes the person out of the meeting, and with that every right in it.
func Remove(tx *db.WriteTx, m domain.MeetingID, p Person) error {
	if p.Invitation != "" {
		_, err := tx.Exec(deleteInvitation, m, p.Invitation)
		return err
	}
	_, err := tx.Exec(deleteMember, m, p.User)
	return err
}
