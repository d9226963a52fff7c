package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

const workosKey = "sk_test_0123456789abcdef"

// grace is a user with every member that WorkOS documents, and one that it does
// not.
const grace = `{
	"object": "user",
	"id": "user_grace",
	"email": "grace@example.com",
	"email_verified": true,
	"first_name": "Grace",
	"last_name": "Hopper",
	"name": "Grace Brewster Hopper",
	"profile_picture_url": "https://pictures.example/grace",
	"external_id": "g-1906",
	"metadata": {"timezone": "America/New_York"},
	"last_sign_in_at": "2026-02-28T23:15:02.111Z",
	"locale": "en-US",
	"created_at": "2026-01-05T09:00:00.000Z",
	"updated_at": "2026-02-28T23:15:02.111Z",
	"something_new": [{"id": 1}]
}`

// workos is the part of WorkOS that is asked here: the users and the keys of
// one client.
type workos struct {
	mu      sync.Mutex // guards the rest
	people  map[string]string
	instead http.HandlerFunc // answers questions about users, unless nil
	asked   []time.Time
}

func newWorkOS() *workos { return &workos{people: map[string]string{"user_grace": grace}} }

func (s *workos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Request-Id", "req_1")
	if r.Method == http.MethodGet && r.URL.Path == "/sso/jwks/"+clientID {
		jwk, _ := jwkset.NewJWKFromKey(&keyA().PublicKey, jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgRS256, KID: "a", USE: jwkset.UseSig},
		})
		_ = json.NewEncoder(w).Encode(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
		return
	}
	s.mu.Lock()
	instead := s.instead
	if instead == nil && r.Method == http.MethodGet && r.URL.Path == "/user_management/organization_memberships" {
		s.mu.Unlock()
		_, _ = io.WriteString(w, `{"object":"list","data":[],"list_metadata":{"before":null,"after":null}}`)
		return
	}
	s.asked = append(s.asked, time.Now())
	id, found := strings.CutPrefix(r.URL.EscapedPath(), "/user_management/users/")
	person := s.people[id]
	s.mu.Unlock()
	switch {
	case instead != nil:
		instead(w, r)
	case r.Header.Get("Authorization") != "Bearer "+workosKey:
		status(http.StatusUnauthorized)(w, r)
	case r.Method != http.MethodGet, !found, person == "":
		status(http.StatusNotFound)(w, r)
	default:
		_, _ = io.WriteString(w, person)
	}
}

// status answers with a status and the body that WorkOS gives its refusals.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"message": %q}`, http.StatusText(code))
	}
}

// retryLater answers that there have been too many requests.
func retryLater(after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", after)
		status(http.StatusTooManyRequests)(w, r)
	}
}

func (s *workos) answerWith(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

func (s *workos) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// pipes is a listener whose connections stay in memory, so that the time of
// those who wait for them can be that of synctest.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// desk is a directory that asks a fake WorkOS, with its log.
type desk struct {
	*auth.WorkOSDirectory
	workos *workos
	server *httptest.Server
	log    bytes.Buffer
	secret string
}

// atDesk runs the test in a time of its own.
func atDesk(t *testing.T, key string, test func(t *testing.T, d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		line := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		d := &desk{workos: newWorkOS(), secret: key}
		d.server = &httptest.Server{Listener: line, Config: &http.Server{Handler: d.workos}}
		d.server.Start()
		defer d.server.Close()
		client := &http.Client{Transport: &http.Transport{DialContext: line.dial}}
		defer client.CloseIdleConnections()
		var err error
		d.WorkOSDirectory, err = auth.NewWorkOSDirectory(auth.WorkOSAPI{
			URL: d.server.URL + "/", Key: key, Client: client, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		test(t, d)
		if strings.Contains(d.log.String(), key) {
			t.Errorf("the key is in the log:\n%s", d.log.String())
		}
	})
}

// fails asks about grace and returns how long it took to learn nothing.
func (d *desk) fails(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	p, err := d.Person(t.Context(), "user_grace")
	wantKind(t, err, domain.Unavailable, "the identity provider cannot answer now")
	if p != (auth.Person{}) {
		t.Errorf("got %+v with an error", p)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if strings.Contains(fmt.Sprintf("%+v %v", cause, cause), d.secret) {
			t.Errorf("the key is in the error %v", cause)
		}
	}
	return time.Since(began)
}

// tells asks about grace, who is known.
func (d *desk) tells(t *testing.T) {
	t.Helper()
	p, err := d.Person(t.Context(), "user_grace")
	want := auth.Person{Email: "grace@example.com", EmailVerified: true, Name: "Grace Hopper", AvatarURL: "https://pictures.example/grace",
		ChangedAt: time.Date(2026, 2, 28, 23, 15, 2, 111e6, time.UTC)}
	if err != nil || p != want {
		t.Errorf("got %+v, %v, want %+v", p, err, want)
	}
}

func (d *desk) wantRequests(t *testing.T, want int) {
	t.Helper()
	if got := d.workos.requests(); got != want {
		t.Errorf("%d requests have reached WorkOS, want %d", got, want)
	}
}

func TestWorkOSFirstSight(t *testing.T) {
	s := newWorkOS()
	server := httptest.NewServer(s)
	defer server.Close()
	now := newClock()
	c := auth.WorkOSConfig(server.URL, clientID)
	c.Client, c.Now, c.Log = server.Client(), now.Now, slog.New(slog.DiscardHandler)
	verifier, err := auth.NewVerifier(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	directory, err := auth.NewWorkOSDirectory(auth.WorkOSAPI{URL: server.URL, Key: workosKey, Client: server.Client(), Log: c.Log})
	if err != nil {
		t.Fatal(err)
	}
	people := users.NewStore(dbtest.Open(t, func(o *db.Options) { o.Now = now.Now }))
	a := auth.NewAuthenticator(verifier, people, directory, lastSeen(t, people, now.Now))

	token := func(issuer, subject string) string {
		return good(t, now.Now(), jwt.MapClaims{"iss": issuer, "sub": subject, "client_id": clientID})
	}
	for _, issuer := range []string{server.URL, server.URL + "/", server.URL + "/user_management/" + clientID} {
		actor, err := a.Authenticate(t.Context(), token(issuer, "user_grace"))
		if err != nil || actor.Org != "org_1" || actor.OrgRole != "member" || actor.Session != "session_1" {
			t.Fatalf("issuer %s: got %+v, %v", issuer, actor, err)
		}
		me, err := people.Me(t.Context(), actor)
		if err != nil || me.Email != "grace@example.com" || me.DisplayName != "Grace Hopper" || me.AvatarURL != "https://pictures.example/grace" {
			t.Errorf("issuer %s: got %+v, %v", issuer, me, err)
		}
	}
	if s.requests() != 1 {
		t.Errorf("WorkOS was asked %d times, want once", s.requests())
	}
	_, err = a.Authenticate(t.Context(), token(server.URL, "user_nobody"))
	wantKind(t, err, domain.Unauthenticated, "does not know the user")
	_, err = a.Authenticate(t.Context(), token("https://api.workos.com", "user_grace"))
	wantKind(t, err, domain.Unauthenticated, "issuer that is not trusted")
}

func TestWorkOSPerson(t *testing.T) {
	long := "https://pictures.example/" + strings.Repeat("x", users.MaxAvatarURL)
	for name, test := range map[string]struct {
		members string // besides id and email
		want    auth.Person
	}{
		"nothing known":   {`"first_name": null, "last_name": null, "name": null, "profile_picture_url": null`, auth.Person{}},
		"first name only": {`"first_name": " Ada ", "last_name": null`, auth.Person{Name: "Ada"}},
		"last name only":  {`"first_name": "", "last_name": "Lovelace"`, auth.Person{Name: "Lovelace"}},
		"full name only":  {`"first_name": null, "last_name": null, "name": "Ada Lovelace"`, auth.Person{Name: "Ada Lovelace"}},
		"plain http":      {`"profile_picture_url": "http://pictures.example/a"`, auth.Person{AvatarURL: "http://pictures.example/a"}},
		"a script":        {`"profile_picture_url": "javascript:alert(1)"`, auth.Person{}},
		"no host":         {`"profile_picture_url": "https:///a"`, auth.Person{}},
		"a long address":  {`"profile_picture_url": "` + long + `"`, auth.Person{}},
		"verified":        {`"email_verified": true`, auth.Person{EmailVerified: true}},
		"not verified":    {`"email_verified": false`, auth.Person{}},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				d.workos.people["user_ada"] = `{"id": "user_ada", "email": "ada@example.com", ` + test.members + `}`
				test.want.Email = "ada@example.com"
				if p, err := d.Person(t.Context(), "user_ada"); err != nil || p != test.want {
					t.Errorf("got %+v, %v, want %+v", p, err, test.want)
				}
			})
		})
	}
}

func TestWorkOSSubjectStaysInItsPlace(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		for subject, path := range map[string]string{
			"a/../b?c=d#e": "/user_management/users/a%2F..%2Fb%3Fc=d%23e",
			"ä %2F":        "/user_management/users/%C3%A4%20%252F",
		} {
			d.workos.answerWith(func(w http.ResponseWriter, r *http.Request) {
				if r.RequestURI != path {
					t.Errorf("subject %q: asked for %q, want %q", subject, r.RequestURI, path)
				}
				status(http.StatusNotFound)(w, r)
			})
			_, err := d.Person(t.Context(), subject)
			wantKind(t, err, domain.NotFound, "WorkOS has no such user")
		}
	})
}

func TestWorkOSAnswerThatIsOfNoUse(t *testing.T) {
	huge := `{"id": "user_grace", "email": "grace@example.com", "x": "` + strings.Repeat("x", 8<<20) + `"}`
	for name, body := range map[string]string{
		"a page":         "<!DOCTYPE html>",
		"somebody else":  `{"id": "user_ada", "email": "ada@example.com"}`,
		"no address":     `{"id": "user_grace", "email": ""}`,
		"a huge address": `{"id": "user_grace", "email": "` + strings.Repeat("x", users.MaxEmail) + `@example.com"}`,
		"a list":         `{"object": "list", "data": [` + grace + `]}`,
		"a huge body":    huge,
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				sent := make(chan int, 1)
				d.workos.answerWith(func(w http.ResponseWriter, _ *http.Request) {
					n, _ := io.WriteString(w, body)
					sent <- n
				})
				d.fails(t)
				d.wantRequests(t, 1)
				if n := <-sent; n > 1<<20 {
					t.Errorf("%d bytes of the answer were read", n)
				}
			})
		})
	}
}

func TestWorkOSIsAskedAgainWhenItSays(t *testing.T) {
	for name, after := range map[string]string{
		"seconds": "2",
		"a date":  time.Date(2000, 1, 1, 0, 0, 2, 0, time.UTC).Format(http.TimeFormat), // synctest begins at the start of that year
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				d.workos.answerWith(func(w http.ResponseWriter, r *http.Request) {
					retryLater(after)(w, r)
					d.workos.answerWith(nil)
				})
				d.tells(t)
				d.wantRequests(t, 2)
				if pause := d.workos.asked[1].Sub(d.workos.asked[0]); pause != 2*time.Second {
					t.Errorf("asked again after %v, want 2s", pause)
				}
			})
		})
	}
}

// A pause that no request can wait for is kept all the same: nobody asks.
func TestWorkOSThatAsksForSilenceGetsIt(t *testing.T) {
	for after, silence := range map[string]time.Duration{
		"30":                            30 * time.Second,
		"86400":                         time.Minute,
		"99999999999999999":             time.Minute,
		"Wed, 01 Jan 2200 00:00:00 GMT": time.Minute,
	} {
		t.Run(after, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				d.workos.answerWith(retryLater(after))
				if took := d.fails(t); took > time.Second {
					t.Errorf("waited %v for nothing", took)
				}
				d.workos.answerWith(nil)
				time.Sleep(silence - time.Second)
				d.fails(t)
				d.wantRequests(t, 1)
				time.Sleep(time.Second)
				d.tells(t)
				d.tells(t)
				d.wantRequests(t, 3)
			})
		})
	}
}

func TestWorkOSFailureThatPasses(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{
		"500":                status(http.StatusInternalServerError),
		"429 without a word": status(http.StatusTooManyRequests),
		"a broken line":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(grace)))
			_, _ = io.WriteString(w, grace[:20])
		},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, workosKey, func(t *testing.T, d *desk) {
				d.workos.answerWith(func(w http.ResponseWriter, r *http.Request) {
					if d.workos.requests() == 2 {
						d.workos.answerWith(nil)
					}
					failure(w, r)
				})
				d.tells(t)
				d.wantRequests(t, 3)
			})
		})
	}
}

func TestBrokenWorkOSIsLeftAlone(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		d.workos.answerWith(status(http.StatusBadGateway))
		d.fails(t)
		d.wantRequests(t, 3)
		d.fails(t)
		d.wantRequests(t, 5)
		for range 100 {
			if took := d.fails(t); took != 0 {
				t.Fatalf("learned in %v that nobody is asked", took)
			}
		}
		d.wantRequests(t, 5)

		time.Sleep(10 * time.Second)
		d.fails(t)
		d.wantRequests(t, 6)

		d.workos.answerWith(nil)
		d.fails(t)
		time.Sleep(10 * time.Second)
		d.tells(t)
		d.workos.answerWith(status(http.StatusBadGateway))
		d.fails(t)
		d.wantRequests(t, 10)
		if log := d.log.String(); strings.Count(log, "does not answer as it should") != 2 || !strings.Contains(log, "answers again") {
			t.Errorf("the log does not tell:\n%s", log)
		}
	})
}

func TestWorkOSUserWhoIsUnknown(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		for range 20 {
			_, err := d.Person(t.Context(), "user_nobody")
			wantKind(t, err, domain.NotFound, "WorkOS has no such user")
		}
		d.wantRequests(t, 20)
		d.tells(t)
	})
}

func TestWorkOSThatRefusesTheKey(t *testing.T) {
	const wrong = "sk_live_wrong"
	atDesk(t, wrong, func(t *testing.T, d *desk) {
		d.fails(t)
		d.wantRequests(t, 1)
		d.workos.answerWith(status(http.StatusForbidden))
		d.fails(t)
		d.wantRequests(t, 2)
		if log := d.log.String(); strings.Count(log, "refuses our API key") != 2 || !strings.Contains(log, "status=401") || !strings.Contains(log, "status=403") {
			t.Errorf("the log does not tell:\n%s", log)
		}
	})
}

func TestWorkOSKeyGoesNowhereElse(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		d.workos.answerWith(func(w http.ResponseWriter, r *http.Request) {
			d.workos.answerWith(nil)
			http.Redirect(w, r, "/user_management/users/user_grace?elsewhere", http.StatusFound)
		})
		d.fails(t)
		d.wantRequests(t, 1)
	})
}

func TestSlowWorkOSIsNotWaitedFor(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		for name, slow := range map[string]http.HandlerFunc{
			"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"a drop a second": func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
					time.Sleep(time.Second)
				}
			},
		} {
			d.workos.answerWith(slow)
			if took := d.fails(t); took > 8*time.Second {
				t.Errorf("%s: waited for %v", name, took)
			}
		}
		d.workos.answerWith(nil)
		time.Sleep(10 * time.Second)
		d.tells(t)
	})
}

// Those who go away before WorkOS has answered say nothing about it.
func TestWorkOSIsNotBlamedForCallersWhoLeave(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		d.workos.answerWith(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			time.AfterFunc(time.Second, cancel)
			_, err := d.Person(ctx, "user_grace")
			wantKind(t, err, domain.Unavailable, "cannot answer now")
		}
		d.wantRequests(t, 20)
		d.workos.answerWith(nil)
		d.tells(t)
	})
}

func TestUnreachableWorkOS(t *testing.T) {
	atDesk(t, workosKey, func(t *testing.T, d *desk) {
		d.server.Close()
		if took := d.fails(t); took > 2*time.Second {
			t.Errorf("waited for %v", took)
		}
	})
}

func TestWorkOSAPIThatCannotBeAsked(t *testing.T) {
	right := auth.WorkOSAPI{URL: "https://api.workos.com", Key: workosKey, Client: &http.Client{}, Log: slog.New(slog.DiscardHandler)}
	for name, spoil := range map[string]func(a *auth.WorkOSAPI){
		"no address":    func(a *auth.WorkOSAPI) { a.URL = "" },
		"another thing": func(a *auth.WorkOSAPI) { a.URL = "ftp://api.workos.com" },
		"no key":        func(a *auth.WorkOSAPI) { a.Key = "" },
		"no client":     func(a *auth.WorkOSAPI) { a.Client = nil },
		"no log":        func(a *auth.WorkOSAPI) { a.Log = nil },
	} {
		a := right
		spoil(&a)
		if d, err := auth.NewWorkOSDirectory(a); err == nil || d != nil || strings.Contains(err.Error(), workosKey) {
			t.Errorf("%s: got %v, %v", name, d, err)
		}
	}
}
