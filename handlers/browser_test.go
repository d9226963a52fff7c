package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"connvo/handlers"
)

const appOrigin = "https://app.example.com"

// withOrigin returns a server whose API pages of appOrigin may use.
func withOrigin(t *testing.T) *server {
	t.Helper()
	return startServer(t, false, func(c *handlers.Config) { c.Origins = []string{"http://localhost:5173", appOrigin} })
}

// readable reports whether a browser shows the answer to a page of appOrigin.
func readable(a answer) bool {
	return a.Header.Get("Access-Control-Allow-Origin") == appOrigin && a.Header.Get("Access-Control-Allow-Credentials") == "" &&
		strings.Contains(strings.Join(a.Header["Vary"], ", "), "Origin")
}

func TestPageOfAListedOriginUsesATokenAndNoCookie(t *testing.T) {
	s := withOrigin(t)
	ada := s.signIn("ada")
	cookie := ada.cookie()
	ada.must("GET", "/v1/me", nil, "Authorization", "", "Cookie", cookie)
	ada.must("POST", "/v1/meetings", `{"title":"Plan"}`, "Authorization", "", "Cookie", cookie)
	for _, c := range []struct {
		name, method, path string
		body               any
		header             []string
		status             int
	}{
		{"a read", "GET", "/v1/me", nil, nil, 200},
		{"a write", "POST", "/v1/meetings", `{"title":"Plan"}`, nil, 201},
		{"a problem", "GET", "/v1/meetings/mtg_loc_none", nil, nil, 404},
		{"no path", "GET", "/v1/nothing", nil, nil, 404},
		{"no method", "PUT", "/v1/me", nil, nil, 405},
		{"no token", "GET", "/v1/me", nil, []string{"Authorization", ""}, 401},
		{"nothing new", "GET", "/v1/me", nil, []string{"If-None-Match", "*"}, 304},
		{"a cookie to read", "GET", "/v1/me", nil, []string{"Authorization", "", "Cookie", cookie}, 401},
		{"a cookie to write", "POST", "/v1/meetings", `{"title":"Plan"}`, []string{"Authorization", "", "Cookie", cookie}, 401},
		{"a cookie of the same site", "POST", "/v1/meetings", `{"title":"Plan"}`, []string{"Authorization", "", "Cookie", cookie, "Sec-Fetch-Site", "same-site"}, 401},
		{"a token beside a cookie", "POST", "/v1/meetings", `{"title":"Plan"}`, []string{"Cookie", cookie}, 201},
	} {
		a := ada.do(c.method, c.path, c.body, append([]string{"Origin", appOrigin, "Sec-Fetch-Site", "cross-site"}, c.header...)...)
		if a.Status != c.status || !readable(a) {
			t.Errorf("%s: %d %v %s, want %d", c.name, a.Status, a.Header, a.Body, c.status)
		}
	}
	// Signing out by somebody else's page does not end the cookie's session.
	if out := ada.must("POST", logoutPath, nil, "Authorization", "", "Cookie", cookie, "Origin", appOrigin); out.Header.Get("Set-Cookie") != "" {
		t.Errorf("somebody else's page takes the cookie away: %v", out.Header)
	}
	ada.must("GET", "/v1/me", nil, "Authorization", "", "Cookie", cookie)

	st := s.nobody().follow("/v1/me?ticket="+ada.ticket("/v1/me"), "Origin", appOrigin, "Sec-Fetch-Site", "cross-site")
	st.ready()
	ended := s.nobody().do("GET", "/v1/me?ticket="+strings.Repeat("A", 26), nil, "Origin", appOrigin, "Accept", "text/event-stream")
	if ended.Status != http.StatusNoContent || !readable(ended) {
		t.Errorf("a spent ticket: %d %v", ended.Status, ended.Header)
	}
	exposed := ada.do("GET", "/v1/me", nil, "Origin", appOrigin).Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Connvo-Commit", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Idempotency-Replayed", "X-Request-Id"} {
		if !strings.Contains(exposed+",", name+",") {
			t.Errorf("%s is not exposed: %s", name, exposed)
		}
	}
}

func TestPageOfAnotherOriginReadsAndWritesNothing(t *testing.T) {
	for name, s := range map[string]*server{"a list": withOrigin(t), "no list": newServer(t)} {
		ada := s.signIn("ada")
		cookie := ada.cookie()
		for _, origin := range []string{"https://evil.example.com", "http://app.example.com", "https://app.example.com.evil.example", "null", "", "https://app.example.com, https://evil.example.com"} {
			header := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
			if a := ada.do("POST", "/v1/meetings", `{"title":"Plan"}`, header...); a.Status != 403 || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %q writes: %d %v", name, origin, a.Status, a.Header)
			}
			if a := ada.do("GET", "/v1/me", nil, append(header, "Authorization", "", "Cookie", cookie)...); a.Status != 401 || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %q reads by cookie: %d %v", name, origin, a.Status, a.Header)
			}
			a := ada.do("OPTIONS", "/v1/meetings", nil, append(header, "Access-Control-Request-Method", "POST")...)
			if a.Status != 405 || a.Header.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s, %q asks: %d %v", name, origin, a.Status, a.Header)
			}
		}
		// The server's own page, and what is no browser.
		for _, header := range [][]string{{"Origin", s.URL, "Sec-Fetch-Site", "same-origin"}, {"Origin", s.URL}, {"Sec-Fetch-Site", "none"}, {}} {
			ada.must("POST", "/v1/meetings", `{"title":"Plan"}`, append(header, "Authorization", "", "Cookie", cookie)...)
			ada.must("GET", "/v1/me", nil, append(header, "Authorization", "", "Cookie", cookie)...)
		}
	}
}

func TestPreflight(t *testing.T) {
	s := withOrigin(t)
	a := s.nobody().do("OPTIONS", "/v1/meetings/mtg_1", nil, "Origin", appOrigin,
		"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,content-type")
	if a.Status != http.StatusNoContent || !readable(a) || a.Header.Get("Access-Control-Max-Age") != "7200" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	for _, r := range s.API.Routes() {
		if !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), r.Method) {
			t.Errorf("pages may not %s", r.Method)
		}
	}
	for _, name := range []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Prefer"} {
		if !strings.Contains(a.Header.Get("Access-Control-Allow-Headers")+",", name+",") {
			t.Errorf("pages may not send %s", name)
		}
	}
	if a := s.nobody().do("OPTIONS", "/v1/meetings", nil, "Origin", appOrigin); a.Status != 405 {
		t.Errorf("OPTIONS that is no preflight: %d", a.Status)
	}
}

func TestOriginsThatMayBeListed(t *testing.T) {
	for _, good := range []string{"https://app.example.com", "https://app.example.com:8443", "http://localhost:5173", "http://localhost", "http://127.0.0.1:3000", "http://[::1]:3000"} {
		if err := handlers.CheckOrigin(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"*":                         "every site",
		"https://*.example.com":     "every site",
		"null":                      "scheme",
		"":                          "scheme",
		"app.example.com":           "scheme",
		"https://":                  "scheme",
		"https://app.example.com/":  "scheme",
		"https://App.example.com":   "lower case",
		"https://me@example.com":    "scheme",
		"https://example.com:443":   "port",
		"http://localhost:80":       "port",
		"http://app.example.com":    "https",
		"ftp://localhost":           "https",
		"http://localhost.evil.com": "https",
	} {
		if err := handlers.CheckOrigin(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
}

func TestEveryAnswerProtectsItsReader(t *testing.T) {
	open := newServer(t)
	secure := startServer(t, false, func(c *handlers.Config) { c.Secure = true })
	for _, s := range []*server{open, secure} {
		ada := s.signIn("ada")
		for _, path := range []string{"/", "/docs", "/dev/login", "/assets/home.js", "/assets/swagger-ui.css", "/openapi.json", "/healthz", "/v1/me", "/v1/nothing", "/nothing"} {
			h := ada.do("GET", path, nil).Header
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if h.Get(name) != want {
					t.Errorf("%s: %s is %q", path, name, h.Get(name))
				}
			}
			policy := h.Get("Content-Security-Policy")
			if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.HasPrefix(policy, "default-src ") || strings.Contains(policy, "unsafe") || len(h["Content-Security-Policy"]) != 1 {
				t.Errorf("%s: Content-Security-Policy is %q", path, policy)
			}
			if p := h.Get("Permissions-Policy"); !strings.Contains(p, "camera=(self), microphone=(self), display-capture=(self)") {
				t.Errorf("%s: Permissions-Policy is %q", path, p)
			}
			if got := h.Get("Strict-Transport-Security") != ""; got != (s == secure) {
				t.Errorf("%s: Strict-Transport-Security is %q", path, h.Get("Strict-Transport-Security"))
			}
		}
		st := ada.follow("/v1/me")
		st.ready()
	}
}
