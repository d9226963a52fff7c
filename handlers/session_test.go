package handlers_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"connvo/audit"
)

const logoutPath = "/auth/logout"

// ended is how many sessions have ended.
func (s *server) ended() int64 { return s.number(`SELECT count(*) FROM ended_sessions`) }

// signsOut fails the test unless the answer says that nobody is signed in now.
func signsOut(t *testing.T, name string, a answer) {
	t.Helper()
	cookie := a.Header.Get("Set-Cookie")
	for _, part := range []string{"connvo_session=;", "Path=/", "Max-Age=0", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("%s: the cookie %q has no %s", name, cookie, part)
		}
	}
	if a.Status != http.StatusNoContent || len(a.Body) > 0 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
	}
}

// in fails the test unless the person's token, and these cookies, are believed,
// or refused, plain and live.
func (p *person) in(t *testing.T, believed bool, cookies ...string) {
	t.Helper()
	headers := [][]string{{"Authorization", "Bearer " + p.Token}}
	for _, c := range cookies {
		headers = append(headers, []string{"Authorization", "", "Cookie", c})
	}
	for _, header := range headers {
		a := p.do("GET", "/v1/me", nil, header...)
		if believed != (a.Status == http.StatusOK) {
			t.Errorf("%s: %d %s, want it believed %v", header[0], a.Status, a.Body, believed)
		}
		if a.Status == http.StatusOK {
			continue
		}
		live := p.do("GET", "/v1/me", nil, append(header, "Accept", "text/event-stream")...)
		write := p.do("POST", "/v1/meetings", `{"title":"Plan"}`, header...)
		for _, a := range []answer{a, live, write} {
			if a.Status != http.StatusUnauthorized || a.code() != "unauthenticated" || !strings.Contains(string(a.Body), "the session has ended") {
				t.Errorf("%s: %d %s", header[0], a.Status, a.Body)
			}
		}
	}
}

func TestLogoutEndsTheSessionOfTheToken(t *testing.T) {
	s := newServer(t)
	laptop, phone, grace := s.signIn("ada"), s.signIn("ada"), s.signIn("grace")
	if laptop.ID != phone.ID || laptop.Token == phone.Token {
		t.Fatal("these are not two sessions of one person")
	}
	cookie, other := laptop.cookie(), phone.cookie()
	laptop.in(t, true, cookie)
	signsOut(t, "bearer", laptop.do("POST", logoutPath, nil))
	laptop.in(t, false, cookie)
	phone.in(t, true, other)
	grace.in(t, true)
	if n := s.ended(); n != 1 {
		t.Errorf("%d sessions have ended", n)
	}
	signsOut(t, "twice", laptop.do("POST", logoutPath, nil))
	s.signIn("ada").in(t, true)
}

func TestLogoutEndsTheSessionOfTheCookie(t *testing.T) {
	s := newServer(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	login := s.nobody().do("POST", "/dev/login", "email=ada%40example.com", form...)
	cookie, _, _ := strings.Cut(login.Header.Get("Set-Cookie"), ";")
	read := func() answer { return s.nobody().do("GET", "/v1/me", nil, "Cookie", cookie) }
	if a := read(); a.Status != http.StatusOK {
		t.Errorf("before: %d %s", a.Status, a.Body)
	}
	signsOut(t, "cookie", s.nobody().do("POST", logoutPath, nil, "Cookie", cookie, "Sec-Fetch-Site", "same-origin", "Origin", s.URL))
	if a := read(); a.Status != http.StatusUnauthorized {
		t.Errorf("a cookie that was kept: %d %s", a.Status, a.Body)
	}

	// With two tokens, nothing is left signed in.
	header, other := s.signIn("ada"), s.signIn("grace")
	signsOut(t, "both", header.do("POST", logoutPath, nil, "Cookie", other.cookie()))
	header.in(t, false)
	other.in(t, false)
	behind := s.signIn("ada")
	signsOut(t, "behind a proxy's password", s.nobody().do("POST", logoutPath, nil,
		"Authorization", "Basic YTpi", "Cookie", behind.cookie()))
	behind.in(t, false)
}

func TestLogoutOfAnotherSiteIsRefused(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	cookie := ada.cookie()
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		a := s.nobody().do("POST", logoutPath, nil, append(header, "Cookie", cookie)...)
		if a.Status != http.StatusForbidden || a.code() != "forbidden" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%v: %d %v %s", header, a.Status, a.Header, a.Body)
		}
	}
	if a := ada.do("GET", logoutPath, nil); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
	ada.in(t, true, cookie)
}

func TestLogoutWithoutASessionIsNoError(t *testing.T) {
	s := newServer(t)
	signsOut(t, "nobody", s.nobody().do("POST", logoutPath, nil))
	ada := s.signIn("ada")
	for name, token := range forged(t, ada.Token) {
		signsOut(t, name, s.nobody().do("POST", logoutPath, nil, "Authorization", "Bearer "+token))
		signsOut(t, name, s.nobody().do("POST", logoutPath, nil, "Cookie", "connvo_session="+token))
	}
	if n := s.ended(); n != 0 {
		t.Errorf("%d sessions have ended", n)
	}
	ada.in(t, true)
}

// A token that belongs to no session stays valid, which is said; the browser
// that signed in with it is signed out all the same.
func TestLogoutWithATokenOfNoSession(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(ada.Token, claims)
	if err != nil {
		t.Fatal(err)
	}
	delete(claims, "sid")
	key, err := x509.ParsePKCS8PrivateKey(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	if ada.Token, err = parsed.SignedString(key); err != nil {
		t.Fatal(err)
	}
	cookie := ada.cookie()
	ada.in(t, true, cookie)
	a := ada.do("POST", logoutPath, nil, "Cookie", cookie)
	if a.Status != http.StatusConflict || a.code() != "conflict" || !strings.HasPrefix(a.Header.Get("Set-Cookie"), "connvo_session=;") {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	ada.in(t, true)
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", cookie); a.Status != http.StatusUnauthorized {
		t.Errorf("the cookie: %d %s", a.Status, a.Body)
	}
}

func TestLogoutOfADeactivatedUser(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	ada.deactivate()
	signsOut(t, "deactivated", ada.do("POST", logoutPath, nil))
	s.exec(`UPDATE users SET active = 1 WHERE id = ?`, ada.ID)
	ada.in(t, false)
}

// What the server could not do is not said to be done, and the cookie is still
// there to try again.
func TestLogoutThatCannotBeStoredIsNoLogout(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	cookie := ada.cookie()
	s.exec(`ALTER TABLE ended_sessions RENAME TO elsewhere`)
	a := s.nobody().do("POST", logoutPath, nil, "Cookie", cookie)
	s.exec(`ALTER TABLE elsewhere RENAME TO ended_sessions`)
	if a.Status != http.StatusInternalServerError || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	ada.in(t, true)
	if a := ada.do("POST", logoutPath+"?everywhere=true", nil); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("an unknown parameter: %d %s", a.Status, a.Body)
	}
	ada.in(t, true)
}

func TestLogoutIsInTheDocument(t *testing.T) {
	s := newServer(t)
	op := part(s.document(), "paths", logoutPath, "post")
	for _, member := range []string{"summary", "description", "operationId", "tags", "security"} {
		if part(op, member) == nil {
			t.Errorf("it has no %s", member)
		}
	}
	if part(op, "responses", "204", "headers", "Set-Cookie") == nil || part(op, "responses", "default", "content", "application/problem+json", "schema") == nil {
		t.Errorf("its answers: %v", part(op, "responses"))
	}
}

// A header's token that belongs to no session keeps nobody signed in with the
// cookie.
func TestLogoutEndsTheCookiesSessionWhateverTheHeaderIs(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(ada.Token, claims)
	if err != nil {
		t.Fatal(err)
	}
	delete(claims, "sid")
	key, err := x509.ParsePKCS8PrivateKey(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	if ada.Token, err = parsed.SignedString(key); err != nil {
		t.Fatal(err)
	}
	if a := ada.do("POST", logoutPath, nil, "Cookie", grace.cookie()); a.Status != http.StatusConflict {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	grace.in(t, false)
}

// A sign-out is recorded once, by token and by cookie, and what was not believed
// is not.
func TestSignOutsAreRecordedOnce(t *testing.T) {
	s := newServer(t)
	laptop, phone := s.signInAs("ada", "org_1", "member"), s.signInAs("ada", "org_1", "member")
	cookie, session := phone.cookie(), phone.session()
	for range 2 {
		signsOut(t, "token", laptop.do("POST", logoutPath, nil))
		signsOut(t, "cookie", s.nobody().do("POST", logoutPath, nil, "Cookie", cookie))
		signsOut(t, "no token", s.nobody().do("POST", logoutPath, nil, "Authorization", "Bearer x.y.z"))
	}
	ended := map[string]int{}
	for _, line := range s.recorded("org_1") {
		if line.Action == audit.SessionEnded && line.Actor == laptop.ID && line.Outcome == audit.Allowed {
			ended[line.Session]++
		}
	}
	if len(ended) != 2 || ended[laptop.session()] != 1 || ended[session] != 1 {
		t.Errorf("the record says of the ends of sessions: %v", ended)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'session.ended'`); n != 2 {
		t.Errorf("%d ends are recorded", n)
	}
}
