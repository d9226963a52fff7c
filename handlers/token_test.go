package handlers_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// forged returns tokens that must be refused, by what is wrong with them, each
// made of one that is good.
func forged(t *testing.T, good string) map[string]string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(method jwt.SigningMethod, key any) string {
		t.Helper()
		fresh := jwt.NewWithClaims(method, parsed.Claims)
		fresh.Header["kid"] = parsed.Header["kid"]
		signed, err := fresh.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	part := strings.Split(good, ".")
	claims, err := json.Marshal(jwt.MapClaims{"sub": "user_other", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"another key":             sign(jwt.SigningMethodRS256, key),
		"a shared secret":         sign(jwt.SigningMethodHS256, []byte("secret")),
		"no signature":            sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"other claims":            part[0] + "." + base64.RawURLEncoding.EncodeToString(claims) + "." + part[2],
		"truncated":               good[:len(good)-1],
		"without signature":       part[0] + "." + part[1] + ".",
		"without its last part":   part[0] + "." + part[1],
		"one part":                part[0],
		"something after it":      good + "A",
		"something before it":     "A" + good,
		"longer than any token":   good + strings.Repeat("A", 9000),
		"two tokens":              good + "," + good,
		"a character of no token": good[:20] + "%" + good[21:],
	}
}

func TestTokenThatIsNotOursIsRefused(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	before := s.rows()
	refused := func(name string, header ...string) {
		t.Helper()
		for _, accept := range []string{"application/json", "text/event-stream"} {
			a := s.nobody().do("GET", "/v1/me", nil, append(header, "Accept", accept)...)
			if a.Status != http.StatusUnauthorized || a.code() != "unauthenticated" || a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
			}
			if strings.Contains(string(a.Body), ada.Token[:40]) {
				t.Errorf("%s: the answer quotes the token", name)
			}
		}
	}
	for name, token := range forged(t, ada.Token) {
		refused(name, "Authorization", "Bearer "+token)
		refused(name+", in the cookie", "Cookie", "connvo_session="+token)
	}
	refused("a token in the cookie", "Cookie", "connvo_session="+ada.Token)
	refused("no scheme", "Authorization", ada.Token)
	refused("Basic", "Authorization", "Basic "+ada.Token)
	refused("only a scheme", "Authorization", "Bearer ")
	// A header that is wrong is not made good by a cookie.
	refused("a bad header and a good cookie", "Authorization", "Basic YTpi", "Cookie", ada.cookie())
	refused("a parameter", "X-Token", ada.Token)
	if a := s.nobody().do("GET", "/v1/me?access_token="+ada.Token, nil); a.Status != http.StatusUnauthorized {
		t.Errorf("a token in the URL: %d %s", a.Status, a.Body)
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
	for _, header := range [][]string{
		{"Authorization", "bearer " + ada.Token},
		{"Authorization", "BEARER  " + ada.Token},
		{"Cookie", ada.cookie()},
		{"Cookie", "other=1; " + ada.cookie()},
	} {
		if a := s.nobody().do("GET", "/v1/me", nil, header...); a.Status != http.StatusOK {
			t.Errorf("%.30s: %d %s", header, a.Status, a.Body)
		}
	}
	if strings.Contains(s.Log.String(), ada.Token[:40]) {
		t.Error("the log quotes the token")
	}
}

func TestTokenIsRefusedOnceItHasExpired(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	ada.must("GET", "/v1/me", nil)
	s.Clock.Advance(11*time.Hour + 59*time.Minute)
	ada.must("GET", "/v1/me", nil)
	s.Clock.Advance(2 * time.Minute)
	if a := ada.do("GET", "/v1/me", nil); a.Status != http.StatusUnauthorized || a.code() != "unauthenticated" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if again := s.signIn("ada"); again.do("GET", "/v1/me", nil).Status != http.StatusOK {
		t.Error("a new token is refused")
	}
}

// TestWriteOfAnotherSiteIsRefused sends what a browser would send for a page of
// another site: the cookie goes along, the write does not happen.
func TestWriteOfAnotherSiteIsRefused(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	cookie := ada.cookie()
	before := s.rows()
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		for _, path := range []string{"/v1/meetings", "/dev/token", "/dev/login"} {
			a := s.nobody().do("POST", path, `{"title":"Plan","email":"eve@example.com"}`, append(header, "Cookie", cookie)...)
			if a.Status != http.StatusForbidden || a.code() != "forbidden" {
				t.Errorf("POST %s, %v: %d %s", path, header, a.Status, a.Body)
			}
		}
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Site", "none"},
		{"Origin", s.URL},
	} {
		a := s.nobody().do("POST", "/v1/meetings", `{"title":"Plan"}`, append(header, "Cookie", cookie)...)
		if a.Status != http.StatusCreated {
			t.Errorf("POST, %v: %d %s", header, a.Status, a.Body)
		}
	}
	// A cookie that comes along for another site does not even read, and there is
	// no CORS header.
	a := s.nobody().do("GET", "/v1/me", nil, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Cookie", cookie)
	if a.Status != http.StatusUnauthorized || a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("GET: %d %v", a.Status, a.Header)
	}
}

func TestDevelopmentProviderAnswersThisMachineOnly(t *testing.T) {
	s := newServer(t)
	before := s.rows()
	for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1:8080", "localhost:", "[::1", "0.0.0.0"} {
		for _, r := range [][2]string{{"POST", "/dev/token"}, {"POST", "/dev/login"}, {"GET", "/dev/login"}} {
			var body any
			if r[0] == "POST" {
				body = `{"email":"eve@example.com"}`
			}
			r := s.nobody().request(t.Context(), r[0], r[1], body)
			r.Host = host
			a, err := s.send(r)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != http.StatusForbidden && a.Status != http.StatusBadRequest {
				t.Errorf("%s %s at %s: %d %s", r.Method, r.URL.Path, host, a.Status, a.Body)
			}
		}
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
	for _, host := range []string{"localhost", "localhost:9", "127.0.0.1:8080", "[::1]:8080"} {
		if a := s.nobody().do("POST", "/dev/token", `{"email":"ada@example.com"}`, "Host", host); a.Status != http.StatusOK {
			t.Errorf("at %s: %d %s", host, a.Status, a.Body)
		}
	}
}

func TestLoginReturnsToThisOriginOnly(t *testing.T) {
	s := newServer(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for to, want := range map[string]string{
		"":                              "/",
		"/docs":                         "/docs",
		"/?a=b%26c":                     "/?a=b&c",
		"//evil.example":                "/",
		"///evil.example":               "/",
		"/%5Cevil.example":              "/",
		"/%09/evil.example":             "/",
		"/%0A/evil.example":             "/",
		"%5C%5Cevil.example":            "/",
		"https://evil.example":          "/",
		"evil.example":                  "/",
		"javascript:alert(1)":           "/",
		"%20//evil.example":             "/",
		"/%7F/evil.example":             "/",
		"/%01evil.example":              "/",
		"/" + strings.Repeat("x", 1024): "/",
	} {
		a := s.nobody().do("POST", "/dev/login", "email=ada%40example.com&returnTo="+to, form...)
		if got := a.Header.Get("Location"); a.Status != http.StatusSeeOther || got != want {
			t.Errorf("%.40q: %d to %q, want %q", to, a.Status, got, want)
		}
		cookie := a.Header.Get("Set-Cookie")
		for _, part := range []string{"connvo_session=", "HttpOnly", "SameSite=Lax", "Path=/"} {
			if !strings.Contains(cookie, part) {
				t.Errorf("the cookie %q has no %s", cookie, part)
			}
		}
	}
	page := s.nobody().do("GET", `/dev/login?returnTo=%22%3E%3Cscript%3Ealert(1)%3C/script%3E`, nil)
	if strings.Contains(string(page.Body), "<script>alert") {
		t.Errorf("the page holds what it was sent: %s", page.Body)
	}
	if a := s.nobody().do("POST", "/dev/login", "email=nobody", form...); a.Status != http.StatusUnprocessableEntity || a.code() != "validation_failed" {
		t.Errorf("a wrong address: %d %s", a.Status, a.Body)
	}
}

// TestNoSpellingOfAPathAvoidsTheToken asks without a token, in ways that a
// client library would not let through.
func TestNoSpellingOfAPathAvoidsTheToken(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{
		"/v1/me", "/%761/me", "/v1/%6de", "//v1/me", "/./v1/me", "/docs/../v1/me", "/v1//me", "/v1/me/.", "/V1/me", "/v1%2Fme",
		"/v1/me;x=1", "/v1/me?", "/v1/me#x", "http://localhost/v1/me", "http://localhost//v1/me",
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get"} {
			r := s.raw(t, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			redirect := r.StatusCode > 300 && r.StatusCode < 309 && strings.HasPrefix(r.Header.Get("Location"), "/v1/me")
			if r.StatusCode < 400 && !redirect {
				t.Errorf("%s %s: %d %v", method, path, r.StatusCode, r.Header)
			}
		}
	}
}
