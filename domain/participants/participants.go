// Package participants is who is in a meeting, and what that allows them.
package participants

import (
	"errors"
	"slices"

	"connvo/db"
	"connvo/domain"
)

// Role is what someone is in a meeting.
type Role string

// The roles, highest first.
const (
	Host        Role = "host"
	Cohost      Role = "cohost"
	Participant Role = "participant"
	Observer    Role = "observer"
)

// Above reports whether the role is higher than the other: whose holder may be
// made, changed and removed by r's.
func (r Role) Above(other Role) bool { return r.rank() > other.rank() }

func (r Role) rank() int {
	return slices.Index([]Role{Observer, Participant, Cohost, Host}, r)
}

// Status is where someone is.
type Status string

// The statuses. Someone who was removed has none: they are no member.
const (
	Invited Status = "invited"
	Joined  Status = "joined"
	Left    Status = "left"
)

// State is where a meeting is in its life.
type State string

// The states: scheduled → active → concluded, or scheduled → cancelled.
const (
	Scheduled State = "scheduled"
	Active    State = "active"
	Concluded State = "concluded"
	Cancelled State = "cancelled"
)

// Membership is what a decision about a member rests on.
type Membership struct {
	Role   Role
	Status Status
	State  State // of the meeting
}

// Right is something a member may be allowed to do.
type Right uint8

// The rights. What each asks of the role and the status is in allows; whether
// the meeting's state permits the thing at all is asked after it, by the caller.
const (
	See          Right = iota // the meeting, its participants, its events
	ReadContent               // messages, notes, transcript; being there
	WriteContent              // messages, notes
	Manage                    // edit, start, end, cancel, invite, remove
	Rate                      // the meeting, once one has been in it
	Preside                   // over the notes: roll them back, lock them; and over the transcript: delete it
	Reflect                   // on the meeting, once one has been in it: have insights
)

// ErrNoMember is the cause of a NotFound for whoever is not, or no longer, a member
// of the meeting, be there one or not. The caller is not told it.
var ErrNoMember = errors.New("no member of the meeting")

// Require refuses whoever may not do what right names in the meeting, and
// returns the caller's membership. It only decides, and it is the first
// statement of every transaction about a meeting.
func Require(tx db.Reader, who domain.Actor, m domain.MeetingID, right Right) (Membership, error) {
	row, err := db.One(tx, scanCaller, selectCaller, m, who.User)
	switch {
	case errors.Is(err, db.ErrNone):
		return Membership{}, domain.Fail(domain.Unauthenticated, "the user of this token does not exist")
	case err != nil:
		return Membership{}, err
	case !row.active:
		return Membership{}, domain.Fail(domain.Forbidden, "this user is deactivated")
	case row.Role == "":
		return Membership{}, &domain.Error{Kind: domain.NotFound, Detail: "there is no such meeting", Cause: ErrNoMember}
	}
	if err := row.allows(right); err != nil {
		return Membership{}, err
	}
	return row.Membership, tx.Decided()
}

// allows is the access matrix, as far as roles and statuses go.
func (m Membership) allows(right Right) error {
	switch right {
	case Manage:
		if m.Role != Host && m.Role != Cohost {
			return domain.Fail(domain.Forbidden, "only the host and cohosts may do this")
		}
	case WriteContent:
		if m.Role == Observer {
			return domain.Fail(domain.Forbidden, "observers may not write")
		}
		return m.allows(ReadContent)
	case Preside:
		if m.Role != Host {
			return domain.Fail(domain.Forbidden, "only the host may do this")
		}
		return m.allows(ReadContent)
	case Rate:
		if m.Status == Invited {
			return domain.Fail(domain.Forbidden, "only those who joined the meeting may rate it")
		}
	case Reflect:
		if m.Status == Invited {
			return domain.Fail(domain.Forbidden, "insights are for those who joined the meeting")
		}
	case ReadContent:
		if m.State == Active && m.Status != Joined {
			return domain.Fail(domain.Forbidden, "join the meeting first")
		}
	}
	return nil
}

// Add makes someone a member of the meeting; db.ErrDuplicate when they are one.
func Add(tx *db.WriteTx, m domain.MeetingID, user domain.UserID, role Role) error {
	_, err := tx.Exec(insertParticipant, m, user, role)
	return err
}

// Join notes that a member is in the meeting from now on.
func Join(tx *db.WriteTx, m domain.MeetingID, user domain.UserID) error {
	_, err := tx.Exec(updateJoined, m, user, tx.Now.UnixMilli())
	return err
}

// Leave notes that a member has left.
func Leave(tx *db.WriteTx, m domain.MeetingID, user domain.UserID) error {
	_, err := tx.Exec(updateLeft, m, user, tx.Now.UnixMilli())
	return err
}

// CountJoined returns how many are in the meeting now.
func CountJoined(tx db.Reader, m domain.MeetingID) (int64, error) {
	return db.One(tx, db.Int, countJoined, m)
}

// Count returns how many members the meeting has.
func Count(tx db.Reader, m domain.MeetingID) (int64, error) {
	return db.One(tx, db.Int, countMembers, m)
}

// Counts returns how many members each of the meetings has; ids is a JSON array.
func Counts(tx db.Reader, ids string) (map[domain.MeetingID]int64, error) {
	rows, err := db.All(tx, scanCount, countMembersOfEach, ids)
	counts := make(map[domain.MeetingID]int64, len(rows))
	for _, r := range rows {
		counts[r.meeting] = r.members
	}
	return counts, err
}
