package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"connvo/auth/workostest"
	"connvo/handlers"
)

func TestBrowserSignsIn(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	page := b.visit("/auth/login?returnTo=%2Fdocs%3Fa%3Db")
	if page.StatusCode != http.StatusOK || page.Request.URL.RequestURI() != "/docs?a=b" {
		t.Fatalf("%s at %s", page.Status, page.Request.URL)
	}
	me := b.get("/v1/me")
	if body := text(me); me.StatusCode != http.StatusOK || !strings.Contains(body, `"ada@example.com"`) || !strings.Contains(body, `"Ada"`) {
		t.Errorf("%s %s", me.Status, body)
	}
	if n := s.number(`SELECT count(*) FROM sessions WHERE instr(sealed, 'ref_') = 0`); n != 1 {
		t.Errorf("%d sessions keep their refresh token sealed", n)
	}
	if n := e.Count(authenticatePath); n != 1 {
		t.Errorf("WorkOS was asked for tokens %d times", n)
	}
	again := s.browser()
	again.signIn("ada@example.com")
	if n := s.number(`SELECT count(*) FROM users`); n != 1 {
		t.Errorf("%d accounts", n)
	}
	// The same account as by token.
	if err := s.endAudit(); err != nil {
		t.Fatal(err)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'session.started'`); n != 2 {
		t.Errorf("%d sign-ins are recorded", n)
	}
}

func TestSignInSetsOneCookie(t *testing.T) {
	s, _ := newWorkOS(t)
	b := s.browser()
	login := b.get("/auth/login?returnTo=/docs")
	at, err := url.Parse(location(t, login))
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	if login.StatusCode != http.StatusFound || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 26 ||
		q.Get("redirect_uri") != s.URL+"/auth/callback" || q.Get("provider") != "authkit" {
		t.Errorf("%s to %s", login.Status, at)
	}
	back := b.get(location(t, b.get(at.String())))
	var set []string
	for _, c := range back.Cookies() {
		if !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.Secure {
			t.Errorf("the cookie %q", c.Raw)
		}
		if c.MaxAge > 0 {
			set = append(set, c.Name)
		}
	}
	if len(set) != 1 || set[0] != "connvo_session" || len(back.Cookies()) != 2 {
		t.Errorf("the cookies %v", back.Cookies())
	}
	for _, a := range []*http.Response{login, back} {
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", a.Request.URL.Path, a.Header)
		}
	}
	if u, _ := url.Parse(s.URL); len(b.jar.Cookies(u)) != 1 {
		t.Errorf("the browser keeps %v", b.jar.Cookies(u))
	}
}

func TestTabsSignInAtOnce(t *testing.T) {
	s, _ := newWorkOS(t)
	b := s.browser()
	var back [6]string
	for i := range back {
		back[i] = b.begin("ada@example.com", "/docs?tab="+string(rune('0'+i)))
	}
	// The oldest has given way.
	if a := b.get(back[0]); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the sixth tab back: %s", a.Status)
	}
	for i := 5; i > 0; i-- {
		if to := location(t, b.get(back[i])); to != s.URL+"/docs?tab="+string(rune('0'+i)) {
			t.Errorf("tab %d goes to %s", i, to)
		}
	}
}

func TestSignInOfAnotherIsRefused(t *testing.T) {
	s, e := newWorkOS(t)
	refused := func(name string, a *http.Response) {
		t.Helper()
		if body := text(a); a.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "begin again at /auth/login") {
			t.Errorf("%s: %s %s", name, a.Status, body)
		}
		for _, c := range a.Cookies() {
			if c.MaxAge > 0 {
				t.Errorf("%s: the cookie %q", name, c.Raw)
			}
		}
	}
	b := s.browser()
	back := b.begin("ada@example.com", "/")
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	of := func(change ...string) string {
		q := u.Query()
		for i := 0; i+1 < len(change); i += 2 {
			q.Set(change[i], change[i+1])
		}
		return "/auth/callback?" + q.Encode()
	}
	refused("another browser", s.browser().get(back))
	refused("another state", b.get(of("state", strings.Repeat("A", 26))))
	refused("no state", b.get(of("state", "")))
	for _, c := range b.jar.Cookies(u) {
		refused("another tab's cookie", s.browser().get(of("state", "OTHER"), "Cookie", "connvo_login_OTHER="+c.Value))
		refused("a cookie that was changed", s.browser().get(back, "Cookie", c.Name+"="+"AAAA"+c.Value[4:]))
		cookie := c.Name + "=" + c.Value
		if a := s.browser().get(of("later", "1"), "Cookie", cookie); a.StatusCode != http.StatusSeeOther {
			t.Errorf("with a parameter that is new: %s %s", a.Status, text(a))
		}
		refused("a second time", s.browser().get(back, "Cookie", cookie))
	}
	late := b.begin("ada@example.com", "/")
	s.Clock.Advance(10 * time.Minute)
	refused("too late", b.get(late))
	refused("WorkOS refuses", b.get(b.begin("nobody@example.com", "/")))
	asked := e.Count(authenticatePath)
	refused("no code", b.get(strings.Replace(b.begin("ada@example.com", "/"), "code=", "x=", 1)))
	if n := e.Count(authenticatePath); n != asked {
		t.Errorf("WorkOS was asked %d times for nothing", n-asked)
	}
	if a := b.get(strings.Replace(b.begin("ada@example.com", "/"), "code=", "code=x", 1)); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a code that is none: %s %s", a.Status, text(a))
	}
	if a := b.get("/v1/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed in all the same: %s", a.Status)
	}
}

func TestSignInWhileWorkOSIsAway(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	back := b.begin("ada@example.com", "/docs")
	e.Intercept(workostest.Down)
	if a := b.get(back); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s", a.Status, text(a))
	}
	e.Intercept(nil)
	b.signIn("ada@example.com")
}

func TestDeactivatedUserDoesNotSignIn(t *testing.T) {
	s, _ := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	s.exec(`UPDATE users SET active = 0`)
	if a := b.get("/v1/me"); a.StatusCode != http.StatusForbidden {
		t.Errorf("who was signed in: %s", a.Status)
	}
	again := s.browser()
	if a := again.get(again.begin("ada@example.com", "/")); a.StatusCode != http.StatusForbidden || again.cookie() != "" {
		t.Errorf("who signs in: %s, %q", a.Status, again.cookie())
	}
}

func TestHeaderWinsOverCookie(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	if a := grace.do("GET", "/v1/me", nil, "Cookie", ada.cookie()); !strings.Contains(string(a.Body), "grace@example.com") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", ada.cookie(), "Authorization", "Bearer x"); a.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestCookieThatWasChangedIsRefused(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	one, other := ada.cookie(), ada.cookie()
	id, _, _ := strings.Cut(one, ".")
	_, secret, _ := strings.Cut(other, ".")
	for name, c := range map[string]string{
		"another's secret": id + "." + secret, "no secret": id, "an empty secret": id + ".", "another row": "connvo_session=" + strings.Repeat("A", 26) + one[strings.Index(one, "."):],
		"more": one + "A", "empty": "connvo_session=",
	} {
		if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", c); a.Status != http.StatusUnauthorized || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", one); a.Status != http.StatusOK || !strings.Contains(a.Header.Get("Vary"), "Cookie") {
		t.Errorf("%d %v", a.Status, a.Header)
	}
}

func TestDevelopmentSignsInByTheSameDoor(t *testing.T) {
	s := newServer(t)
	a := s.nobody().do("GET", "/auth/login?returnTo=/docs", nil)
	if a.Status != http.StatusFound || a.Header.Get("Location") != "/dev/login?returnTo=%2Fdocs" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	if a := s.nobody().do("GET", "/auth/callback?code=x&state=y", nil); a.Status != http.StatusNotFound {
		t.Errorf("there is nothing to come back from: %d %s", a.Status, a.Body)
	}
	cookie := s.signIn("ada").cookie()
	s.Clock.Advance(12 * time.Hour)
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", cookie); a.Status != http.StatusUnauthorized {
		t.Errorf("the cookie outlives its token: %d %s", a.Status, a.Body)
	}
}

// Where there is https, the cookies are for https, and no other host can set
// them.
func TestCookiesAreForHTTPSOnly(t *testing.T) {
	s := startServer(t, false, func(c *handlers.Config) { c.Secure = true })
	ada := s.signIn("ada")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	a := s.nobody().do("POST", "/dev/login", "email=ada%40example.com", form...)
	set := a.Header.Get("Set-Cookie")
	for _, part := range []string{"__Host-connvo_session=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/;"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie %q has no %q", set, part)
		}
	}
	if strings.Contains(set, "Domain") {
		t.Errorf("the cookie %q is for other hosts", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", cookie); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", ada.cookie()); a.Status != http.StatusUnauthorized {
		t.Errorf("by a name that others can set: %d %s", a.Status, a.Body)
	}
	out := s.nobody().do("POST", logoutPath, nil, "Cookie", cookie)
	if gone := out.Header.Get("Set-Cookie"); !strings.HasPrefix(gone, "__Host-connvo_session=;") || !strings.Contains(gone, "Secure") {
		t.Errorf("it is taken away by %q", gone)
	}
}

// Browsers keep no cookie of more than 4096 bytes: whatever the path is, the tab
// can come back.
func TestLongestPathToReturnToFitsIntoACookie(t *testing.T) {
	s, _ := newWorkOS(t)
	for name, path := range map[string]string{"brackets": "/docs?" + strings.Repeat("<", 1018), "no UTF-8": "/docs?" + strings.Repeat("\xff", 1018)} {
		b := s.browser()
		back := b.begin("ada@example.com", path)
		u, err := url.Parse(back)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.jar.Cookies(u) {
			if n := len(c.Name) + len(c.Value); n > 4000 {
				t.Errorf("%s: the cookie has %d bytes", name, n)
			}
		}
		to, err := url.Parse(location(t, b.get(back)))
		if err != nil || to.Path != "/docs" || len(to.RawQuery) < 1018 {
			t.Errorf("%s: goes to %s, %v", name, to, err)
		}
	}
}
