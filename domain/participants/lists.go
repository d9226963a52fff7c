package participants

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

// Meeting is one of the meetings that someone is a member of.
type Meeting struct {
	ID     domain.MeetingID
	Role   Role
	Status Status
}

// Of returns the meetings that the user is a member of, newest first, below the
// id below ("" for the first page), in the given state ("" for any).
func Of(tx db.Reader, user domain.UserID, state State, below domain.MeetingID, limit int) ([]Meeting, error) {
	if below == "" {
		below = aboveAllMeetings
	}
	if state == "" {
		return db.All(tx, scanMeeting, selectMeetingsOf, user, below, limit)
	}
	return db.All(tx, scanMeeting, selectMeetingsOfInState, user, below, limit, state)
}

// aboveAllMeetings sorts behind every meeting's id.
const aboveAllMeetings domain.MeetingID = "mtg`"

// Planned returns the meetings that the user is a member of and that are planned
// to begin before to, soonest first, in the given state ("" for any): those behind
// the meeting after, which begins at from; all that begin at from or later with
// after "".
func Planned(tx db.Reader, user domain.UserID, state State, from time.Time, after domain.MeetingID, to time.Time, limit int) ([]Meeting, error) {
	if state == "" {
		return db.All(tx, scanMeeting, selectMeetingsPlanned, user, to.UnixMilli(), from.UnixMilli(), after, limit)
	}
	return db.All(tx, scanMeeting, selectMeetingsPlannedInState, user, to.UnixMilli(), from.UnixMilli(), after, limit, state)
}
