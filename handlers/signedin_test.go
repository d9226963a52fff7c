package handlers_test

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"connvo/audit"
	"connvo/db"
)

// signIns returns what is recorded of sign-ins, also of those that no admin sees.
// Nothing is recorded afterwards.
func (s *server) signIns() (all []string) {
	s.t.Helper()
	for _, org := range []string{"org_1", "org_2"} {
		for _, l := range s.recorded(org) {
			if l.Action == audit.SessionStarted {
				all = append(all, fmt.Sprint(org, " ", l.Outcome, " ", l.Actor, " ", l.Session, " ", l.Resource, " ", l.Detail))
			}
		}
	}
	return all
}

// retold returns the token with other claims, as if the provider had issued it.
func (s *server) retold(token string, change jwt.MapClaims) string {
	s.t.Helper()
	claims := jwt.MapClaims{}
	old, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range change {
		claims[name] = value
	}
	fresh := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	fresh.Header["kid"] = old.Header["kid"]
	key, err := x509.ParsePKCS8PrivateKey(signingKey())
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := fresh.SignedString(key.(*rsa.PrivateKey))
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

func TestFirstUseOfASessionIsRecordedAsASignIn(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_phone"})
	var all sync.WaitGroup
	for range 10 { // together, as an application begins
		all.Go(func() { ada.must("GET", "/v1/me", nil, "User-Agent", "a phone") })
	}
	all.Wait()
	ada.must("GET", "/v1/meetings", nil)
	// A token of the same session that was renewed, and one that belongs to none.
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"jti": "another"})
	ada.must("GET", "/v1/me", nil)
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": ""})
	ada.must("GET", "/v1/me", nil)
	// A refused token begins nothing.
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_other", "exp": 1})
	if a := ada.do("GET", "/v1/me", nil); a.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	equalDeeds(t, s.signIns(), fmt.Sprintf("org_1 allowed %s session_phone /v1/me {}", ada.ID))
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'session.started' AND agent = 'a phone' AND address = '127.0.0.1' AND request <> ''`); n != 1 {
		t.Errorf("%d tell from where", n)
	}
}

// A restart does not make those who are signed in sign in again.
func TestSignInIsRecordedOnceForAllServers(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	s.exec(`INSERT INTO begun_sessions (session, begun_at) VALUES ('session_before', 0)`)
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_before"})
	commit := s.DB.Committed()
	ada.must("GET", "/v1/me", nil)
	if got := s.DB.Committed(); got != commit {
		t.Errorf("%d writes", got-commit)
	}
	equalDeeds(t, s.signIns())
}

func TestSignInThatCannotBeRecordedIsNone(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_phone"})
	s.exec(`ALTER TABLE begun_sessions RENAME TO elsewhere`)
	if a := ada.do("GET", "/v1/me", nil); a.Status < 500 || strings.Contains(string(a.Body), "ada@") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	s.exec(`ALTER TABLE elsewhere RENAME TO begun_sessions`)
	ada.must("GET", "/v1/me", nil)
	if n := len(s.signIns()); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestDevelopmentSignInIsRecorded(t *testing.T) {
	s := newServer(t)
	nobody := s.nobody()
	var grant struct {
		AccessToken string
		User        struct{ ID string }
	}
	nobody.must("POST", "/dev/token", `{"email":"ada@example.com","orgId":"org_1"}`).into(t, &grant)
	(&person{s: s, Token: grant.AccessToken}).must("GET", "/v1/me", nil) // is no second one
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	a := nobody.do("POST", "/dev/login", "email=grace%40example.com&org=org_2", form...)
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	nobody.must("GET", "/v1/me", nil, "Cookie", cookie)
	s.exec(`UPDATE users SET active = 0`)
	for path, body := range map[string][]string{
		"/dev/token": {`{"email":"ada@example.com","orgId":"org_1"}`},
		"/dev/login": append([]string{"email=grace%40example.com&org=org_2"}, form...),
	} {
		if a := nobody.do("POST", path, body[0], body[1:]...); a.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := nobody.do("POST", "/dev/token", `{"email":"no address"}`); a.Status != http.StatusUnprocessableEntity { // is a mistake
		t.Errorf("%d %s", a.Status, a.Body)
	}
	got := s.signIns()
	for i, line := range got {
		parts := strings.SplitN(line, " ", 5)
		got[i] = fmt.Sprint(parts[0], " ", parts[1], " ", parts[2] != "", " ", parts[3] != "", " ", parts[4])
	}
	const refused = `{"code":"forbidden","reason":"this user is deactivated"}`
	equalDeeds(t, got, "org_1 allowed true true /dev/token {}", "org_1 refused true true /dev/token "+refused,
		"org_2 allowed true true /dev/login {}", "org_2 refused true true /dev/login "+refused)
}

func TestRefusedReturnsOfBrowsersAreRecorded(t *testing.T) {
	s, _ := newWorkOS(t)
	b := s.browser()
	b.get("/auth/callback?code=secret&state=guessed")                                             // a state that was never begun
	b.get(strings.Replace(b.begin("ada@example.com", "/"), "code=", "x=", 1))                     // no code
	b.get(strings.Replace(b.begin("ada@example.com", "/"), "code=", "code=secret", 1))            // a code that is none
	b.get(strings.Replace(b.begin("ada@example.com", "/"), "code=", "error=access_denied&x=", 1)) // WorkOS has refused
	b.signIn("ada@example.com")
	s.exec(`UPDATE users SET active = 0, org_id = 'org_1'`)
	b.get(b.begin("ada@example.com", "/"))
	s.recorded("org_1")
	var got []string
	for _, outcome := range []string{"refused", "allowed"} {
		for i := range s.number(`SELECT count(*) FROM audit WHERE action = 'session.started' AND outcome = ?`, outcome) {
			got = append(got, s.line(`SELECT outcome || ' ' || org_id || ' ' || (actor_id <> '') || ' ' || resource || ' ' || detail FROM audit WHERE action = 'session.started' AND outcome = ? ORDER BY position LIMIT 1 OFFSET ?`, outcome, i))
		}
	}
	says := func(reason string) string {
		return fmt.Sprintf(`refused  0 /auth/callback {"code":"unauthenticated","reason":%q}`, reason)
	}
	const over = "this sign-in was begun elsewhere, was finished, or has taken longer than 10m0s; begin again at /auth/login"
	equalDeeds(t, got, says(over), says("WorkOS has signed nobody in (); begin again at /auth/login"), says("WorkOS says invalid_code: sign in again"),
		says("WorkOS has signed nobody in (access_denied); begin again at /auth/login"),
		`refused org_1 1 /auth/callback {"code":"forbidden","reason":"this user is deactivated"}`,
		"allowed  1 /auth/callback {}")
	if n := s.number(`SELECT count(*) FROM audit WHERE detail LIKE '%secret%' OR detail LIKE '%guessed%'`); n != 0 {
		t.Errorf("%d entries hold what was shown", n)
	}
}

// line returns the one text that the query answers.
func (s *server) line(query string, args ...any) (text string) {
	s.t.Helper()
	err := s.DB.Read(s.t.Context(), func(tx db.Reader) (err error) {
		text, err = db.One(tx, func(r db.Row) (s string, err error) { return s, r.Scan(&s) }, query, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// Whoever acts in somebody's place is named wherever the record names that person.
func TestTheRecordNamesWhoActsInSomebodysPlace(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_support", "act": map[string]string{"sub": "help@workos.example"}})
	meeting := ada.plan("Plan")
	ada.must("GET", meeting, nil)
	st := ada.follow(meeting)
	st.ready()
	st.close()
	ada.do("GET", "/v1/admin/flags", nil)
	// By a ticket, and by the cookie of a browser.
	st = s.nobody().follow("/v1/me?ticket=" + ada.ticket("/v1/me"))
	st.ready()
	st.close()
	cookie, who, err := s.Browsers.Open(t.Context(), ada.Token, "")
	if err != nil || who.Impersonator != "help@workos.example" {
		t.Fatalf("%+v, %v", who, err)
	}
	s.nobody().must("POST", meeting+"/cancel", nil, "Cookie", "connvo_session="+cookie.Value)
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_own", "act": nil})
	ada.must("GET", "/v1/me", nil)
	var got []string
	for _, l := range s.recorded("org_1") {
		got = append(got, fmt.Sprint(l.Action, " ", l.Session, " ", strings.Contains(l.Detail, `"impersonator":"help@workos.example"`), " ", l.Actor == ada.ID))
	}
	slices.Sort(got)
	equalDeeds(t, got, "meeting.cancelled session_support true true", "meeting.created session_support true true", "meeting.read session_support true true",
		"request.made session_support true true", "session.started session_own false true", "session.started session_support true true",
		"stream.opened session_support true true", "stream.opened session_support true true")
}

func TestAnActClaimThatIsStrangeGivesNoLongerEntry(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	ada.Token = s.retold(ada.Token, jwt.MapClaims{"sid": "session_1", "act": map[string]any{"sub": strings.Repeat("ä\"", 1000), "act": map[string]string{"sub": "deep"}}})
	st := ada.follow(live(many()...))
	st.ready()
	st.close()
	for _, l := range s.recorded("org_1") {
		if len(l.Detail) > audit.MaxDetail || !strings.HasPrefix(l.Detail, `{"impersonator":"ä`) {
			t.Errorf("%d bytes: %.80s", len(l.Detail), l.Detail)
		}
	}
}

// many returns paths whose names take more than one entry.
func many() (all []string) {
	for i := range 90 {
		all = append(all, fmt.Sprintf("/v1/meetings?limit=%d&cursor=%s", i%100+1, strings.Repeat("A", 300)))
	}
	return all
}
