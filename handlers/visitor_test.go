package handlers_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"connvo/auth"
	"connvo/auth/workostest"
	"connvo/domain/users"
)

// identity is who says whom a token speaks for.
type identity struct {
	tokens    auth.Config
	directory auth.Directory
	kit       *auth.AuthKit
	password  string
}

// identity returns the emulator of WorkOS, or the development provider.
func (s *server) identity(people *users.Store, workos *workostest.Emulator, log *slog.Logger) (id identity) {
	s.t.Helper()
	var err error
	if workos == nil {
		if s.Dev, err = auth.NewDevProvider(s.t.Context(), s.DB, people); err != nil {
			s.t.Fatal(err)
		}
		return identity{tokens: s.Dev.Config(s.Clock.Now), directory: s.Dev}
	}
	id.tokens = auth.WorkOSConfig(workos.URL, "client_test")
	id.tokens.Issuers, id.tokens.Client, id.tokens.Now = []string{workos.Issuer}, &http.Client{Transport: s.transport}, s.Clock.Now
	api := auth.WorkOSAPI{URL: workos.URL, Key: workos.Key, Client: id.tokens.Client, Log: log}
	if id.directory, err = auth.NewWorkOSDirectory(api); err != nil {
		s.t.Fatal(err)
	}
	if id.kit, err = auth.NewAuthKit(api, "client_test", s.URL); err != nil {
		s.t.Fatal(err)
	}
	id.password = strings.Repeat("p", auth.MinCookiePassword)
	return id
}

// cookie is the Cookie header of a browser that has signed in with the person's
// token.
func (p *person) cookie() string {
	p.s.t.Helper()
	c, _, err := p.s.Browsers.Open(p.s.t.Context(), p.Token, "")
	if err != nil {
		p.s.t.Fatal(err)
	}
	return "connvo_session=" + c.Value
}

// newWorkOS returns a server whose people sign in with an emulator that knows
// Ada, who signs in unless somebody else is asked for, and Grace.
func newWorkOS(t testing.TB) (*server, *workostest.Emulator) {
	t.Helper()
	e := workostest.Start(t,
		workostest.Person{Email: "ada@example.com", FirstName: "Ada", EmailVerified: true},
		workostest.Person{Email: "grace@example.com", FirstName: "Grace", EmailVerified: true})
	return startWith(t, false, e), e
}

// authenticatePath is where WorkOS gives tokens.
const authenticatePath = "/user_management/authenticate"

// browser keeps cookies as one does. It follows no redirects unless it visits.
type browser struct {
	s   *server
	jar *cookiejar.Jar
}

func (s *server) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s: s, jar: jar}
}

// visit follows the address, or path of the server, to where it ends.
func (b *browser) visit(address string) *http.Response {
	b.s.t.Helper()
	client := http.Client{Transport: b.s.transport, Jar: b.jar, Timeout: patience}
	return b.finish(client.Get(b.at(address)))
}

// get asks for the address, or path of the server.
func (b *browser) get(address string, header ...string) *http.Response {
	b.s.t.Helper()
	return b.send(http.MethodGet, address, header...)
}

func (b *browser) send(method, address string, header ...string) *http.Response {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, b.at(address), nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Transport: b.s.transport, Jar: b.jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b.finish(client.Do(r))
}

// finish reads the body, which is then there to be read again.
func (b *browser) finish(r *http.Response, err error) *http.Response {
	b.s.t.Helper()
	if err != nil {
		b.s.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		b.s.t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

func (b *browser) at(address string) string {
	if strings.HasPrefix(address, "/") {
		return b.s.URL + address
	}
	return address
}

// begin opens a tab that signs in, and returns where WorkOS sends it back to.
func (b *browser) begin(email, returnTo string) (callback string) {
	b.s.t.Helper()
	authorize := location(b.s.t, b.get("/auth/login?"+url.Values{"returnTo": {returnTo}}.Encode()))
	return location(b.s.t, b.get(authorize+"&login_hint="+url.QueryEscape(email)))
}

// signIn signs the browser in.
func (b *browser) signIn(email string) {
	b.s.t.Helper()
	if to := location(b.s.t, b.get(b.begin(email, "/docs"))); to != b.s.URL+"/docs" {
		b.s.t.Fatalf("signed in to %s", to)
	}
}

// location is where the answer sends the browser.
func location(t testing.TB, r *http.Response) string {
	t.Helper()
	u, err := r.Location()
	if err != nil {
		t.Fatalf("%s %s: %s %s", r.Request.Method, r.Request.URL, r.Status, text(r))
	}
	return u.String()
}

// text is the body.
func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body) // finish has read it
	return string(b)
}

// cookie is the Cookie header that signs the browser in, "" when none does.
func (b *browser) cookie() string {
	u, _ := url.Parse(b.s.URL) // the server's own
	for _, c := range b.jar.Cookies(u) {
		if c.Name == "connvo_session" {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}
