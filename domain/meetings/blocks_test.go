package meetings_test

import (
	"testing"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/meetings"
	"connvo/domain/users"
)

func (w *town) block(by, other domain.Actor) {
	w.t.Helper()
	ok(w.t, w.db.Write(w.t.Context(), func(tx *db.WriteTx) error {
		_, err := blocks.Add(tx, by.User, other.User)
		return err
	}))
}

func TestNeitherOfTwoInvitesTheOtherAcrossABlock(t *testing.T) {
	w := newTown(t)
	ada, grace, linus := w.arrive("ada"), w.arrive("grace"), w.arrive("linus")
	w.block(ada, grace)
	for _, c := range []struct{ by, whom domain.Actor }{{ada, grace}, {grace, ada}} {
		m := w.plan(c.by)
		_, err := w.meets.Invite(t.Context(), c.by, m, meetings.Invitation{User: c.whom.User, Role: observer})
		refused(t, err, domain.Invalid, "names no user who can be invited")
		_, err = w.meets.Create(t.Context(), c.by, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{{User: c.whom.User, Role: observer}}})
		refused(t, err, domain.Invalid, "names no user who can be invited")
		_, err = w.meets.Invite(t.Context(), c.by, m, meetings.Invitation{User: linus.User, Role: observer})
		ok(t, err)
	}
	m := w.plan(ada)
	g, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: observer})
	if err != nil || g.Invitation == "" || g.User != "" {
		t.Errorf("the address says %+v, %v", g, err)
	}
	_, err = w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: observer})
	refused(t, err, domain.Conflict, "invited already")
	// Somebody else may have both in their meeting, and there either may lead.
	shared := w.plan(linus, ada, cohost, grace, participant)
	if _, err = w.meets.ChangeRole(t.Context(), ada, shared, string(grace.User), observer); err != nil {
		t.Error(err)
	}
}

func TestInvitationIsNotClaimedAcrossABlock(t *testing.T) {
	w := newTown(t)
	ada, linus := w.arrive("ada"), w.arrive("linus")
	hidden, open := w.plan(ada), w.plan(linus)
	for m, by := range map[domain.MeetingID]domain.Actor{hidden: ada, open: linus} {
		_, err := w.meets.Invite(t.Context(), by, m, meetings.Invitation{Email: "grace@example.org", Role: observer})
		ok(t, err)
	}
	id := users.Identity{Subject: "user_grace", Email: "grace@example.org"}
	grace := w.arriveAs(id)
	w.block(grace, ada)
	id.EmailVerified = true
	w.arriveAs(id)
	if got := w.in(hidden, ada); got != "ada host, ? observer" {
		t.Error(got)
	}
	if got := w.in(open, linus); got != "linus host, grace observer" {
		t.Error(got)
	}
	if len(w.more) != 0 {
		t.Errorf("%v are left to be claimed", w.more)
	}
}
