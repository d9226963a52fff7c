package auth_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"connvo/auth"
	"connvo/auth/workostest"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

// membershipsOf are all that is stored.
const membershipsOf = `SELECT coalesce(group_concat(org_id || ' ' || active || ' ' || role, ', '), '') FROM (SELECT * FROM memberships ORDER BY org_id)`

func (h *house) text(t testing.TB, query string) (s string) {
	t.Helper()
	err := h.db.Read(t.Context(), func(tx db.Reader) (err error) {
		s, err = db.One(tx, func(r db.Row) (s string, err error) { return s, r.Scan(&s) }, query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFirstSightKnowsTheMemberships(t *testing.T) {
	h := newHouse(t)
	now := h.clock.Now()
	h.directory.belong = []users.Membership{
		{Org: "org_1", Role: "admin", Active: true, At: now.Add(time.Second)},     // newer than the token, which says member
		{Org: "org_2", Role: "member", Active: true, At: now.Add(-time.Hour)},     // another
		{Org: "org_3", Role: "", Active: false, At: now.Add(-2 * 24 * time.Hour)}, // it is over
	}
	actor := h.mustAuthenticate(t, good(t, now))
	if actor.Org != "org_1" || actor.OrgRole != "admin" {
		t.Errorf("got %+v, want the role that the newest source tells", actor)
	}
	if got, want := h.text(t, membershipsOf), "org_1 1 admin, org_2 1 member, org_3 0 "; got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// What a webhook has told of somebody who was not seen yet stays where it is newer.
func TestMembershipsThatAreOlderThanAWebhookChangeNothing(t *testing.T) {
	h := newHouse(t)
	now := h.clock.Now()
	err := h.db.Write(t.Context(), func(tx *db.WriteTx) error {
		return h.people.SetMembership(tx, users.Membership{Subject: "user_1", Org: "org_1", At: now.Add(time.Second)})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.directory.belong = []users.Membership{
		{Org: "org_1", Role: "admin", Active: true, At: now},
		{Org: "org_2", Role: "member", Active: true, At: now},
	}
	if actor := h.mustAuthenticate(t, good(t, now)); actor.Org != "" || actor.OrgRole != "" {
		t.Errorf("got %+v, who has left since", actor)
	}
	if got, want := h.text(t, membershipsOf), "org_1 0 , org_2 1 member"; got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func TestNobodyIsLetInWithoutTheirMemberships(t *testing.T) {
	h := newHouse(t)
	h.directory.halves = errors.New("the second page is lost")
	token := good(t, h.clock.Now())
	_, err := h.auth.Authenticate(t.Context(), token)
	wantKind(t, err, domain.Unavailable, "the identity provider cannot answer now")
	if n := h.text(t, `SELECT count(*) || '' FROM users`); n != "0" {
		t.Errorf("%s accounts were made", n)
	}
	h.directory.halves = nil
	h.directory.belong = []users.Membership{{Org: "org_2", Role: "member", Active: true, At: h.clock.Now()}}
	h.mustAuthenticate(t, token)
	if got := h.text(t, membershipsOf); got != "org_1 1 member, org_2 1 member" {
		t.Errorf("stored %q", got)
	}
}

// membershipList answers questions about the memberships of user_grace, of which
// there are total; lost is the page that is answered 500, 0 for none.
func membershipList(total, lost int, asked *[]url.Values) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		*asked = append(*asked, q)
		if r.URL.Path != "/user_management/organization_memberships" || q.Get("user_id") != "user_grace" || q.Get("limit") != "100" {
			status(http.StatusBadRequest)(w, r)
			return
		}
		begin := 0
		if after := q.Get("after"); after != "" {
			_, _ = fmt.Sscanf(after, "om_%d", &begin)
		}
		if lost > 0 && begin/100+1 == lost {
			status(http.StatusInternalServerError)(w, r)
			return
		}
		var page []string
		for i := begin; i < min(begin+100, total); i++ {
			page = append(page, fmt.Sprintf(`{"object":"organization_membership","id":"om_%d","user_id":"user_grace","organization_id":"org_%d","organization_name":"x","status":"active",`+
				`"role":{"slug":"member"},"roles":[{"slug":"member"}],"custom_attributes":{},"user":{},"updated_at":"2026-02-28T23:15:02.111Z"}`, i+1, i))
		}
		after := "null"
		if begin+100 < total {
			after = fmt.Sprintf(`"om_%d"`, begin+100)
		}
		_, _ = io.WriteString(w, `{"object":"list","data":[`+strings.Join(page, ",")+`],"list_metadata":{"before":null,"after":`+after+`}}`)
	}
}

func TestWorkOSMembershipsArePaged(t *testing.T) {
	for name, test := range map[string]struct{ total, lost, want, asked int }{
		"none":           {0, 0, 0, 1},
		"a full page":    {100, 0, 100, 1},
		"three pages":    {250, 0, 250, 3},
		"more than most": {1000, 0, 500, 5},
		"a page is lost": {250, 2, -1, 4}, // tried three times
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				var asked []url.Values
				d.workos.answerWith(membershipList(test.total, test.lost, &asked))
				all, err := d.Memberships(t.Context(), "user_grace")
				if len(asked) != test.asked || asked[0].Get("statuses") != "active,inactive,pending" {
					t.Errorf("asked %d times, first for %v", len(asked), asked[0])
				}
				if test.want < 0 {
					wantKind(t, err, domain.Unavailable, "cannot answer now")
					return
				}
				if err != nil || len(all) != test.want {
					t.Fatalf("got %d, %v, want %d", len(all), err, test.want)
				}
				want := users.Membership{Subject: "user_grace", Org: "org_99", Role: "member", Active: true, At: time.Date(2026, 2, 28, 23, 15, 2, 111e6, time.UTC)}
				if len(all) > 99 && all[99] != want {
					t.Errorf("got %+v, want %+v", all[99], want)
				}
			})
		})
	}
}

func TestWorkOSMembershipsThatCannotBeBelieved(t *testing.T) {
	const one = `{"user_id":"user_grace","organization_id":"org_1","status":"active","role":{"slug":"member"},"updated_at":"2026-02-28T23:15:02.111Z"}`
	for name, test := range map[string]struct {
		data string
		want int // -1 for an error
	}{
		"as it should be": {one, 1},
		"somebody else's": {strings.Replace(one, "user_grace", "user_ada", 1), -1},
		"no instant":      {one + "," + strings.Replace(one, "updated_at", "x", 1), 1},
		"no organization": {one + "," + strings.Replace(one, "org_1", "", 1), 1},
		"a strange role":  {one + "," + strings.Replace(one, "member", "a b", 1), 1},
		"no list":         {`{`, -1},
	} {
		atDesk(t, workosKey, func(t *testing.T, d *desk) {
			d.workos.answerWith(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"data":[`+test.data+`],"list_metadata":{}}`)
			})
			all, err := d.Memberships(t.Context(), "user_grace")
			if (err != nil) != (test.want < 0) || (err == nil && len(all) != test.want) {
				t.Errorf("%s: got %+v, %v", name, all, err)
			}
		})
	}
}

// TestEmulatorTellsTheMemberships: the emulator's tokens name no organization at
// first, so that all that is known of memberships is what it was asked.
func TestEmulatorTellsTheMemberships(t *testing.T) {
	e := workostest.Start(t, workostest.Person{Email: "ada@example.com", EmailVerified: true})
	var orgs [2]struct{ ID string }
	for i := range orgs {
		e.Call(http.MethodPost, "/organizations", map[string]string{"name": fmt.Sprint("Org ", i)}, &orgs[i])
	}
	access, subject := signInAt(t, e, "ada@example.com")
	for i, role := range []string{"admin", "member"} {
		var m struct{ ID string }
		if got := e.Call(http.MethodPost, "/user_management/organization_memberships", map[string]string{"user_id": subject, "organization_id": orgs[i].ID, "role_slug": role}, &m); got != http.StatusCreated {
			t.Fatalf("a membership is answered %d", got)
		}
		if i == 1 {
			e.Call(http.MethodPut, "/user_management/organization_memberships/"+m.ID+"/deactivate", nil, nil)
		}
	}
	a, people, d := atEmulator(t, e)
	who, err := a.Authenticate(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := people.Me(t.Context(), who); err != nil {
		t.Error(err)
	}
	h := &house{db: d}
	got := h.text(t, membershipsOf)
	for _, want := range []string{orgs[0].ID + " 1 admin", orgs[1].ID + " 0 "} {
		if !strings.Contains(got, want) {
			t.Errorf("stored %q, which has no %q", got, want)
		}
	}
	if n := e.Count("/user_management/organization_memberships"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// atEmulator returns an authenticator of the emulator's tokens.
func atEmulator(t *testing.T, e *workostest.Emulator) (*auth.Authenticator, *users.Store, *db.DB) {
	t.Helper()
	d := dbtest.Open(t)
	people := users.NewStore(d)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	c := auth.WorkOSConfig(e.URL, "client_emulated")
	c.Client, c.Log, c.Issuers = client, slog.New(slog.DiscardHandler), []string{e.Issuer}
	v, err := auth.NewVerifier(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	directory, err := auth.NewWorkOSDirectory(auth.WorkOSAPI{URL: e.URL, Key: e.Key, Client: client, Log: c.Log})
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewAuthenticator(v, people, directory, lastSeen(t, people, d.Now)), people, d
}

// signInAt returns the token of a browser that signs in at the emulator, and whose
// it is.
func signInAt(t *testing.T, e *workostest.Emulator, email string) (access, subject string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	answer, err := client.Get(e.Issuer + "/user_management/authorize?" + url.Values{
		"client_id": {"client_emulated"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "response_type": {"code"}, "login_hint": {email},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	at, err := answer.Location()
	if err != nil {
		t.Fatal(err)
	}
	var grant struct {
		AccessToken string `json:"access_token"`
		User        struct{ ID string }
	}
	form := map[string]string{"client_id": "client_emulated", "client_secret": e.Key, "grant_type": "authorization_code", "code": at.Query().Get("code")}
	if got := e.Call(http.MethodPost, "/user_management/authenticate", form, &grant); got != http.StatusOK {
		t.Fatalf("the code is answered %d", got)
	}
	return grant.AccessToken, grant.User.ID
}
