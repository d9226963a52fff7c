package users_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// told runs what the provider tells in a transaction of its own.
func (w *town) told(f func(tx *db.WriteTx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) member(subject, org, role string, active bool, at time.Time) {
	w.t.Helper()
	w.told(func(tx *db.WriteTx) error {
		return w.users.SetMembership(tx, users.Membership{Subject: subject, Org: org, Role: role, Active: active, At: at})
	})
}

func (w *town) renew(id users.Identity) {
	w.t.Helper()
	w.told(func(tx *db.WriteTx) error { return w.users.Renew(tx, id) })
}

// token signs ada in as a token does that was issued at.
func (w *town) token(org, role string, at time.Time) users.Account {
	w.t.Helper()
	a, err := w.users.SignIn(w.t.Context(), users.Identity{Subject: "user_ada", Email: "ada@example.com", Org: org, OrgRole: role, At: at})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// claims is what is stored of ada's organization and role.
func (w *town) claims() string {
	w.t.Helper()
	a, err := w.users.BySubject(w.t.Context(), "user_ada", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Org + " " + a.OrgRole
}

// seconds is the instant n seconds after the tests begin.
func (w *town) seconds(n float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

func TestNewestSourceDecidesAboutTheOrganization(t *testing.T) {
	type step func(w *town)
	token := func(org, role string, at float64) step {
		return func(w *town) {
			if a := w.token(org, role, w.seconds(at)); a.Org+" "+a.OrgRole != w.claims() {
				w.t.Errorf("the account says %+v, the database %q", a, w.claims())
			}
		}
	}
	member := func(org, role string, at float64) step {
		return func(w *town) { w.member("user_ada", org, role, true, w.seconds(at)) }
	}
	ends := func(org string, at float64) step {
		return func(w *town) { w.member("user_ada", org, "admin", false, w.seconds(at)) }
	}
	gone := func(org string, at float64) step {
		return func(w *town) {
			w.told(func(tx *db.WriteTx) error {
				_, err := w.users.RemoveOrganization(tx, org, w.seconds(at))
				return err
			})
		}
	}
	for name, c := range map[string]struct {
		steps []step
		want  string
	}{
		"a role that changes":                       {[]step{token("a", "admin", 1), member("a", "member", 2)}, "a member"},
		"a role that changed before the token":      {[]step{token("a", "admin", 3), member("a", "member", 2)}, "a admin"},
		"an older token afterwards":                 {[]step{token("a", "admin", 1), member("a", "member", 3), token("a", "admin", 2)}, "a member"},
		"a newer token afterwards":                  {[]step{token("a", "admin", 1), member("a", "member", 2), token("a", "admin", 3)}, "a admin"},
		"a membership that ends":                    {[]step{token("a", "admin", 1), ends("a", 2)}, " "},
		"an older token after the end":              {[]step{token("a", "admin", 1), ends("a", 3), token("a", "admin", 2)}, " "},
		"a token of the same second as the end":     {[]step{token("a", "admin", 1), ends("a", 2.5), token("a", "admin", 2)}, " "},
		"a membership that comes back":              {[]step{token("a", "admin", 1), ends("a", 2), member("a", "member", 3), token("a", "member", 4)}, "a member"},
		"the end comes after the return":            {[]step{token("a", "admin", 1), member("a", "member", 3), ends("a", 2)}, "a member"},
		"the return alone selects nothing":          {[]step{token("a", "admin", 1), ends("a", 2), member("a", "member", 3)}, " "},
		"events in reverse":                         {[]step{token("a", "x", 1), member("a", "member", 4), member("a", "admin", 3), member("a", "guest", 2)}, "a member"},
		"another organization's role":               {[]step{token("a", "admin", 1), member("b", "member", 2)}, "a admin"},
		"another organization's end":                {[]step{token("a", "admin", 1), ends("b", 2)}, "a admin"},
		"a token for an organization that was left": {[]step{token("a", "admin", 1), ends("b", 3), token("b", "admin", 2)}, "a admin"},
		"a token after joining it again":            {[]step{token("a", "admin", 1), ends("b", 3), token("b", "admin", 4)}, "b admin"},
		"never seen, and left already":              {[]step{ends("a", 2), token("a", "admin", 1)}, " "},
		"never seen, and another role already":      {[]step{member("a", "member", 2), token("a", "admin", 1)}, "a member"},
		"an organization that is deleted":           {[]step{token("a", "admin", 1), gone("a", 2)}, " "},
		"a token for it, however new":               {[]step{token("a", "admin", 1), gone("a", 2), token("a", "admin", 9)}, " "},
		"a membership of it, however new":           {[]step{gone("a", 2), member("a", "admin", 9), token("a", "admin", 9)}, " "},
		"no organization any more":                  {[]step{token("a", "admin", 1), token("", "", 2)}, " "},
		"twice the same":                            {[]step{token("a", "admin", 1), member("a", "member", 2), member("a", "member", 2)}, "a member"},
		"the end and a role at once":                {[]step{token("a", "admin", 1), ends("a", 2), member("a", "admin", 2), token("a", "admin", 2)}, " "},
		"a token of the instant of the end":         {[]step{token("a", "admin", 1), ends("a", 2), token("a", "admin", 2)}, " "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			for _, step := range c.steps {
				step(w)
			}
			if got := w.claims(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A token that says what something newer has denied is no news for ever: a write
// for each request of it would be a burden.
func TestATokenThatIsOutOfDateIsNewsOnce(t *testing.T) {
	w := newTown(t)
	w.token("a", "admin", w.seconds(1))
	w.member("user_ada", "b", "", false, w.seconds(3))
	a := w.token("b", "admin", w.seconds(2))
	told := func(at float64) {
		t.Helper()
		a.ClaimsAt = w.seconds(at)
		if stored, err := w.users.BySubject(t.Context(), "user_ada", ""); err != nil || stored != a {
			t.Errorf("%+v, want %+v, %v", stored, a, err)
		}
	}
	told(2)
	w.member("user_ada", "a", "member", true, w.seconds(4))
	a.OrgRole = "member"
	told(4)
	w.member("user_ada", "a", "member", true, w.seconds(5)) // which is no change
	told(5)
	w.member("user_ada", "a", "", false, w.seconds(6))
	a.Org, a.OrgRole = "", ""
	told(6)
}

func TestChangesOfRightsAreRecorded(t *testing.T) {
	w := newTown(t)
	ada := w.token("a", "admin", w.seconds(1))
	w.member("user_ada", "a", "member", true, w.seconds(2))
	w.member("user_ada", "a", "member", true, w.seconds(3)) // no change
	w.member("user_ada", "a", "", false, w.seconds(4))
	w.told(func(tx *db.WriteTx) error { return w.users.Remove(tx, "user_ada", w.seconds(5)) })
	w.told(func(tx *db.WriteTx) error { return w.users.Remove(tx, "user_ada", w.seconds(5)) })
	for query, want := range map[string]int64{
		`SELECT count(*) FROM audit`: 3,
		`SELECT count(*) FROM audit WHERE action = 'membership.changed' AND org_id = 'a' AND resource = ? AND detail = '{"active":true,"role":"member"}'`: 1,
		`SELECT count(*) FROM audit WHERE action = 'membership.changed' AND org_id = 'a' AND resource = ? AND detail = '{"active":false}'`:                1,
		`SELECT count(*) FROM audit WHERE action = 'user.deactivated' AND resource = ?`:                                                                   1,
	} {
		var args []any
		if want == 1 {
			args = []any{ada.User}
		}
		if n := w.number(query, args...); n != want {
			t.Errorf("%s: %d", query, n)
		}
	}
}

// A token that tells of another role or organization changes rights as a webhook
// does.
func TestChangesOfRightsByATokenAreRecorded(t *testing.T) {
	w := newTown(t)
	ada := w.token("a", "member", w.seconds(1))
	w.token("a", "admin", w.seconds(2))
	w.token("a", "admin", w.seconds(3))  // no change
	w.token("a", "member", w.seconds(1)) // out of date
	w.token("b", "admin", w.seconds(4))
	w.token("", "", w.seconds(5))
	for query, want := range map[string]int64{
		`SELECT count(*) FROM audit WHERE action = 'membership.changed' AND resource = ?`:                              4,
		`SELECT count(*) FROM audit WHERE org_id = 'a' AND resource = ? AND detail = '{"active":true,"role":"admin"}'`: 1,
		`SELECT count(*) FROM audit WHERE org_id = 'a' AND resource = ? AND detail = '{"active":false}'`:               1,
		`SELECT count(*) FROM audit WHERE org_id = 'b' AND resource = ? AND detail = '{"active":true,"role":"admin"}'`: 1,
		`SELECT count(*) FROM audit WHERE org_id = 'b' AND resource = ? AND detail = '{"active":false}'`:               1,
	} {
		if n := w.number(query, ada.User); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

// A session that the provider ends is recorded once, and not again where it was
// we who ended it.
func TestRevokedSessionsAreRecordedOnce(t *testing.T) {
	w := newTown(t)
	ada := w.token("a", "member", w.seconds(1))
	if err := w.users.EndSession(t.Context(), domain.Actor{User: ada.User, Session: "session_ours"}); err != nil {
		t.Fatal(err)
	}
	for _, session := range []string{"session_1", "session_1", "session_ours", "session_2"} {
		w.told(func(tx *db.WriteTx) error { return w.users.Revoke(tx, "user_ada", session) })
	}
	for _, subject := range []string{"", "user_nobody"} {
		w.told(func(tx *db.WriteTx) error { return w.users.Revoke(tx, subject, "session_of_"+subject) })
	}
	if n := w.number(`SELECT count(*) FROM audit WHERE action = 'session.ended' AND org_id = 'a' AND actor_id = '' AND resource = ?`, ada.User); n != 2 {
		t.Errorf("%d ends are recorded, want 2", n)
	}
	if n := w.number(`SELECT count(*) FROM audit`); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	if n := w.number(`SELECT count(*) FROM ended_sessions`); n != 5 {
		t.Errorf("%d sessions have ended, want 5", n)
	}
}

func TestDeletedPeopleAreGoneForGood(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "session_1")
	for _, subject := range []string{"user_ada", "user_eve"} {
		w.told(func(tx *db.WriteTx) error { return w.users.Remove(tx, subject, w.clock.Now()) })
	}
	if err := w.users.Standing(t.Context(), ada); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("%v", err)
	}
	w.clock.advance(time.Hour)
	if a := w.token("a", "admin", w.clock.Now()); a.Active {
		t.Errorf("%+v", a)
	}
	// Who was never seen does not arrive any more, though a token may be valid.
	_, err := w.users.SignIn(t.Context(), users.Identity{Subject: "user_eve", Email: "eve@example.com", At: w.clock.Now()})
	if domain.KindOf(err) != domain.Unauthenticated || w.number(`SELECT count(*) FROM users`) != 1 {
		t.Errorf("%v", err)
	}
}

func TestDeletedOrganizationLosesItsMembersInPortions(t *testing.T) {
	w := newTown(t)
	const many = 250
	w.told(func(tx *db.WriteTx) error {
		for i := range many {
			if err := w.users.SetMembership(tx, users.Membership{Subject: fmt.Sprint("user_", i), Org: "a", Role: "member", Active: true, At: w.seconds(1)}); err != nil {
				return err
			}
		}
		return w.users.SetMembership(tx, users.Membership{Subject: "user_0", Org: "b", Role: "member", Active: true, At: w.seconds(1)})
	})
	var portions []int64
	for more := true; more; {
		w.told(func(tx *db.WriteTx) (err error) {
			more, err = w.users.RemoveOrganization(tx, "a", w.seconds(2))
			return err
		})
		portions = append(portions, w.number(`SELECT count(*) FROM memberships WHERE org_id = 'a' AND active = 1`))
	}
	if len(portions) != 3 || portions[0] != 150 || portions[2] != 0 || w.number(`SELECT count(*) FROM memberships WHERE active = 1`) != 1 {
		t.Errorf("%v", portions)
	}
}

func TestProviderRenewsWhatPeopleHaveNotChosen(t *testing.T) {
	w := newTown(t)
	ada := w.token("", "", w.seconds(1))
	who := domain.Actor{User: ada.User}
	tell := func(name, picture, email string, verified bool, at float64) {
		w.renew(users.Identity{Subject: "user_ada", Name: name, AvatarURL: picture, Email: email, EmailVerified: verified, At: w.seconds(at)})
	}
	expect := func(what, name, picture, email, address string) {
		t.Helper()
		u, err := w.users.Me(t.Context(), who)
		if err != nil || u.DisplayName != name || u.AvatarURL != picture || u.Email != email {
			t.Errorf("%s: %+v, %v", what, u, err)
		}
		err = w.db.Read(t.Context(), func(tx db.Reader) error {
			found, err := users.ByAddress(tx, ada.User, address)
			if address == "" && errors.Is(err, db.ErrNone) {
				return nil
			}
			if found != ada.User {
				t.Errorf("%s: %q is the address of %q", what, address, found)
			}
			return err
		})
		if n := w.number(`SELECT count(*) FROM users WHERE address = ?`, address); n != 1 {
			t.Errorf("%s: %d people with the address %q; %v", what, n, address, err)
		}
	}
	tell("Ada L", "https://x.y/1", "ada@example.com", true, 2)
	expect("all is new", "Ada L", "https://x.y/1", "ada@example.com", "ada@example.com")
	tell("Stale", "", "stale@example.com", true, 1.5)
	expect("an older one", "Ada L", "https://x.y/1", "ada@example.com", "ada@example.com")

	before := w.number(`SELECT updated_at FROM users`)
	w.clock.advance(time.Minute)
	tell("Ada L", "https://x.y/1", "ada@example.com", true, 3)
	if after := w.number(`SELECT updated_at FROM users`); after != before {
		t.Error("signing in again, which WorkOS tells as an update, changed the person")
	}
	name := "The Countess"
	if _, err := w.users.Update(t.Context(), who, users.Change{DisplayName: &name}); err != nil {
		t.Fatal(err)
	}
	tell("Augusta L", "https://x.y/2", "Ada@Example.org", true, 4)
	expect("the name was chosen", name, "https://x.y/2", "Ada@Example.org", "ada@example.org")
	tell("Augusta L", "", "ada@example.net", false, 5)
	expect("an address that is not verified", name, "", "ada@example.net", "")
	tell("Augusta L", "", "ada@example.net", true, 6)
	expect("it is verified", name, "", "ada@example.net", "ada@example.net")
	tell("Augusta L", "", "ada@example.net", false, 6.5)
	expect("it is verified no longer", name, "", "ada@example.net", "")
	avatar := "https://x.y/mine"
	if _, err := w.users.Update(t.Context(), who, users.Change{AvatarURL: &avatar}); err != nil {
		t.Fatal(err)
	}
	tell("Augusta L", "https://x.y/3", "ada@example.net", true, 7)
	expect("the picture was chosen", name, avatar, "ada@example.net", "ada@example.net")
	w.renew(users.Identity{Subject: "user_eve", Email: "eve@example.com", At: w.seconds(1)})
	if n := w.number(`SELECT count(*) FROM users`); n != 1 {
		t.Errorf("%d people: only a token makes somebody", n)
	}
}

func TestVerifiedAddressOfAWebhookIsAnArrival(t *testing.T) {
	w := newTown(t)
	var arrived []string
	w.users = users.NewStore(w.db, func(_ *db.WriteTx, user domain.UserID, address string) error {
		arrived = append(arrived, address)
		return nil
	})
	w.token("", "", w.seconds(1))
	for i, verified := range []bool{false, true, true} {
		w.renew(users.Identity{Subject: "user_ada", Email: "Ada@example.com", EmailVerified: verified, At: w.seconds(float64(i + 2))})
	}
	if len(arrived) != 2 || arrived[0] != "ada@example.com" || arrived[1] != arrived[0] { // each time that it is verified
		t.Errorf("%q", arrived)
	}
}
