package main

import (
	"encoding/json"
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

// A job may be late by hours, and rights are what they are when it is done.
func TestLateClaimIsOfWhoeverHasTheAddress(t *testing.T) {
	d := dbtest.Open(t)
	meets := meetings.NewStore(d, events.NewLog(nil), "loc")
	people := users.NewStore(d)
	arrive := func(subject, email string) domain.Actor {
		a, err := people.SignIn(t.Context(), users.Identity{Subject: subject, Email: email, EmailVerified: true, At: d.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return domain.Actor{User: a.User}
	}
	ada := arrive("ada", "ada@example.com")
	if _, err := meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{{Email: "office@example.com", Role: participants.Observer}}}); err != nil {
		t.Fatal(err)
	}
	first := arrive("first", "office@example.com")
	second := arrive("second", "office@example.com")
	arrive("first", "first@example.com")
	for _, c := range []struct {
		who  domain.Actor
		want int
	}{{first, 0}, {second, 1}} {
		payload, err := json.Marshal(claim{c.who.User, "office@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		effect, err := claimMoreInvitations(meets)(t.Context(), jobs.Task{Kind: claimMore, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), effect); err != nil {
			t.Fatal(err)
		}
		if list, _, err := meets.List(t.Context(), c.who, "", "", 10); err != nil || len(list) != c.want {
			t.Errorf("%s is in %d meetings, want %d (%v)", c.who.User, len(list), c.want, err)
		}
	}
}

// TestJobOfAMeetingIsItsOrganizations when it is made, and when it is put off.
func TestJobOfAMeetingIsItsOrganizations(t *testing.T) {
	d := dbtest.Open(t)
	meets := meetings.NewStore(d, events.NewLog(map[events.Type][]events.Follow{events.MeetingStarted: {watchForAbandonment}}), "loc")
	people := users.NewStore(d)
	board := jobs.NewBoard(d, func() []int64 { return nil }, users.RequireAdmin)
	for _, org := range []string{"", "org_1"} {
		a, err := people.SignIn(t.Context(), users.Identity{Subject: "ada" + org, Email: "ada@example.com", Org: org, OrgRole: domain.OrgAdmin, At: d.Now()})
		if err != nil {
			t.Fatal(err)
		}
		ada := domain.Actor{User: a.User, Org: a.Org}
		m, err := meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := meets.Start(t.Context(), ada, m.ID); err != nil {
			t.Fatal(err)
		}
		if org == "" {
			continue
		}
		for range 2 {
			list, _, err := board.List(t.Context(), ada, jobs.Filter{Limit: 10})
			if err != nil || len(list) != 1 || list[0].Kind != endAbandoned || list[0].Name != endAbandoned+":"+string(m.ID) {
				t.Fatalf("%+v %v", list, err)
			}
			endJob(t, d, meets, list[0], m.ID, org)
		}
	}
}

// endJob ends the meeting's job as its runner would.
func endJob(t *testing.T, d *db.DB, meets *meetings.Store, e jobs.Entry, id domain.MeetingID, org string) {
	t.Helper()
	payload, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	effect, err := endAbandonedMeeting(meets)(t.Context(), jobs.Task{ID: e.ID, Kind: e.Kind, Name: e.Name, Org: org, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), func(tx *db.WriteTx) error {
		if _, err := tx.Exec(`DELETE FROM jobs WHERE id = ?`, e.ID); err != nil {
			return err
		}
		return effect(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
}
