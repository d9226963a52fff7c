package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/users"
	"connvo/idempotency"
	"connvo/jobs"
)

// The kinds of jobs.
const (
	endAbandoned  = "meetings.end-abandoned"
	countMeeting  = "analytics.count"
	writeInsights = "insights.write"
	claimMore     = "invitations.claim"
	expireDay     = "idempotency.expire"
)

// effect is the handler of jobs whose whole work is one transaction.
func effect[Payload any](work func(tx *db.WriteTx, p Payload) error) jobs.Handler {
	return func(_ context.Context, t jobs.Task) (jobs.Effect, error) {
		var p Payload
		if err := json.Unmarshal(t.Payload, &p); err != nil {
			return nil, err
		}
		return func(tx *db.WriteTx) error { return work(tx, p) }, nil
	}
}

// watchForAbandonment follows the start of a meeting, and a change of its plan: one
// that nobody ends is looked after by a job.
func watchForAbandonment(tx *db.WriteTx, e events.Event) error {
	heard, err := conversation.LastAt(tx, e.Meeting)
	if err != nil {
		return err
	}
	at, active, err := meetings.AbandonedAt(tx, e.Meeting, heard)
	if err != nil || !active {
		return err
	}
	org, err := meetings.OrgOf(tx, e.Meeting)
	if err != nil {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: endAbandoned, Name: endAbandoned + ":" + string(e.Meeting), Org: org, Payload: e.Meeting, RunAt: at})
}

// endAbandonedMeeting ends a meeting whose time has come, or asks again later.
func endAbandonedMeeting(meets *meetings.Store) jobs.Handler {
	return func(_ context.Context, t jobs.Task) (jobs.Effect, error) {
		var id domain.MeetingID
		if err := json.Unmarshal(t.Payload, &id); err != nil {
			return nil, err
		}
		return func(tx *db.WriteTx) error {
			heard, err := conversation.LastAt(tx, id)
			if err != nil {
				return err
			}
			again, err := meets.EndAbandoned(tx, id, heard)
			if err != nil || again.IsZero() {
				return err
			}
			return jobs.Enqueue(tx, jobs.Job{Kind: t.Kind, Name: t.Name, Org: t.Org, Payload: id, RunAt: again})
		}, nil
	}
}

// claim is whose invitations are to be claimed.
type claim struct {
	User    domain.UserID
	Address string
}

// claimInvitations makes somebody a member wherever they are invited; where that
// is too much for their sign-in, a job does the rest.
func claimInvitations(meets *meetings.Store) users.Arrival {
	return func(tx *db.WriteTx, user domain.UserID, address string) error {
		more, err := meets.Claim(tx, user, address)
		if err != nil || !more {
			return err
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: claimMore, Payload: claim{user, address}, RunAt: tx.Now})
	}
}

// claimMoreInvitations claims a portion of what a sign-in has left. What is
// invited by an address that has become another's since is theirs.
func claimMoreInvitations(meets *meetings.Store) jobs.Handler {
	again := claimInvitations(meets)
	return effect(func(tx *db.WriteTx, c claim) error {
		if holds, err := users.Holds(tx, c.User, c.Address); err != nil || !holds {
			return err
		}
		return again(tx, c.User, c.Address)
	})
}

// expireAnswers leaves the expiry of a day's kept answers to a job.
func expireAnswers(tx *db.WriteTx, day int64, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: expireDay, Name: fmt.Sprintf("%s:%d", expireDay, day), Payload: day, RunAt: at})
}

// expireAnswersOf deletes a portion of a day's kept answers, and asks again
// while there are more.
func expireAnswersOf(tx *db.WriteTx, day int64) error {
	more, err := idempotency.DeleteDay(tx, day)
	if err != nil || !more {
		return err
	}
	return expireAnswers(tx, day, tx.Now)
}
