package main

import (
	"log/slog"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/users"
	"connvo/jobs"
)

func TestSignInLeavesManyInvitationsToAJob(t *testing.T) {
	d := dbtest.Open(t)
	committed := make(chan struct{}, 1)
	d.OnCommit(func(db.ChangeSet) {
		select {
		case committed <- struct{}{}:
		default:
		}
	})
	meets := meetings.NewStore(d, events.NewLog(nil), "loc")
	people := users.NewStore(d, claimInvitations(meets))
	runner := jobs.NewRunner(d, slog.New(slog.DiscardHandler), map[string]jobs.Handler{claimMore: claimMoreInvitations(meets)})
	runner.Start()
	defer func() {
		if err := runner.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	arrive := func(name string) domain.Actor {
		a, err := people.SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", EmailVerified: true, At: d.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return domain.Actor{User: a.User}
	}
	ada := arrive("ada")
	const many = 2*participants.MaxClaimed + 1
	for range many {
		_, err := meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{{Email: "grace@example.com", Role: participants.Observer}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	grace := arrive("grace")
	late := time.After(patience)
	for {
		var n int
		var below domain.MeetingID
		for more := true; more; {
			var list []meetings.Meeting
			var err error
			if list, more, err = meets.List(t.Context(), grace, "", below, 100); err != nil {
				t.Fatal(err)
			}
			if n += len(list); more {
				below = list[len(list)-1].ID
			}
		}
		if n == many {
			return
		}
		select {
		case <-committed:
		case <-late:
			t.Fatalf("%d of %d invitations were claimed", n, many)
		}
	}
}
