package handlers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connvo/handlers"
	"connvo/ratelimit"
)

// limitedServer counts requests, by a clock that stands still.
type limitedServer struct {
	*server
	now atomic.Int64 // Unix nanoseconds
}

func limited(t *testing.T, changes ...func(*handlers.Config)) *limitedServer {
	t.Helper()
	s := &limitedServer{}
	s.now.Store(time.Now().UnixNano())
	s.server = startServer(t, false, append(changes, func(c *handlers.Config) {
		var err error
		c.Limits, err = ratelimit.New(t.Context(), ratelimit.Config{DB: c.DB, Log: c.Log, StoreEvery: time.Hour, Now: func() time.Time { return time.Unix(0, s.now.Load()) }})
		if err != nil {
			t.Fatal(err)
		}
		limits := c.Limits
		t.Cleanup(func() {
			if err := limits.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	})...)
	return s
}

// passes lets time pass for the limits.
func (s *limitedServer) passes(d time.Duration) { s.now.Add(int64(d)) }

// until asks until it is answered 429, and complains unless that is after n
// other answers and says when to come again.
func (s *limitedServer) until(name string, n int, retryAfter string, ask func() answer) answer {
	s.t.Helper()
	for i := range n {
		if a := ask(); a.Status == http.StatusTooManyRequests {
			s.t.Fatalf("%s: refused after %d, want %d", name, i, n)
		}
	}
	a := ask()
	if a.Status != http.StatusTooManyRequests || a.code() != "rate_limited" || a.Header.Get("Retry-After") != retryAfter || a.Header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%s: after %d requests %d %v %s, want Retry-After %s", name, n, a.Status, a.Header, a.Body, retryAfter)
	}
	return a
}

func TestMessagesAreLimited(t *testing.T) {
	s := limited(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	say := func() answer { return ada.do("POST", meeting+"/messages", `{"content":"Hello"}`) }
	check := func(a answer, want string) {
		t.Helper()
		if got := a.Header.Get("RateLimit-Policy"); got != `"api";q=1000;w=60, "messages";q=20;w=4` {
			t.Errorf("RateLimit-Policy: %s", got)
		}
		if got := a.Header.Get("RateLimit"); got != want {
			t.Errorf("RateLimit: %s, want %s", got, want)
		}
	}
	check(say(), `"api";r=998;t=1, "messages";r=19;t=1`)
	check(s.until("messages", 19, "1", say), `"api";r=978;t=1, "messages";r=0;t=1`)
	if n := s.number(`SELECT count(*) FROM messages`); n != 20 {
		t.Errorf("%d messages", n)
	}
	grace.must("POST", meeting+"/messages", `{"content":"Hello"}`)
	ada.must("GET", meeting+"/messages", nil)
	s.passes(time.Second)
	s.until("messages of a second", 5, "1", say)
}

func TestChunksOfATranscriptAreLimited(t *testing.T) {
	s := limited(t)
	ada, grace, mallory := s.signIn("ada"), s.signIn("grace"), s.signIn("mallory")
	meeting, other := ada.plan("Plan", grace, "participant"), ada.plan("Other")
	for _, m := range []string{meeting, other} {
		ada.must("POST", m+"/start", nil)
	}
	grace.must("POST", meeting+"/join", nil)
	send := func(p *person, m string, n int) answer {
		chunk := `{"text":"Hello","confidence":1,"startMs":0,"endMs":900}`
		return p.do("POST", m+"/transcripts", `{"chunks":[`+strings.Repeat(chunk+",", n-1)+chunk+`]}`)
	}
	// A stranger uses up nothing of what may be said in the meeting.
	if a := send(mallory, meeting, 200); a.Status != http.StatusNotFound {
		t.Errorf("a stranger: %d %s", a.Status, a.Body)
	}
	// A user: 200 at once, then 50 a second, counted by chunks.
	a := send(ada, meeting, 150)
	if got := a.Header.Get("RateLimit-Policy") + a.Header.Get("RateLimit"); a.Status != http.StatusOK ||
		got != `"api";q=1000;w=60, "chunks";q=200;w=4"api";r=995;t=1, "chunks";r=50;t=1` {
		t.Errorf("%d %s", a.Status, got)
	}
	if a := send(ada, other, 101); a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "2" {
		t.Errorf("51 chunks too many: %d %v", a.Status, a.Header)
	}
	if a := send(ada, other, 50); a.Status != http.StatusOK {
		t.Errorf("what is left: %d %s", a.Status, a.Body)
	}
	// A meeting: 200 at once, then 100 a second, whoever sends them.
	if a := send(grace, meeting, 51); a.Status != http.StatusTooManyRequests || a.code() != "rate_limited" {
		t.Errorf("one too many for the meeting: %d %s", a.Status, a.Body)
	}
	if n := s.number(`SELECT count(*) FROM transcripts`); n != 200 {
		t.Errorf("%d chunks are stored", n)
	}
	s.passes(time.Second)
	// More than a request may have is no matter of how often, and uses up nothing.
	if a := send(grace, meeting, 201); a.Status != http.StatusUnprocessableEntity || !strings.Contains(string(a.Body), `"location":"body.chunks"`) {
		t.Errorf("201 chunks: %d %s", a.Status, a.Body)
	}
	if a := send(grace, meeting, 150); a.Status != http.StatusOK {
		t.Errorf("a second later: %d %s", a.Status, a.Body)
	}
	s.passes(time.Minute)
	if a := send(ada, other, 201); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("201 chunks: %d %s", a.Status, a.Body)
	}
	if a := send(ada, other, 200); a.Status != http.StatusOK {
		t.Errorf("what was refused has used up something: %d %s", a.Status, a.Body)
	}
}

func TestPlansAndSearchesAreLimited(t *testing.T) {
	s := limited(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	s.until("meetings", 19, "3", func() answer { return ada.do("POST", "/v1/meetings", `{"title":"Plan"}`) })
	ada.must("GET", "/v1/meetings", nil)
	ada.must("PATCH", meeting, `{"title":"Changed"}`)
	s.until("searches", 100, "1", func() answer { return ada.do("GET", meeting+"/messages/search?q=x", nil) })

	// What is looked for live is counted too, each path of it, but not once more
	// where its ticket was.
	paths := make([]string, 99)
	for i := range paths {
		paths[i] = fmt.Sprintf("%s/messages/search?q=x%d", meeting, i)
	}
	all := live(paths...)
	s.nobody().follow(all + "&ticket=" + grace.ticket(all)).ready()
	grace.follow(paths[0]).ready()
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/v1/stream-tickets", map[string]any{"path": all}},
		{"POST", "/v1/stream-tickets", map[string]any{"path": paths[0]}},
		{"PATCH", "/v1/live/none", map[string]any{"subscribe": paths[:1]}},
		{"GET", paths[0], nil},
	} {
		s.until(c.method+" "+c.path, 0, "1", func() answer { return grace.do(c.method, c.path, c.body) })
	}
	grace.ticket(live(meeting))
}

func TestRequestsOfAUserAreLimited(t *testing.T) {
	s := limited(t)
	ada, grace, gone := s.signIn("ada"), s.signIn("grace"), s.signIn("gone")
	gone.deactivate()
	ticket := ada.ticket("/v1/me")
	me := s.until("requests", 999, "1", func() answer { return ada.do("GET", "/v1/me", nil) })
	if got := me.Header.Get("RateLimit-Policy") + me.Header.Get("RateLimit"); got != `"api";q=1000;w=60"api";r=0;t=1` {
		t.Error(got)
	}
	// That she was seen is written by itself, once, and counted when the next is.
	until(t, "it is stored that she was seen", func() bool { return s.number(`SELECT count(*) FROM last_seen`) == 1 })
	s.exec(`UPDATE users SET display_name = 'Ada' WHERE id = ?`, ada.ID)
	rows, closures := s.rows(), s.DB.Stats().Closures
	for _, c := range []struct {
		name, method, path string
		body               any
		header             []string
	}{
		{"a write", "PATCH", "/v1/me", `{"displayName":"Ada"}`, nil},
		{"a limited write", "POST", "/v1/meetings", `{"title":"Plan"}`, nil},
		{"a ticket", "POST", "/v1/stream-tickets", `{"path":"/v1/me"}`, nil},
		{"a change of a stream", "PATCH", "/v1/live/none", `{}`, nil},
		{"rate, size", "POST", "/v1/meetings", strings.Repeat(" ", 2<<20), nil},
		{"rate, type", "POST", "/v1/meetings", `{}`, []string{"Content-Type", "text/plain"}},
		{"rate, shape", "GET", "/v1/meetings?limit=0", nil, nil},
		{"rate, membership", "GET", "/v1/meetings/mtg_loc_none", nil, nil},
	} {
		s.until(c.name, 0, "1", func() answer { return ada.do(c.method, c.path, c.body, c.header...) })
	}
	if s.rows() != rows || s.DB.Stats().Closures != closures {
		t.Errorf("refused requests write: %d closures", s.DB.Stats().Closures-closures)
	}
	for name, c := range map[string]struct {
		who    *person
		path   string
		status int
	}{
		"path, rate":        {ada, "/v1/nothing", 404},
		"active user, rate": {gone, "/v1/me", 403},
		"somebody else":     {grace, "/v1/me", 200},
		"the first page":    {ada, "/", 200},
		"the documentation": {ada, "/docs", 200},
		"a file":            {ada, "/assets/connvo.css", 200},
		"the document":      {ada, "/openapi.json", 200},
		"health":            {ada, "/healthz", 200},
		"readiness":         {ada, "/readyz", 200},
	} {
		if a := c.who.do("GET", c.path, nil); a.Status != c.status {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	// A stream was counted where its ticket was asked for: a refusal would spend it.
	s.nobody().follow("/v1/me?ticket=" + ticket).ready()
	s.passes(60 * time.Millisecond)
	s.until("requests of 60 ms", 1, "1", func() answer { return ada.do("GET", "/v1/me", nil) })
}

// TestRefusedStreamComesAgain: an EventSource that is told 429 would not.
func TestRefusedStreamComesAgain(t *testing.T) {
	s := limited(t)
	ada := s.signIn("ada")
	s.until("requests", 1000, "1", func() answer { return ada.do("GET", "/v1/me", nil) })
	a := ada.do("GET", "/v1/me", nil, "Accept", "text/event-stream")
	text := string(a.Body)
	if a.Status != 200 || !strings.HasPrefix(text, "retry: ") || !strings.Contains(text, "event: problem\n") || !strings.Contains(text, `"code":"rate_limited"`) ||
		a.Header.Get("RateLimit") != `"api";r=0;t=1` {
		t.Errorf("%d %v %s", a.Status, a.Header, text)
	}
	s.awaitStreams(0)
	// One that has begun takes one token, however long it lasts.
	s.passes(60 * time.Millisecond)
	ada.follow("/v1/me").ready()
	s.until("while it is open", 0, "1", func() answer { return ada.do("GET", "/v1/me", nil) })
}

func TestStrangersAreLimitedByAddress(t *testing.T) {
	s := limited(t, func(c *handlers.Config) { c.AddressHeader = "Fly-Client-IP" })
	ada := s.signIn("ada")
	ada.must("GET", ada.plan("Plan"), nil, "Fly-Client-IP", "198.51.100.7")
	from := func(address string, more ...string) func() answer {
		return func() answer {
			return s.nobody().do("GET", "/v1/me", nil, append(more, "Fly-Client-IP", address)...)
		}
	}
	a := s.until("an address", 60, "1", from("198.51.100.7"))
	if got := a.Header.Get("RateLimit-Policy") + a.Header.Get("RateLimit"); got != `"unauthenticated";q=60;w=60"unauthenticated";r=0;t=1` {
		t.Error(got)
	}
	s.until("a bad token", 0, "1", from("198.51.100.7", "Authorization", "Bearer nonsense"))
	s.until("a forged header", 0, "1", from("198.51.100.7", "X-Forwarded-For", "203.0.113.9"))
	s.until("another spelling", 0, "1", from("::ffff:198.51.100.7"))
	// Who has a token is not asked for what others of the address have tried.
	ada.must("GET", "/v1/me", nil, "Fly-Client-IP", "198.51.100.7")
	for _, address := range []string{"198.51.100.8", "2001:db8:0:1::1", "nonsense", ""} {
		if a := from(address)(); a.Status != http.StatusUnauthorized {
			t.Errorf("address %q: %d", address, a.Status)
		}
	}
	s.until("a network", 60, "1", from("2001:db8::1"))
	s.until("the same network", 0, "1", from("2001:db8::ffff:2"))
	guess := "/v1/me?ticket=" + strings.Repeat("A", 26)
	for range 60 {
		if a := s.nobody().do("GET", guess, nil, "Fly-Client-IP", "198.51.100.9", "Accept", "text/event-stream"); a.Status != http.StatusNoContent {
			t.Fatalf("a ticket that never was: %d", a.Status)
		}
	}
	if a := s.nobody().do("GET", guess, nil, "Fly-Client-IP", "198.51.100.9", "Accept", "text/event-stream"); !strings.Contains(string(a.Body), "rate_limited") {
		t.Errorf("tickets are guessed: %d %s", a.Status, a.Body)
	}
	s.until("signing out", 60, "1", func() answer { return s.nobody().do("POST", logoutPath, nil, "Fly-Client-IP", "198.51.100.7") })
	for range 100 { // the development identity provider is never limited
		s.nobody().must("POST", "/dev/token", `{"email":"ada@example.com"}`, "Fly-Client-IP", "198.51.100.7")
	}
	if err := s.endAudit(); err != nil {
		t.Fatal(err)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE outcome = 'refused'`); n != 0 {
		t.Errorf("%d refusals are recorded of requests that were too many", n)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE address <> '127.0.0.1' AND action = 'meeting.read'`); n != 1 {
		t.Errorf("%d reads are recorded with the caller's address", n)
	}
	s.passes(2 * time.Second)
	s.until("an address two seconds later", 2, "1", from("198.51.100.7"))
}

// Whoever says that a page of another site sends them fills the record no faster than
// whoever guesses tokens, and keeps nobody of the same address from their work.
func TestRequestsOfOtherSitesAreLimitedByAddress(t *testing.T) {
	s := limited(t)
	ada := s.signIn("ada")
	send := func() answer {
		return s.nobody().do("POST", "/v1/meetings", `{"title":"Plan"}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	}
	if a := send(); a.Status != http.StatusForbidden {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	s.until("another site", 59, "1", send)
	ada.plan("Plan")
	if err := s.endAudit(); err != nil {
		t.Fatal(err)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE outcome = 'refused'`); n != 60 {
		t.Errorf("%d refusals are recorded", n)
	}
}

// However many addresses somebody guesses from, the record has room for others.
func TestRefusalsOfManyAddressesDoNotFillTheRecord(t *testing.T) {
	s := limited(t, func(c *handlers.Config) { c.AddressHeader = "Fly-Client-IP" })
	gone := s.signIn("gone")
	gone.deactivate()
	for n := range 650 {
		address := fmt.Sprintf("2001:db8:%x::1", n)
		if a := s.nobody().do("GET", "/v1/me", nil, "Authorization", "Bearer nonsense", "Fly-Client-IP", address); a.Status != http.StatusUnauthorized {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	gone.do("GET", "/v1/me", nil)
	if err := s.endAudit(); err != nil {
		t.Fatal(err)
	}
	known, unknown := s.number(`SELECT count(*) FROM audit WHERE outcome = 'refused' AND actor_id <> ''`), s.number(`SELECT count(*) FROM audit WHERE actor_id = ''`)
	if known != 1 || unknown != 600 {
		t.Errorf("%d refusals of who is known are recorded, %d of others", known, unknown)
	}
}

// TestAddressIsThePeers where no proxy is believed.
func TestAddressIsThePeers(t *testing.T) {
	s := limited(t)
	n := 0
	s.until("an address", 60, "1", func() answer {
		n++
		named := fmt.Sprintf("198.51.100.%d", n)
		return s.nobody().do("GET", "/v1/me", nil, "Fly-Client-IP", named, "X-Forwarded-For", named)
	})
}

func TestNothingIsToldWhereNothingIsLimited(t *testing.T) {
	s := newServer(t)
	if a := s.signIn("ada").must("GET", "/v1/me", nil); a.Header.Get("RateLimit")+a.Header.Get("RateLimit-Policy") != "" {
		t.Errorf("%v", a.Header)
	}
}

// Who cannot sign a webhook is a stranger; who can is never kept waiting.
func TestWebhooksOfStrangersAreLimited(t *testing.T) {
	s := limited(t)
	body := s.event("1", "session.revoked", `"id":"session_1"`)
	a := s.until("unsigned", 60, "1", func() answer { return s.nobody().do("POST", workosPath, body) })
	if got := a.Header.Get("RateLimit"); got != `"unauthenticated";r=0;t=1` {
		t.Errorf("RateLimit: %s", got)
	}
	for range 3 {
		if a := s.hook(body); a.Status != http.StatusOK || a.Header.Get("RateLimit") != "" {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
		}
	}
}

// Neither counting a request nor refusing it writes: what is written is a few
// buckets in ten seconds, by themselves.
func TestLimitsWriteNothing(t *testing.T) {
	s := limited(t)
	ada := s.signIn("ada")
	ada.must("GET", "/v1/me", nil)
	before := s.DB.Stats().Closures
	const many = 1200
	refused := 0
	for range many {
		if ada.do("GET", "/v1/me", nil).Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < many-1000 {
		t.Errorf("%d of %d are refused", refused, many)
	}
	// When she was last seen, and a store of the buckets on a slow machine.
	if written := s.DB.Stats().Closures - before; written > 20 {
		t.Errorf("%d writes for %d requests", written, many)
	}
}
