package handlers_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/audit"
	"connvo/auth"
	"connvo/auth/workostest"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/analytics"
	"connvo/domain/audio"
	"connvo/domain/connections"
	talk "connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/notifications"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/handlers"
	"connvo/idempotency"
	"connvo/jobs"
	"connvo/privacy"
	"connvo/retention"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
	// second is the unit of heartbeats: ?heartbeat=1 is one in 20 ms.
	second = 20 * time.Millisecond
	// streamTime is what a client has to take an event.
	streamTime = time.Second
	// admissions is how many streams begin in a second: no test waits for that.
	admissions = 100_000
)

// server is a running server with everything real behind it: a database file,
// the development identity provider and an HTTP listener on loopback.
type server struct {
	t        testing.TB
	URL      string // of the listener, without a slash at its end
	DB       *db.DB
	API      *handlers.Server
	Dev      *auth.DevProvider
	Browsers *auth.Browsers
	Clock    *clock // of the database and of the verifier of tokens
	Log      *logged
	Audit    *audit.Log
	Inbox    *auth.Inbox  // its secret is webhookSecret
	Jobs     *jobs.Runner // of the inbox; runs in tests that start it

	endAudit  func() error // stores what waits; nothing is recorded afterwards
	http      *httptest.Server
	transport *http.Transport
	contract  contract
	finished  chan struct{} // holds a token when a request has ended
}

// newServer returns a server that stops when the test ends. At its end no live
// stream may be left. In its chats there is only what people say.
func newServer(t testing.TB) *server {
	t.Helper()
	return startServer(t, false)
}

// startServer returns a server that says in the chats what happens if it
// announces. Each change may make it another one.
func startServer(t testing.TB, announces bool, changes ...func(*handlers.Config)) *server {
	t.Helper()
	return startWith(t, announces, nil, changes...)
}

// startWith is startServer for people who sign in with the emulator, if there is
// one.
func startWith(t testing.TB, announces bool, workos *workostest.Emulator, changes ...func(*handlers.Config)) *server {
	t.Helper()
	s := &server{
		t: t, Clock: &clock{}, Log: &logged{},
		transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		finished:  make(chan struct{}, 1),
	}
	log := slog.New(slog.NewTextHandler(s.Log, nil))
	t.Cleanup(func() {
		if at := strings.Index(s.Log.String(), "msg=panic"); at >= 0 {
			t.Errorf("a request panicked: %.4000s", s.Log.String()[at:])
		}
	})
	s.DB = dbtest.Open(t, func(o *db.Options) { o.Now, o.Log = s.Clock.Now, log })
	s.Jobs = jobs.NewRunner(s.DB, log, map[string]jobs.Handler{auth.ApplyEvent: s.applyEvent})
	s.exec(`INSERT INTO dev_keys (id, private_key, created_at) VALUES ('signing', ?, 0)`, signingKey())

	happened := events.NewLog(follows(announces))
	s.Audit = audit.NewLog(s.DB, log)
	s.endAudit = sync.OnceValue(func() error { return s.Audit.Close(context.Background()) })
	meets := meetings.NewStore(s.DB, happened, "loc")
	people := users.NewStore(s.DB, func(tx *db.WriteTx, user domain.UserID, address string) error {
		_, err := meets.Claim(tx, user, address)
		return err
	})
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.URL = "http://" + s.http.Listener.Addr().String()
	id := s.identity(people, workos, log)
	verifier, err := auth.NewVerifier(t.Context(), id.tokens)
	if err != nil {
		t.Fatal(err)
	}
	seen := auth.NewLastSeen(people, s.Clock.Now, log)
	authenticator := auth.NewAuthenticator(verifier, people, id.directory, seen)
	s.Browsers = auth.NewBrowsers(authenticator, id.kit, id.password, s.Clock.Now, log)
	s.Inbox = auth.NewInbox(s.DB, people, webhookSecret, nil, log)
	config := handlers.Config{
		DB:               s.DB,
		Log:              log,
		Auth:             authenticator,
		Browsers:         s.Browsers,
		Audit:            s.Audit,
		Kept:             idempotency.NewStore(expireLater),
		Users:            people,
		Meetings:         meets,
		Messages:         messages.NewStore(s.DB, happened),
		Notes:            notes.NewStore(s.DB, happened),
		Conversation:     talk.NewStore(s.DB),
		Transcripts:      transcripts.NewStore(s.DB, happened),
		Audio:            audio.NewStore(s.DB),
		Analytics:        analytics.NewStore(s.DB),
		Insights:         insights.NewStore(s.DB, flags.NewStore(s.DB, "test"), profiles.NewStore(s.DB, interests.NewStore(s.DB))),
		Notifications:    notifications.NewStore(s.DB),
		Connections:      connections.NewStore(s.DB),
		Retention:        retention.NewStore(s.DB),
		Profiles:         profiles.NewStore(s.DB, interests.NewStore(s.DB)),
		Settings:         settings.NewStore(s.DB),
		Interests:        interests.NewStore(s.DB),
		Privacy:          privacy.NewStore(s.DB),
		Flags:            flags.NewStore(s.DB, "test"),
		Jobs:             jobs.NewBoard(s.DB, func() []int64 { return nil }, users.RequireAdmin),
		Inbox:            s.Inbox,
		Version:          "test",
		Dev:              s.Dev,
		Regions:          handlers.Regions{Home: []string{"loc"}},
		Second:           second,
		StreamAdmissions: admissions,
		StreamTimeout:    streamTime,
	}
	for _, change := range changes {
		change(&config)
	}
	s.API, err = handlers.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.http.Start()
	t.Cleanup(func() {
		s.API.Drain()
		s.http.Close()
		s.transport.CloseIdleConnections()
		if n := s.API.Engine().Stats().Streams; n != 0 {
			t.Errorf("%d live streams are left", n)
		}
		s.API.Close()
		s.Browsers.Close(context.Background())
		if err := errors.Join(s.endAudit(), seen.Close(context.Background())); err != nil {
			t.Error(err)
		}
		verifier.Close()
	})
	return s
}

// serve answers a request and tells that it has ended.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		select {
		case s.finished <- struct{}{}:
		default:
		}
	}()
	s.API.ServeHTTP(w, r)
}

// signingKey is the key of every server's identity provider: making one takes
// longer than most tests. It is in the form in which the database keeps it.
var signingKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return b
})

// expireLater arranges the expiry of kept answers as the server does.
func expireLater(tx *db.WriteTx, day int64, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: "idempotency.expire", Name: fmt.Sprint("idempotency.expire:", day), Payload: day, RunAt: at})
}

// exec changes the database beneath the API, as a committed write of its own.
func (s *server) exec(query string, args ...any) {
	s.t.Helper()
	err := s.DB.Write(s.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// number returns the one number that the query answers.
func (s *server) number(query string, args ...any) (n int64) {
	s.t.Helper()
	err := s.DB.Read(s.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// rows returns how many rows each table has that requests write to, in a form
// that can be compared.
func (s *server) rows() string {
	s.t.Helper()
	var b strings.Builder
	for _, query := range []string{
		`SELECT count(*) FROM users`, `SELECT count(*) FROM dev_users`, `SELECT count(*) FROM meetings`, `SELECT count(*) FROM participants`,
		`SELECT count(*) FROM invitations`, `SELECT count(*) FROM ratings`, `SELECT count(*) FROM notifications`, `SELECT count(*) FROM notification_marks`,
		`SELECT count(*) FROM connections`, `SELECT count(*) FROM ended_requests`, `SELECT count(*) FROM blocks`,
		`SELECT count(*) FROM events`, `SELECT count(*) FROM messages`, `SELECT count(*) FROM note_ops`, `SELECT count(*) FROM transcripts`, `SELECT count(*) FROM audio`, `SELECT count(*) FROM speakers`, `SELECT count(*) FROM jobs`, `SELECT count(*) FROM flag_changes`, `SELECT count(*) FROM idempotency`,
	} {
		fmt.Fprintf(&b, "%s %d, ", strings.TrimPrefix(query, "SELECT count(*) FROM "), s.number(query))
	}
	return b.String()
}

// person is somebody who is signed in, or not: with an empty Token requests
// carry none.
type person struct {
	s     *server
	ID    domain.UserID
	Name  string
	Token string
}

// signIn returns the person with the e-mail address name@example.com, made at
// the first time.
func (s *server) signIn(name string) *person { return s.signInAs(name, "", "") }

// signInAs is signIn as somebody of an organization.
func (s *server) signInAs(name, org, role string) *person {
	s.t.Helper()
	grant, err := s.Dev.Token(s.t.Context(), auth.TokenRequest{Email: name + "@example.com", Name: name, OrgID: org, OrgRole: role})
	if err != nil {
		s.t.Fatal(err)
	}
	return &person{s: s, ID: grant.User.ID, Name: name, Token: grant.AccessToken}
}

// nobody sends requests without a token.
func (s *server) nobody() *person { return &person{s: s} }

// deactivate makes the person inactive.
func (p *person) deactivate() { p.s.exec(`UPDATE users SET active = 0 WHERE id = ?`, p.ID) }

// answer is what a request was answered with.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// into decodes the JSON of the answer.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
}

// code is the code of the problem document, "" when it is none.
func (a answer) code() string {
	var p struct{ Code string }
	if a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// request makes a request of the person. body is nil for none, a string or an
// io.Reader as it is, or anything else as JSON; header is names and values in
// turn, where an empty value removes what was set before.
func (p *person) request(ctx context.Context, method, path string, body any, header ...string) *http.Request {
	p.s.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case []byte:
		content = bytes.NewReader(b)
	case io.Reader:
		content = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			p.s.t.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.s.URL+path, content)
	if err != nil {
		p.s.t.Fatal(err)
	}
	if content != nil {
		r.Header.Set("Content-Type", mediaFor(path))
	}
	if p.Token != "" {
		r.Header.Set("Authorization", "Bearer "+p.Token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		switch {
		case header[i+1] == "":
			r.Header.Del(header[i])
		case http.CanonicalHeaderKey(header[i]) == "Host":
			r.Host = header[i+1]
		}
	}
	return r
}

// send sends a request and returns the whole answer; redirects are not
// followed.
func (s *server) send(r *http.Request) (answer, error) {
	response, err := s.transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	a := answer{Status: response.StatusCode, Header: response.Header, Body: body}
	if err == nil {
		s.contract.check(s, r, a)
	}
	return a, err
}

// do sends a request, made as by request, and returns its answer.
func (p *person) do(method, path string, body any, header ...string) answer {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.s.t.Context(), patience)
	defer cancel()
	a, err := p.s.send(p.request(ctx, method, path, body, header...))
	if err != nil {
		p.s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// must is do for a request that succeeds.
func (p *person) must(method, path string, body any, header ...string) answer {
	p.s.t.Helper()
	a := p.do(method, path, body, header...)
	if a.Status < 200 || a.Status > 299 {
		p.s.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}

// plan makes a meeting whose host is p, to which the others are invited, with
// roles in turn: plan("Title", ada, "observer"). It returns the meeting's path.
func (p *person) plan(title string, invited ...any) (path string) {
	p.s.t.Helper()
	list := []map[string]any{}
	for i := 0; i+1 < len(invited); i += 2 {
		list = append(list, map[string]any{"userId": invited[i].(*person).ID, "role": invited[i+1]})
	}
	return p.must("POST", "/v1/meetings", map[string]any{"title": title, "participants": list}).Header.Get("Location")
}

// say posts a message in the meeting and returns its position.
func (p *person) say(meeting, content string) int64 {
	p.s.t.Helper()
	var m struct{ Position int64 }
	p.must("POST", meeting+"/messages", map[string]any{"content": content}).into(p.s.t, &m)
	return m.Position
}

// clock is the time of day, moved forward as a test wants.
type clock struct {
	mu    sync.Mutex // guards ahead
	ahead time.Duration
}

// Now returns the clock's instant.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance moves the clock forward.
func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// logged is what the server has logged.
type logged struct {
	mu     sync.Mutex // guards the rest
	b      bytes.Buffer
	closed bool // nothing is kept any more
}

// Close lets go of what was logged, and keeps nothing from now on.
func (l *logged) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b, l.closed = bytes.Buffer{}, true
}

// Write adds a line.
func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(line), nil
	}
	return l.b.Write(line)
}

// String returns everything.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
