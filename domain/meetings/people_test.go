package meetings_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/users"
)

const (
	host        = participants.Host
	cohost      = participants.Cohost
	participant = participants.Participant
	observer    = participants.Observer
)

var roles = []participants.Role{host, cohost, participant, observer}

// TestRightsOverPeopleFollowRoles lets everyone do everything to everyone.
func TestRightsOverPeopleFollowRoles(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	for i, mine := range roles[1:] {
		for j, theirs := range roles[1:] {
			for k, next := range roles[1:] {
				me, other := w.arrive(fmt.Sprint("me", i, j, k)), w.arrive(fmt.Sprint("other", i, j, k))
				m := w.plan(ada, me, mine, other, theirs)
				may := mine == cohost && theirs != cohost
				_, err := w.meets.ChangeRole(t.Context(), me, m, string(other.User), next)
				if allowed := may && next != cohost; allowed == (err != nil) {
					t.Errorf("%s makes a %s %s: %v", mine, theirs, next, err)
				}
				third := w.arrive(fmt.Sprint("third", i, j, k))
				_, err = w.meets.Invite(t.Context(), me, m, meetings.Invitation{User: third.User, Role: next})
				if allowed := mine == cohost && next != cohost; allowed == (err != nil) {
					t.Errorf("%s invites a %s: %v", mine, next, err)
				}
				if err := w.meets.Remove(t.Context(), me, m, string(other.User)); may == (err != nil) {
					t.Errorf("%s removes a %s: %v", mine, theirs, err)
				}
				_, err = w.meets.Transfer(t.Context(), me, m, me.User)
				refused(t, err, domain.Forbidden, "only")
				_, err = w.meets.ChangeRole(t.Context(), ada, m, string(me.User), next)
				ok(t, err)
				ok(t, w.meets.Remove(t.Context(), ada, m, string(me.User)))
			}
		}
	}
}

func TestMeetingIsNeverWithoutHost(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada, grace, observer)
	refused(t, w.meets.Remove(t.Context(), ada, m, string(ada.User)), domain.Conflict, "transfer the meeting first")
	_, err := w.meets.ChangeRole(t.Context(), ada, m, string(ada.User), observer)
	refused(t, err, domain.Conflict, "transfer the meeting first")
	_, err = w.meets.ChangeRole(t.Context(), ada, m, string(grace.User), host)
	refused(t, err, domain.Forbidden, "below your own")
	_, err = w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "x@example.org", Role: host})
	refused(t, err, domain.Forbidden, "below your own")

	before := w.db.Committed()
	after, err := w.meets.Transfer(t.Context(), ada, m, grace.User)
	if err != nil || after.Viewer.Role != cohost || after.Organizer != ada.User {
		t.Errorf("%+v, %v", after, err)
	}
	if got := w.db.Committed(); got != before+1 {
		t.Errorf("the transfer took %d numbers, not 1", got-before)
	}
	if got := w.in(m, ada); got != "ada cohost, grace host" {
		t.Error(got)
	}
	_, err = w.meets.Transfer(t.Context(), ada, m, ada.User)
	refused(t, err, domain.Forbidden, "only the host")
	ok(t, w.meets.Remove(t.Context(), grace, m, string(ada.User)))
	if got := w.told(m); got != "meetings.transferred participants.removed" {
		t.Error(got)
	}
}

func TestWhatChangesNothingIsNoEvent(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada, grace, observer)
	before := w.db.Committed()
	g, err := w.meets.ChangeRole(t.Context(), ada, m, string(grace.User), observer)
	if err != nil || g.Role != observer || g.Card.DisplayName != "grace" {
		t.Errorf("%+v, %v", g, err)
	}
	_, err = w.meets.Transfer(t.Context(), ada, m, ada.User)
	ok(t, err)
	title := " Plan "
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{Title: &title})
	ok(t, err)
	if got := w.db.Committed(); got != before || w.told(m) != "" {
		t.Errorf("%d numbers were taken, %q was told", got-before, w.told(m))
	}
}

func TestAddressesAreComparedInOneForm(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	m := w.plan(ada)
	for i, c := range []struct{ address, says string }{
		{"new@example.org", ""},
		{" NEW@Example.ORG\n", "invited already"},
		{"a@" + strings.Repeat("b", users.MaxEmail-2), ""},
		{"a@" + strings.Repeat("b", users.MaxEmail-1), "e-mail address"},
		{"New <new@example.org>", "e-mail address"},
		{"<new@example.org>", "e-mail address"},
		{"new@example.org (me)", "e-mail address"},
		{"new@example.org, other@example.org", "e-mail address"},
		{"new", "e-mail address"},
		{" ", "e-mail address"},
		{"ADA@EXAMPLE.COM", "is yourself"},
	} {
		_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: c.address, Role: observer})
		if got := fmt.Sprint(err); !strings.Contains(got, c.says) || (c.says == "") != (err == nil) {
			t.Errorf("%d: %q: %v, want %q", i, c.address, err, c.says)
		}
	}
}

func TestOnlyVerifiedAddressClaims(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	m := w.plan(ada)
	_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: cohost})
	ok(t, err)
	id := users.Identity{Subject: "user_grace", Email: "Grace@Example.com"}
	grace := w.arriveAs(id)
	if got := w.in(m, ada); got != "ada host, ? cohost" {
		t.Errorf("an address that nobody has verified: %s", got)
	}
	w.arriveAs(users.Identity{Subject: "user_other", Email: "grace@example.org", EmailVerified: true})
	if got := w.in(m, ada); got != "ada host, ? cohost" {
		t.Errorf("another address: %s", got)
	}
	before := w.db.Stats().Commits
	id.EmailVerified = true
	w.arriveAs(id)
	if got := w.in(m, grace); got != "ada host, Grace cohost" || w.db.Stats().Commits != before+1 {
		t.Errorf("the address is verified: %s, in %d commits", got, w.db.Stats().Commits-before)
	}
	if got := w.told(m); got != "participants.invited participants.claimed" {
		t.Error(got)
	}
	before = w.db.Stats().Commits
	w.arriveAs(id)
	if got := w.db.Stats().Commits; got != before {
		t.Error("the second sign-in wrote something")
	}
	if n := w.number(`SELECT count(*) FROM users WHERE email = 'Grace@Example.com'`); n != 1 {
		t.Error("the address is not kept as it was told")
	}
}

func TestNeitherDeactivatedNorOldNewsClaims(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	m := w.plan(ada)
	_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: cohost})
	ok(t, err)
	id := users.Identity{Subject: "user_grace"}
	grace := w.arriveAs(id)
	id.Email, id.EmailVerified = "grace@example.com", true
	id.At = noon.Add(-time.Second)
	_, err = w.people.SignIn(t.Context(), id)
	ok(t, err)
	if got := w.in(m, ada); got != "ada host, ? cohost" {
		t.Errorf("what was true before: %s", got)
	}
	w.exec(`UPDATE users SET active = 0 WHERE id = ?`, grace.User)
	w.arriveAs(id)
	if got := w.in(m, ada); got != "ada host, ? cohost" {
		t.Errorf("deactivated: %s", got)
	}
	w.exec(`UPDATE users SET active = 1 WHERE id = ?`, grace.User)
	w.arriveAs(id)
	if got := w.in(m, ada); got != "ada host, User cohost" {
		t.Errorf("active again: %s", got)
	}
}

func TestClaimLeavesMembersAsTheyAre(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	grace := w.arriveAs(users.Identity{Subject: "user_grace", Email: "grace@example.com"})
	m := w.plan(ada, grace, observer)
	_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: cohost})
	ok(t, err)
	w.arriveAs(users.Identity{Subject: "user_grace", Email: "grace@example.com", EmailVerified: true})
	if got := w.in(m, ada); got != "ada host, grace observer" {
		t.Error(got)
	}
}

// Nothing tells whether an address has an account, until whoever has it comes.
func TestAddressOfAStrangerWaitsUntilTheyCome(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	strangers := []users.Identity{{Subject: "user_grace", Email: "grace@example.com", EmailVerified: true}, {Subject: "user_linus", Email: "linus@example.com", EmailVerified: true}}
	grace, linus := w.arriveAs(strangers[0]), w.arriveAs(strangers[1])
	m := w.plan(ada)
	for _, email := range []string{"grace@example.com", "linus@example.com", "nobody@example.com"} {
		g, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: email, Role: observer})
		if err != nil || g.User != "" || g.Invitation == "" || g.Card.DisplayName != "" {
			t.Errorf("%s: %+v, %v", email, g, err)
		}
	}
	// Who is in by their id as well is told of no more than the others.
	if _, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{User: linus.User, Role: cohost}); err != nil {
		t.Error(err)
	}
	_, err := w.meets.Get(t.Context(), grace, m)
	refused(t, err, domain.NotFound, "no such meeting")

	ok(t, w.people.Seen(t.Context(), []users.Sighting{{User: ada.User, At: noon}, {User: grace.User, At: noon}}))
	if _, err := w.meets.Get(t.Context(), grace, m); err != nil {
		t.Errorf("who was seen: %v", err)
	}
	if got := w.in(m, ada); strings.Count(got, "?") != 2 || strings.Count(got, ",") != 4 {
		t.Errorf("%s, want three members and two invitations", got)
	}
	w.arriveAs(strangers[1])
	if all, err := w.meets.Addresses(t.Context(), ada, m); err != nil || len(all) != 1 || all[0].Email != "nobody@example.com" || all[0].By != ada.User {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = w.meets.Addresses(t.Context(), grace, m)
	refused(t, err, domain.Forbidden, "")
	if n := w.number(`SELECT count(*) FROM participants WHERE meeting_id = ? AND user_id = ? AND role = 'cohost'`, m, linus.User); n != 1 {
		t.Error("who was a cohost is one no more")
	}
}

func TestAddressOfAColleagueIsAMemberAtOnce(t *testing.T) {
	w := newTown(t)
	people := map[string]domain.Actor{}
	for name, org := range map[string]string{"ada": "org_1", "grace": "org_1", "eve": "org_2"} {
		people[name] = w.arriveAs(users.Identity{Subject: "user_" + name, Email: name + "@example.com", EmailVerified: true, Org: org})
	}
	m := w.plan(people["ada"])
	for name, member := range map[string]bool{"grace": true, "eve": false} {
		g, err := w.meets.Invite(t.Context(), people["ada"], m, meetings.Invitation{Email: name + "@example.com", Role: observer})
		if err != nil || (g.User == people[name].User) != member || (g.Invitation == "") != member {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestInvitationIsChangedAndWithdrawn(t *testing.T) {
	w := newTown(t)
	ada, linus := w.arrive("ada"), w.arrive("linus")
	m, other := w.plan(ada, linus, cohost), w.plan(ada)
	g, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: cohost})
	if err != nil || g.Invitation == "" || g.User != "" || g.Status != participants.Invited {
		t.Fatalf("%+v, %v", g, err)
	}
	id := string(g.Invitation)
	_, err = w.meets.ChangeRole(t.Context(), linus, m, id, observer)
	refused(t, err, domain.Forbidden, "below your own")
	_, err = w.meets.ChangeRole(t.Context(), ada, other, id, observer)
	refused(t, err, domain.NotFound, "no such participant")
	_, err = w.meets.Transfer(t.Context(), ada, m, domain.UserID(id))
	refused(t, err, domain.Invalid, "no member")
	g, err = w.meets.ChangeRole(t.Context(), ada, m, id, observer)
	if err != nil || g.Role != observer || string(g.Invitation) != id {
		t.Errorf("%+v, %v", g, err)
	}
	ok(t, w.meets.Remove(t.Context(), linus, m, id))
	refused(t, w.meets.Remove(t.Context(), linus, m, id), domain.NotFound, "no such participant")
	grace := w.arrive("grace")
	_, err = w.meets.Get(t.Context(), grace, m)
	refused(t, err, domain.NotFound, "no such meeting")
}

func TestClaimOfManyInvitationsIsCut(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	const many = 2*participants.MaxClaimed + 1
	for range many {
		_, err := w.meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{{Email: "grace@example.com", Role: observer}}})
		ok(t, err)
	}
	grace := w.arrive("grace")
	for _, want := range []int64{participants.MaxClaimed, 2 * participants.MaxClaimed, many} {
		if n := w.number(`SELECT count(*) FROM participants WHERE user_id = ?`, grace.User); n != want {
			t.Errorf("%d of %d claimed, want %d", n, many, want)
		}
		if left := len(w.more) == 1; left != (want < many) {
			t.Errorf("%v are left at %d", w.more, want)
		}
		w.more = nil
		ok(t, w.db.Write(t.Context(), func(tx *db.WriteTx) error {
			more, err := w.meets.Claim(tx, grace.User, "grace@example.com")
			if more {
				w.more = append(w.more, "grace@example.com")
			}
			return err
		}))
	}
}

func TestMeetingHasRoomForSoMany(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
		INSERT INTO invitations (meeting_id, id, email, role, invited_by, created_at)
		SELECT ?1, 'inv_' || i, 'x' || i, 'observer', ?2, 0 FROM n`, m, ada.User, participants.MaxMembers-2)
	_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{User: grace.User, Role: observer})
	ok(t, err)
	for _, i := range []meetings.Invitation{{Email: "last@example.org", Role: observer}, {User: w.arrive("linus").User, Role: observer}} {
		_, err = w.meets.Invite(t.Context(), ada, m, i)
		refused(t, err, domain.Conflict, "at most 1000")
	}
	ok(t, w.meets.Remove(t.Context(), ada, m, "inv_1"))
	_, err = w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "last@example.org", Role: observer})
	ok(t, err)
	if guests, err := w.meets.Participants(t.Context(), ada, m); err != nil || len(guests) != participants.MaxMembers {
		t.Errorf("%d participants, %v", len(guests), err)
	}
}

func TestOneRequestInvitesSoMany(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	d := meetings.Draft{Title: "Plan"}
	for i := range meetings.MaxInvited + 1 {
		d.Invite = append(d.Invite, meetings.Invitation{Email: fmt.Sprint("a", i, "@example.org"), Role: observer})
	}
	_, err := w.meets.Create(t.Context(), ada, d)
	refused(t, err, domain.Invalid, "at most 100")
	d.Invite = d.Invite[1:]
	_, err = w.meets.Create(t.Context(), ada, d)
	ok(t, err)
	d.Invite = d.Invite[:1]
	d.Invite[0].Role = host
	_, err = w.meets.Create(t.Context(), ada, d)
	refused(t, err, domain.Invalid, "below host")
}
