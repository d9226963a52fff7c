package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/jobs"
)

const (
	hookSecret  = "whsec_fixed_test_secret"
	hookInstant = 1767225600123
	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
)

// office is an inbox with everything real behind it, and a runner of its jobs.
type office struct {
	t      testing.TB
	clock  *clock
	db     *db.DB
	people *users.Store
	inbox  *auth.Inbox

	committed chan struct{} // holds one: something was committed
}

func newOffice(t testing.TB, api *auth.WorkOSDirectory) *office {
	t.Helper()
	o := &office{t: t, clock: &clock{t: time.UnixMilli(hookInstant).UTC()}, committed: make(chan struct{}, 1)}
	log := slog.New(slog.DiscardHandler)
	o.db = dbtest.Open(t, func(c *db.Options) { c.Now = o.clock.Now })
	o.people = users.NewStore(o.db)
	o.inbox = auth.NewInbox(o.db, o.people, hookSecret, api, log)
	nothing := func(context.Context, jobs.Task) (jobs.Effect, error) { return nil, nil }
	runner := jobs.NewRunner(o.db, log, map[string]jobs.Handler{
		auth.ApplyEvent: o.inbox.Apply, auth.CatchUp: o.inbox.CatchUp,
		users.Deactivated: nothing, // what becomes of their meetings is told elsewhere
	})
	o.db.OnCommit(func(db.ChangeSet) {
		select {
		case o.committed <- struct{}{}:
		default:
		}
	})
	runner.Start()
	t.Cleanup(func() {
		if err := runner.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		o.inbox.Close()
	})
	return o
}

// number returns the one number that the query answers.
func (o *office) number(query string, args ...any) (n int64) {
	o.t.Helper()
	err := o.db.Read(o.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// text returns the one text that the query answers.
func (o *office) text(query string, args ...any) (s string) {
	o.t.Helper()
	err := o.db.Read(o.t.Context(), func(tx db.Reader) (err error) {
		s, err = db.One(tx, func(r db.Row) (s string, err error) { return s, r.Scan(&s) }, query, args...)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// until waits until the query answers n.
func (o *office) until(n int64, query string, args ...any) {
	o.t.Helper()
	late := time.After(patience)
	for o.number(query, args...) != n {
		select {
		case <-o.committed:
		case <-late:
			o.t.Fatalf("%s is %d, want %d", query, o.number(query, args...), n)
		}
	}
}

// settle waits until every event that was received is applied.
func (o *office) settle() {
	o.t.Helper()
	o.until(0, `SELECT count(*) FROM jobs WHERE kind = 'workos.event'`)
	if n := o.number(`SELECT count(*) FROM jobs WHERE dead = 1`); n != 0 {
		o.t.Fatalf("%d jobs died", n)
	}
}

// arrive signs somebody in as the first token of theirs would.
func (o *office) arrive(id users.Identity) users.Account {
	o.t.Helper()
	a, err := o.people.SignIn(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// must receives a webhook, signed now.
func (o *office) must(body string) {
	o.t.Helper()
	if err := o.inbox.Receive(o.t.Context(), signHook(hookSecret, o.clock.Now(), body), []byte(body)); err != nil {
		o.t.Fatalf("%v: %s", err, body)
	}
}

// standing is the person as the rest of the server sees them.
func (o *office) standing(subject string) string {
	o.t.Helper()
	return o.text(`SELECT active || '|' || org_id || '|' || org_role || '|' || email || '|' || address || '|' || display_name || '|' || avatar_url
		FROM users WHERE subject = ?`, subject)
}

func signHook(secret string, at time.Time, body string) string {
	t := fmt.Sprint(at.UnixMilli())
	return "t=" + t + ", v1=" + digest(secret, t, body)
}

func digest(secret, t, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + body))
	return hex.EncodeToString(mac.Sum(nil))
}

// pairs reads the pairs of lines of a file in testdata, comments left out.
func pairs(t testing.TB, name string) (all [][2]string) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var first string
	for line := range strings.Lines(string(b)) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "#"):
		case first == "":
			first = line
		default:
			all, first = append(all, [2]string{first, line}), ""
		}
	}
	return all
}

func TestWebhooksAsWorkOSSignsThem(t *testing.T) {
	o := newOffice(t, nil)
	all := pairs(t, "webhooks.txt")
	for _, p := range all {
		if err := o.inbox.Receive(t.Context(), fmt.Sprintf("t=%d, v1=%s", hookInstant, p[0]), []byte(p[1])); err != nil {
			t.Errorf("%v: %s", err, p[1])
		}
	}
	o.settle()
	if f := o.inbox.Figures(); f != (auth.InboxFigures{Accepted: 3}) || len(all) != 3 {
		t.Errorf("%d: %+v", len(all), f)
	}
	if n := o.number(`SELECT count(*) FROM ended_sessions WHERE session = 'session_01X'`); n != 1 {
		t.Error("the session goes on")
	}
}

func TestSignatureOfAWebhook(t *testing.T) {
	hook := pairs(t, "webhooks.txt")[0]
	v1, body := hook[0], hook[1]
	instant := fmt.Sprint("t=", hookInstant)
	const wrong, unreadable, old = "is wrong", "cannot be read", "signed more than 3m0s ago"
	seconds := "t=1767225600,v1=80b571dc2f0acd4854cf2be2831c6d17859c09945b839dcc789da676da4aa2e8"
	ahead := func(d time.Duration) time.Time { return time.UnixMilli(hookInstant).Add(d) }
	for name, c := range map[string]struct {
		header  string
		now     time.Time
		body    string
		problem string
	}{
		"exact":                {header: instant + ", v1=" + v1},
		"no space":             {header: instant + ",v1=" + v1},
		"more spaces":          {header: " t = 1767225600123 ,  v1 = " + v1 + " "},
		"reversed":             {header: "v1=" + v1 + ", " + instant},
		"several":              {header: instant + ", v1=" + strings.Repeat("0", 64) + ", v1=" + v1},
		"several, first right": {header: instant + ", v1=" + v1 + ", v1=" + strings.Repeat("0", 64)},
		"another scheme":       {header: instant + ", v0=abc, v1=" + v1},
		"180 s old":            {header: instant + ", v1=" + v1, now: ahead(180 * time.Second)},
		"180.001 s old":        {header: instant + ", v1=" + v1, now: ahead(180*time.Second + time.Millisecond), problem: old},
		"180 s ahead":          {header: instant + ", v1=" + v1, now: ahead(-180 * time.Second)},
		"180.001 s ahead":      {header: instant + ", v1=" + v1, now: ahead(-180*time.Second - time.Millisecond), problem: old},
		"ten minutes ahead":    {header: instant + ", v1=" + v1, now: ahead(-10 * time.Minute), problem: old},
		"in seconds":           {header: seconds},
		"in seconds, old":      {header: seconds, now: ahead(181 * time.Second), problem: old},
		"the age of the earth": {header: "t=99999999999999999999,v1=" + digest(hookSecret, "99999999999999999999", body), problem: unreadable},
		"before time":          {header: "t=-1767225600123,v1=" + digest(hookSecret, "-1767225600123", body), problem: unreadable},
		"no number":            {header: "t=now,v1=" + digest(hookSecret, "now", body), problem: unreadable},
		"a sum that wraps":     {header: "t=9223372036854775807,v1=" + digest(hookSecret, "9223372036854775807", body), problem: old},
		"another secret":       {header: instant + ", v1=" + digest("other", "1767225600123", body), problem: wrong},
		"another instant":      {header: "t=1767225600124, v1=" + v1, problem: wrong},
		"another body":         {header: instant + ", v1=" + v1, body: body + " ", problem: wrong},
		"upper case":           {header: instant + ", v1=" + strings.ToUpper(v1), problem: wrong},
		"the wrong length":     {header: instant + ", v1=" + v1[:63], problem: wrong},
		"two instants":         {header: instant + ", " + instant + ", v1=" + v1, problem: unreadable},
		"no v1":                {header: instant, problem: unreadable},
		"no t":                 {header: "v1=" + v1, problem: unreadable},
		"empty v1":             {header: instant + ", v1=", problem: unreadable},
		"no pairs":             {header: "nonsense", problem: unreadable},
		"too long":             {header: instant + strings.Repeat(", v1="+v1, 20), problem: unreadable},
		"none":                 {header: "", problem: "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil)
			if !c.now.IsZero() {
				o.clock.advance(c.now.Sub(o.clock.Now()))
			}
			sent := body
			if c.body != "" {
				sent = c.body
			}
			err := o.inbox.Receive(t.Context(), c.header, []byte(sent))
			stored := o.number(`SELECT count(*) FROM provider_events`)
			if c.problem == "" {
				if err != nil || stored != 1 {
					t.Errorf("%v, %d stored", err, stored)
				}
				o.settle()
				return
			}
			wantKind(t, err, domain.Unauthenticated, c.problem)
			if stored != 0 || o.inbox.Figures().Refused != 1 {
				t.Errorf("%d stored, %+v", stored, o.inbox.Figures())
			}
		})
	}
}

func TestWithoutASecretNoWebhookIsTaken(t *testing.T) {
	o := newOffice(t, nil)
	body := pairs(t, "webhooks.txt")[0][1]
	inbox := auth.NewInbox(o.db, o.people, "", nil, slog.New(slog.DiscardHandler))
	err := inbox.Receive(t.Context(), signHook("", o.clock.Now(), body), []byte(body))
	wantKind(t, err, domain.NotFound, "no --workos-webhook-secret")
}

func TestWebhooksThatCannotBeRead(t *testing.T) {
	o := newOffice(t, nil)
	for _, body := range []string{
		``, `[]`, `{"id":1}`, `{"event":"user.updated"}`, `{"id":"event_1"}`,
		`{"id":"event_1","event":"user.updated"}`,
		`{"id":"event_1","event":"user.updated","data":[]}`,
		`{"id":"event_1","event":"user.updated","data":{"id":"user_1","email":"a@example.com"}}`,
		`{"id":"event_1","event":"user.updated","data":{"id":"user_1","updated_at":"2026-01-01T00:00:00Z"}}`,
		`{"id":"event_1","event":"user.deleted","data":{"updated_at":"2026-01-01T00:00:00Z"}}`,
		`{"id":"event_1","event":"session.revoked","data":{"id":"a b","updated_at":"2026-01-01T00:00:00Z"}}`,
		`{"id":"event_1","event":"organization.deleted","data":{"updated_at":"2026-01-01T00:00:00Z"}}`,
		`{"id":"event_1","event":"organization_membership.updated","data":{"user_id":"user_1","updated_at":"2026-01-01T00:00:00Z"}}`,
		`{"id":"event_1","event":"organization_membership.updated","data":{"user_id":"user_1","organization_id":"org_1","role":{"slug":"` +
			strings.Repeat("x", 101) + `"},"updated_at":"2026-01-01T00:00:00Z"}}`,
	} {
		err := o.inbox.Receive(t.Context(), signHook(hookSecret, o.clock.Now(), body), []byte(body))
		wantKind(t, err, domain.Malformed, "")
	}
	o.must(`{"id":"event_2","event":"dsync.user.created","data":"anything"}`)
	if f := o.inbox.Figures(); f.Ignored != 1 || f.Accepted != 0 || o.number(`SELECT count(*) FROM provider_events`) != 0 {
		t.Errorf("%+v", f)
	}
}

// The payload of a job is bounded, and so is what an event may put into it.
func TestTheLargestEventFitsIntoAJob(t *testing.T) {
	o := newOffice(t, nil)
	id := strings.Repeat("i", 100)
	o.arrive(users.Identity{Subject: id, Email: "ada@example.com", At: o.clock.Now().Add(-time.Hour)})
	o.must(fmt.Sprintf(`{"id":%q,"event":"user.updated","created_at":"2026-01-01T00:00:00Z","data":{"id":%q,"email":%q,"first_name":%q,"profile_picture_url":%q,"updated_at":"2026-01-01T00:00:00Z"}}`,
		id, id, strings.Repeat("&", users.MaxEmail-4)+"@x.y", strings.Repeat("<", 200<<10), "https://x.y/"+strings.Repeat("&", users.MaxAvatarURL-12)))
	o.settle()
	if n := o.number(`SELECT length(display_name) FROM users`); n != users.MaxDisplayName {
		t.Errorf("%d characters", n)
	}
}

func TestAnEventIsAppliedOnce(t *testing.T) {
	o := newOffice(t, nil)
	body := pairs(t, "webhooks.txt")[2][1]
	header := signHook(hookSecret, o.clock.Now(), body)
	for range 3 {
		if err := o.inbox.Receive(t.Context(), header, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	o.settle()
	if f := o.inbox.Figures(); f != (auth.InboxFigures{Accepted: 1, Repeated: 2}) {
		t.Errorf("%+v", f)
	}
	// Ids are forgotten when they cannot come again.
	o.clock.advance(4*24*time.Hour - time.Millisecond)
	o.must(strings.Replace(body, "event_01", "event_02", 1))
	if n := o.number(`SELECT count(*) FROM provider_events`); n != 2 {
		t.Errorf("%d ids are known", n)
	}
	o.clock.advance(time.Millisecond)
	o.must(strings.Replace(body, "event_01", "event_03", 1))
	if n := o.number(`SELECT count(*) FROM provider_events`); n != 2 {
		t.Errorf("%d ids are known", n)
	}
	o.settle()
}

// ada is whom the emulator's events are about.
const (
	adaSubject = "user_01M82PBDME0BGFP8C9EP85GH5W"
	adaOrg     = "org_01M82PBDMG9FKSAT43K1RNF1NS"
)

func TestWhatTheEmulatorSendsComesInAnyOrder(t *testing.T) {
	all := pairs(t, "emulator.txt")
	if len(all) != 20 {
		t.Fatalf("%d deliveries", len(all))
	}
	at := time.Date(2026, 11, 22, 22, 34, 42, 0, time.UTC)
	for round := range 6 {
		o := newOffice(t, nil)
		o.clock.advance(at.Sub(o.clock.Now()))
		o.arrive(users.Identity{Subject: adaSubject, Email: "ada@example.com", EmailVerified: true, Name: "Ada L", Org: adaOrg, OrgRole: "admin", At: at.Add(-time.Second)})
		before := all[:17] // up to where the membership ends
		last := all[17:]
		if round > 0 {
			before = append([][2]string{}, all...)
			last = nil
			rand.Shuffle(len(before), func(i, j int) { before[i], before[j] = before[j], before[i] })
		}
		for _, part := range [][][2]string{before, last} {
			for _, p := range part {
				if err := o.inbox.Receive(t.Context(), p[0], []byte(p[1])); err != nil {
					t.Fatal(err)
				}
				if round == 0 {
					o.settle() // in order, one by one
				}
			}
		}
		o.settle()
		if got := o.standing(adaSubject); got != "0|||ada@example.com|ada@example.com|Augusta L|" {
			t.Errorf("round %d: %s", round, got)
		}
		if n := o.number(`SELECT count(*) FROM ended_sessions`); n != 3 {
			t.Errorf("round %d: %d sessions have ended", round, n)
		}
		if f := o.inbox.Figures(); f.Accepted+f.Ignored != 20 || f.Ignored != 8 {
			t.Errorf("%+v", f)
		}
	}
}

// The data of a deletion are those of before, with their instant; a membership
// that is not active is none.
func TestEndsOfAMembership(t *testing.T) {
	for name, c := range map[string]struct{ kind, status, updated, created, want string }{
		"deleted":           {"deleted", "active", "2025-12-31T00:00:00Z", "2026-01-01T00:00:01Z", "|"},
		"deleted before":    {"deleted", "active", "2025-12-31T00:00:00Z", "2025-12-31T00:00:01Z", "org_1|admin"},
		"inactive":          {"updated", "inactive", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z", "|"},
		"pending":           {"updated", "pending", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z", "|"},
		"inactive before":   {"updated", "inactive", "2025-12-31T00:00:00Z", "2026-01-01T00:00:01Z", "org_1|admin"},
		"active":            {"updated", "active", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z", "org_1|member"},
		"active, as it was": {"created", "active", "2025-12-31T00:00:00Z", "2026-01-01T00:00:01Z", "org_1|admin"},
	} {
		o := newOffice(t, nil)
		o.arrive(users.Identity{Subject: "user_1", Email: "ada@example.com", Org: "org_1", OrgRole: "admin", At: time.UnixMilli(hookInstant)})
		o.must(fmt.Sprintf(`{"id":"event_1","event":"organization_membership.%s","data":{"user_id":"user_1","organization_id":"org_1","status":%q,"role":{"slug":"member"},"updated_at":%q},"created_at":%q}`,
			c.kind, c.status, c.updated, c.created))
		o.settle()
		if got := o.text(`SELECT org_id || '|' || org_role FROM users`); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDeletedOrganizationHasNoMembers(t *testing.T) {
	o := newOffice(t, nil)
	const many = 250 // which takes several jobs
	for i := range many {
		o.arrive(users.Identity{Subject: fmt.Sprint("user_", i), Email: "x@example.com", Org: "org_1", OrgRole: "admin", At: time.UnixMilli(hookInstant)})
	}
	o.must(`{"id":"event_1","event":"organization.deleted","data":{"id":"org_1","updated_at":"2025-12-31T00:00:00Z"},"created_at":"2026-01-01T00:00:01Z"}`)
	o.settle()
	if n := o.number(`SELECT count(*) FROM users WHERE org_id = '' AND org_role = ''`); n != many {
		t.Errorf("%d of %d have left", n, many)
	}
}
