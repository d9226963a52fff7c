package participants

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

// MaxClaimed is how many invitations one transaction turns into memberships: a
// few milliseconds of the writer's time.
const MaxClaimed = 100

// Claimed is an invitation that has become a membership.
type Claimed struct {
	Meeting    domain.MeetingID
	Invitation domain.InvitationID
	New        bool // they were no member before
}

// Invite keeps a place in the meeting for whoever signs in with the address,
// which is as users.Address returns it; db.ErrDuplicate when one is kept.
func Invite(tx *db.WriteTx, m domain.MeetingID, by domain.UserID, address string, role Role) (Person, error) {
	p := Person{Invitation: domain.InvitationID(domain.InvitationPrefix + tx.ULID()), Role: role, Status: Invited}
	_, err := tx.Exec(insertInvitation, m, p.Invitation, address, role, by, tx.Now.UnixMilli())
	return p, err
}

// Claim makes the user a member wherever the address is invited, in at most
// MaxClaimed meetings, and reports whether there are more. Who is a member
// already stays what they are. An invitation by somebody whom a block keeps from
// the user waits on: the inviter does not learn of it.
func Claim(tx *db.WriteTx, user domain.UserID, address string) (claimed []Claimed, more bool, err error) {
	claimed, err = db.All(tx, scanClaimed, selectClaimable, address, MaxClaimed+1, user)
	if err != nil {
		return nil, false, err
	}
	if more = len(claimed) > MaxClaimed; more {
		claimed = claimed[:MaxClaimed]
	}
	for i, c := range claimed {
		added, err := tx.Exec(insertClaimed, c.Meeting, c.Invitation, user)
		if err != nil {
			return nil, false, err
		}
		claimed[i].New = added > 0
		if _, err := tx.Exec(deleteInvitation, c.Meeting, c.Invitation); err != nil {
			return nil, false, err
		}
	}
	return claimed, more, nil
}

const insertInvitation = `
INSERT INTO invitations (meeting_id, id, email, role, invited_by, created_at)
VALUES (?, ?, ?, ?, ?, ?)`

const insertClaimed = `
INSERT INTO participants (meeting_id, user_id, meeting_state, role, status, scheduled_at)
SELECT i.meeting_id, ?3, m.state, i.role, 'invited', m.scheduled_at
FROM invitations AS i
JOIN meetings AS m ON m.id = i.meeting_id
WHERE i.meeting_id = ?1 AND i.id = ?2
ON CONFLICT (meeting_id, user_id) DO NOTHING`

const selectClaimable = `
SELECT meeting_id, id
FROM invitations AS i
WHERE email = ?1 AND NOT EXISTS (
  SELECT 1
  FROM blocks
  WHERE user_id = ?3 AND other_id = i.invited_by
)
ORDER BY meeting_id
LIMIT ?2
-- scope: invitations.email=?1
-- scope: blocks.user_id=?3`

const selectInvitation = `
SELECT id, role
FROM invitations
WHERE meeting_id = ?1 AND id = ?2
-- scope: invitations.meeting_id=?1
-- scope: invitations.id=?2`

const selectInvitations = `
SELECT id, role
FROM invitations
WHERE meeting_id = ?1
ORDER BY id
LIMIT ?2
-- scope: invitations.meeting_id=?1`

const selectAddresses = `
SELECT id, email, role, invited_by, created_at
FROM invitations
WHERE meeting_id = ?1
ORDER BY id
LIMIT ?2
-- scope: invitations.meeting_id=?1`

const updateInvitationRole = `
UPDATE invitations
SET role = ?3
WHERE meeting_id = ?1 AND id = ?2`

const deleteInvitation = `
DELETE FROM invitations
WHERE meeting_id = ?1 AND id = ?2`

func scanInvited(r db.Row) (Person, error) {
	p := Person{Status: Invited}
	err := r.Scan(&p.Invitation, &p.Role)
	return p, err
}

func scanAddress(r db.Row) (a Address, err error) {
	var at int64
	err = r.Scan(&a.Invitation, &a.Email, &a.Role, &a.By, &at)
	a.At = time.UnixMilli(at).UTC()
	return a, err
}

func scanClaimed(r db.Row) (Claimed, error) {
	var c Claimed
	err := r.Scan(&c.Meeting, &c.Invitation)
	return c, err
}
