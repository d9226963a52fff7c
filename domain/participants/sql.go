package participants

import (
	"connvo/db"
	"connvo/domain"
)

const selectCaller = `
SELECT u.active, p.role, p.status, p.meeting_state
FROM users AS u
LEFT JOIN participants AS p ON p.user_id = ?2 AND p.meeting_id = ?1
WHERE u.id = ?2
-- scope: users.id=?2
-- scope: participants.meeting_id=?1
-- scope: participants.user_id=?2
-- decides`

const insertParticipant = `
INSERT INTO participants (meeting_id, user_id, meeting_state, role, status, scheduled_at)
SELECT id, ?2, state, ?3, 'invited', scheduled_at
FROM meetings
WHERE id = ?1`

const updateJoined = `
UPDATE participants
SET status = 'joined', joined_at = ?3, left_at = NULL
WHERE meeting_id = ?1 AND user_id = ?2`

const updateLeft = `
UPDATE participants
SET status = 'left', left_at = ?3
WHERE meeting_id = ?1 AND user_id = ?2`

const countJoined = `
SELECT count(*)
FROM participants
WHERE meeting_id = ?1 AND status = 'joined'
-- scope: participants.meeting_id=?1`

const countMembers = `
SELECT count(*)
FROM participants
WHERE meeting_id = ?1
-- scope: participants.meeting_id=?1`

const countMembersOfEach = `
SELECT meeting_id, count(*)
FROM participants
WHERE meeting_id IN (SELECT value FROM json_each(?1))
GROUP BY meeting_id
-- scope: participants.meeting_id=each(?1)`

const selectMeetingsOf = `
SELECT meeting_id, role, status
FROM participants
WHERE user_id = ?1 AND meeting_id < ?2
ORDER BY meeting_id DESC
LIMIT ?3
-- scope: participants.user_id=?1`

const selectMeetingsOfInState = `
SELECT meeting_id, role, status
FROM participants
WHERE user_id = ?1 AND meeting_id < ?2 AND meeting_state = ?4
ORDER BY meeting_id DESC
LIMIT ?3
-- scope: participants.user_id=?1`

const selectMeetingsPlanned = `
SELECT meeting_id, role, status
FROM participants
WHERE user_id = ?1 AND scheduled_at < ?2 AND (scheduled_at, meeting_id) > (?3, ?4)
ORDER BY scheduled_at, meeting_id
LIMIT ?5
-- scope: participants.user_id=?1`

const selectMeetingsPlannedInState = `
SELECT meeting_id, role, status
FROM participants
WHERE user_id = ?1 AND scheduled_at < ?2 AND (scheduled_at, meeting_id) > (?3, ?4) AND meeting_state = ?6
ORDER BY scheduled_at, meeting_id
LIMIT ?5
-- scope: participants.user_id=?1`

const selectMembers = `
SELECT user_id, role, status, joined_at, left_at
FROM participants
WHERE meeting_id = ?1
ORDER BY user_id
LIMIT ?2
-- scope: participants.meeting_id=?1`

// selectPresent is what allows says of ReadContent, for many.
const selectPresent = `
SELECT user_id, role, status, joined_at, left_at
FROM participants
WHERE meeting_id = ?1 AND user_id IN (SELECT value FROM json_each(?2))
  AND (meeting_state <> 'active' OR status = 'joined')
ORDER BY user_id
-- scope: participants.meeting_id=?1`

const selectMember = `
SELECT user_id, role, status, joined_at, left_at
FROM participants
WHERE meeting_id = ?1 AND user_id = ?2
-- scope: participants.meeting_id=?1
-- scope: participants.user_id=?2`

// countPlaces counts each table by itself: neither is a part of the other.
const countPlaces = `
SELECT (SELECT count(*) FROM participants WHERE meeting_id = ?1)
  + (SELECT count(*) FROM invitations WHERE meeting_id = ?1)
-- scope: participants.meeting_id=?1
-- scope: invitations.meeting_id=?1`

const updateRole = `
UPDATE participants
SET role = ?3
WHERE meeting_id = ?1 AND user_id = ?2`

const deleteMember = `
DELETE FROM participants
WHERE meeting_id = ?1 AND user_id = ?2`

// caller is the row of selectCaller.
type caller struct {
	active bool
	Membership
}

func scanCaller(r db.Row) (caller, error) {
	var c caller
	var role, status, state *string // null where there is no membership
	err := r.Scan(&c.active, &role, &status, &state)
	if role != nil {
		c.Membership = Membership{Role: Role(*role), Status: Status(*status), State: State(*state)}
	}
	return c, err
}

type count struct {
	meeting domain.MeetingID
	members int64
}

func scanCount(r db.Row) (count, error) {
	var c count
	err := r.Scan(&c.meeting, &c.members)
	return c, err
}

func scanMeeting(r db.Row) (Meeting, error) {
	var m Meeting
	err := r.Scan(&m.ID, &m.Role, &m.Status)
	return m, err
}

func scanPerson(r db.Row) (Person, error) {
	var p Person
	var joined, left *int64
	err := r.Scan(&p.User, &p.Role, &p.Status, &joined, &left)
	p.JoinedAt, p.LeftAt = db.Instant(joined), db.Instant(left)
	return p, err
}
