package notifications

import (
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
	"connvo/jobs"
)

// Notice is how long before its planned time the members of a meeting are told
// that it is about to begin.
const Notice = 10 * time.Minute

// Starting is the kind of the jobs that do; their payload is the meeting.
const Starting = "notifications.starting"

// Follow is an events.Follow: it tells those whom e concerns. Events that concern
// nobody in particular tell nobody.
func Follow(tx *db.WriteTx, e events.Event) error {
	n := News{Meeting: e.Meeting, Actor: e.Actor, Cause: e.Position}
	switch e.Type {
	case events.MeetingCreated:
		n.Type = MeetingInvited
		if err := TellMembers(tx, n); err != nil {
			return err
		}
		return planStarting(tx, e.Meeting)
	case events.MeetingUpdated:
		return planStarting(tx, e.Meeting)
	case events.MeetingStarted:
		n.Type = MeetingStarted
		return TellMembers(tx, n)
	case events.MeetingCancelled:
		n.Type = MeetingCancelled
		return TellMembers(tx, n)
	case events.ParticipantInvited:
		n.Type = MeetingInvited
		return tellSubject(tx, n, e.Subject)
	case events.ParticipantClaimed:
		// Nobody is asked to a meeting that was over before they came.
		if p, err := db.One(tx, scanPlan, selectPlan, e.Meeting); err != nil || p.over() {
			return err
		}
		// Who has invited them is not in the event, only that it was not they.
		n.Type, n.Actor = MeetingInvited, ""
		return Tell(tx, n, e.Actor)
	case events.ParticipantRoleChanged, events.MeetingTransferred:
		n.Type = RoleChanged
		return tellSubject(tx, n, e.Subject)
	}
	return nil
}

// tellSubject tells the user whom an event is about; whoever is invited by e-mail
// is nobody yet.
func tellSubject(tx *db.WriteTx, n News, subject string) error {
	if !strings.HasPrefix(subject, domain.UserPrefix) {
		return nil
	}
	if n.Type == RoleChanged {
		p, err := participants.Find(tx, n.Meeting, subject)
		if err != nil {
			return err
		}
		n.Subject = string(p.Role)
	}
	return Tell(tx, n, domain.UserID(subject))
}

// planStarting leaves it to a job to tell the members when the meeting is about
// to begin, unless it was done for this time already.
func planStarting(tx *db.WriteTx, m domain.MeetingID) error {
	p, err := db.One(tx, scanPlan, selectPlan, m)
	if err != nil || !p.ahead(tx.Now) {
		return err
	}
	told, err := db.All(tx, db.Int, selectTold, m, MeetingStarting, p.cause())
	if err != nil || len(told) > 0 {
		return err
	}
	return p.enqueue(tx, m)
}

// TellStarting tells the members that the meeting is about to begin, or asks
// again when that has been put off. It is the work of a job and joins its
// transaction.
func TellStarting(tx *db.WriteTx, m domain.MeetingID) error {
	p, err := db.One(tx, scanPlan, selectPlan, m)
	if err != nil || !p.ahead(tx.Now) {
		return err
	}
	if tx.Now.Before(p.at.Add(-Notice)) {
		return p.enqueue(tx, m)
	}
	return TellMembers(tx, News{Type: MeetingStarting, Meeting: m, Cause: p.cause()})
}

// ahead reports whether the meeting is to begin after now.
func (p plan) ahead(now time.Time) bool {
	return p.state == participants.Scheduled && p.at.After(now) // never where it is zero
}

// over reports whether nobody can be in the meeting any more.
func (p plan) over() bool {
	return p.state == participants.Concluded || p.state == participants.Cancelled
}

// cause names the news that the meeting is about to begin.
func (p plan) cause() int64 { return p.at.UnixMilli() }

func (p plan) enqueue(tx *db.WriteTx, m domain.MeetingID) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Starting, Name: Starting + ":" + string(m), Payload: m, RunAt: p.at.Add(-Notice)})
}
