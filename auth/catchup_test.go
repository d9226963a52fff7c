package auth_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/auth"
	"connvo/domain/users"
	"connvo/jobs"
)

// chronicle is the list of events of WorkOS.
type chronicle struct {
	mu      sync.Mutex // guards the rest
	events  []string   // oldest first
	asked   []url.Values
	instead http.HandlerFunc // answers, unless nil
}

func (c *chronicle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.URL.Query()
	c.asked = append(c.asked, q)
	switch {
	case c.instead != nil:
		c.instead(w, r)
		return
	case r.URL.Path != "/events", r.Header.Get("Authorization") != "Bearer "+workosKey, q.Get("limit") != "100", q.Get("order") != "asc", len(q["events"]) != 1:
		status(http.StatusUnprocessableEntity)(w, r)
		return
	}
	begin := 0
	if after := q.Get("after"); after != "" {
		begin = 1 + slices.IndexFunc(c.events, func(e string) bool { return strings.Contains(e, fmt.Sprintf("{\"id\":%q", after)) })
		if begin == 0 {
			status(http.StatusNotFound)(w, r)
			return
		}
	}
	page := c.events[begin:min(begin+100, len(c.events))]
	after := "null"
	if begin+100 < len(c.events) {
		var last struct{ ID string }
		_ = json.Unmarshal([]byte(page[99]), &last)
		after = fmt.Sprintf("%q", last.ID)
	}
	_, _ = fmt.Fprintf(w, `{"object":"list","data":[%s],"list_metadata":{"after":%s}}`, strings.Join(page, ","), after)
}

func (c *chronicle) answerWith(h http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instead = h
}

func (c *chronicle) add(events ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, events...)
}

// questions returns what was asked for since the last time.
func (c *chronicle) questions() []url.Values {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.asked
	c.asked = nil
	return all
}

// reader returns an office that reads the list.
func reader(t *testing.T, c *chronicle) *office {
	t.Helper()
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	api, err := auth.NewWorkOSDirectory(auth.WorkOSAPI{URL: s.URL, Key: workosKey, Client: &http.Client{Transport: &http.Transport{}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return newOffice(t, api)
}

// catchUp reads the list to its end, when its time has come.
func (o *office) catchUp() {
	o.t.Helper()
	if err := o.inbox.Start(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	o.until(0, `SELECT count(*) FROM jobs WHERE kind = 'workos.catch-up' AND run_at <= ?`, o.clock.Now().UnixMilli())
	o.settle()
}

// revoked is the event that ends session_<n>.
func (o *office) revoked(n int) string {
	at := o.clock.Now().UTC().Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"id":"event_%04d","object":"event","event":"session.revoked","data":{"id":"session_%d","updated_at":%q},"created_at":%q}`, n, n, at, at)
}

func (o *office) sessionsEnded() int64 { return o.number(`SELECT count(*) FROM ended_sessions`) }

func TestEventsThatNoWebhookBroughtAreRead(t *testing.T) {
	c := &chronicle{}
	o := reader(t, c)
	for n := range 250 {
		c.add(o.revoked(n))
	}
	c.add(`{"id":"event_0250","event":"session.revoked","data":{},"created_at":"2026-01-01T00:00:00Z"}`, // which keeps none from being read
		`{"id":"event_0251","event":"role.created","data":{},"created_at":"2026-01-01T00:00:00Z"}`, o.revoked(252))
	o.must(o.revoked(7))
	o.settle()
	o.catchUp()
	if n := o.sessionsEnded(); n != 251 {
		t.Errorf("%d sessions have ended", n)
	}
	if f := o.inbox.Figures(); f != (auth.InboxFigures{Accepted: 251, Repeated: 1}) {
		t.Errorf("%+v", f)
	}
	asked := c.questions()
	if len(asked) != 3 || asked[0].Get("range_start") != "2025-12-31T00:00:00.123Z" || asked[0].Has("after") || asked[1].Get("after") != "event_0099" || asked[1].Has("range_start") {
		t.Errorf("%v", asked)
	}
	if want := "user.created,user.updated,user.deleted,organization_membership.created,organization_membership.updated,organization_membership.deleted,organization.deleted,session.revoked"; asked[0].Get("events") != want {
		t.Errorf("%v", asked[0])
	}

	// The next time goes on where this one ended, in five minutes and not before.
	if n := o.number(`SELECT run_at FROM jobs WHERE kind = 'workos.catch-up'`); n-o.clock.Now().UnixMilli() != 300_000 {
		t.Errorf("in %d ms", n-o.clock.Now().UnixMilli())
	}
	c.add(o.revoked(253))
	o.must(o.revoked(253)) // which the list has too
	o.clock.advance(5 * time.Minute)
	o.catchUp()
	if asked := c.questions(); len(asked) == 0 || asked[0].Get("after") != "event_0252" || o.sessionsEnded() != 252 {
		t.Errorf("%v, %d", asked, o.sessionsEnded())
	}
}

func TestWorkOSThatForgetsOurPlaceIsAskedFromItsInstant(t *testing.T) {
	c := &chronicle{}
	o := reader(t, c)
	c.add(o.revoked(1))
	o.catchUp()
	c.mu.Lock()
	c.events = nil
	c.mu.Unlock()
	before := o.clock.Now().UTC()
	o.clock.advance(40 * 24 * time.Hour)
	c.add(o.revoked(2))
	c.questions()
	o.catchUp()
	asked := c.questions()
	if len(asked) < 2 || asked[0].Get("after") != "event_0001" || asked[1].Get("range_start") != before.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("%v", asked)
	}
	if o.number(`SELECT count(*) FROM ended_sessions WHERE session = 'session_2'`) != 1 {
		t.Error("the session goes on")
	}
}

func TestWorkOSThatIsAwayIsAskedLater(t *testing.T) {
	for name, away := range map[string]http.HandlerFunc{
		"refuses the key":  status(http.StatusUnauthorized),
		"no JSON":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"refuses to begin": status(http.StatusUnprocessableEntity),
		"asks for silence": retryLater("30"),
	} {
		c := &chronicle{instead: away}
		o := reader(t, c)
		c.add(o.revoked(1))
		for attempt := 1; attempt <= 6; attempt += 5 { // the job comes again at growing intervals
			if effect, err := o.inbox.CatchUp(t.Context(), jobs.Task{Attempt: attempt}); err == nil || effect != nil {
				t.Errorf("%s: attempt %d: %v", name, attempt, err)
			}
		}
		effect, err := o.inbox.CatchUp(t.Context(), jobs.Task{Attempt: 7})
		if err == nil {
			err = o.db.Write(t.Context(), effect)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := o.number(`SELECT run_at FROM jobs WHERE kind = 'workos.catch-up' AND attempts = 0`); n-o.clock.Now().UnixMilli() != 300_000 {
			t.Errorf("%s: in %d ms", name, n-o.clock.Now().UnixMilli())
		}
		if name == "asks for silence" {
			if n := len(c.questions()); n != 1 {
				t.Errorf("%d questions, though we are to be silent", n)
			}
			continue
		}
		c.answerWith(nil)
		o.catchUp()
		if n := o.sessionsEnded(); n != 1 {
			t.Errorf("%s: %d sessions have ended", name, n)
		}
	}
}

// Whoever was told in a webhook, in the list, or in both, and in whatever order,
// is in the same state afterwards.
func TestListAndWebhooksAgree(t *testing.T) {
	all := pairs(t, "emulator.txt")
	at := time.Date(2026, 11, 22, 22, 34, 42, 0, time.UTC)
	for round := range 4 {
		c := &chronicle{}
		o := reader(t, c)
		o.clock.advance(at.Sub(o.clock.Now()))
		o.arrive(users.Identity{Subject: adaSubject, Email: "ada@example.com", EmailVerified: true, Name: "Ada L", Org: adaOrg, OrgRole: "admin", At: at.Add(-time.Second)})
		for i, p := range all {
			if i%4 >= round { // all, three quarters of them, half, a quarter by webhooks
				o.must(p[1])
			}
			c.add(p[1])
		}
		o.catchUp()
		if got := o.standing(adaSubject); got != "0|||ada@example.com|ada@example.com|Augusta L|" || o.sessionsEnded() != 3 {
			t.Errorf("round %d: %s", round, got)
		}
	}
}
