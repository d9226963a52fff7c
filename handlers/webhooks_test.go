package handlers_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/handlers"
	"connvo/jobs"
)

const (
	workosPath    = "/webhooks/workos"
	webhookSecret = "whsec_fixed_test_secret"
)

func (s *server) applyEvent(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	return s.Inbox.Apply(ctx, t)
}

// runJobs applies events from now on, until the test ends.
func (s *server) runJobs() {
	s.Jobs.Start()
	s.t.Cleanup(func() {
		if err := s.Jobs.Stop(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
}

// signature is the header of a webhook with the body, signed at.
func signature(at time.Time, body string) string {
	t := fmt.Sprint(at.UnixMilli())
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write([]byte(t + "." + body))
	return "t=" + t + ", v1=" + hex.EncodeToString(mac.Sum(nil))
}

// hook sends a webhook, signed now.
func (s *server) hook(body string, header ...string) answer {
	s.t.Helper()
	return s.nobody().do("POST", workosPath, body, append([]string{"WorkOS-Signature", signature(s.Clock.Now(), body)}, header...)...)
}

// event is the body of a webhook of now. The data are the members of an object.
func (s *server) event(id, kind, data string, args ...any) string {
	now := s.Clock.Now().UTC().Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"id":"event_%s","event":%q,"data":{%s,"updated_at":%q},"created_at":%q}`, id, kind, fmt.Sprintf(data, args...), now, now)
}

// subject is what the identity provider calls the person, and session the one of
// their token.
func (p *person) subject() string { return p.claim("sub") }
func (p *person) session() string { return p.claim("sid") }

func (p *person) claim(name string) string {
	p.s.t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(p.Token, ".")[1])
	claims := map[string]any{}
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	value, _ := claims[name].(string)
	if err != nil || value == "" {
		p.s.t.Fatalf("no %s in the token: %v", name, err)
	}
	return value
}

func TestWebhookIsBelievedForItsSignatureOnly(t *testing.T) {
	s := newServer(t)
	body := s.event("1", "session.revoked", `"id":"session_1"`)
	good := signature(s.Clock.Now(), body)
	ada := s.signInAs("ada", "org_1", domain.OrgAdmin)
	before := s.rows()
	for name, c := range map[string]struct {
		who    *person
		body   any
		header string
		status int
		code   string
	}{
		"unsigned":              {s.nobody(), body, "", 401, "unauthenticated"},
		"an admin, unsigned":    {ada, body, "", 401, "unauthenticated"},
		"wrong":                 {s.nobody(), body, good[:len(good)-1] + "x", 401, "unauthenticated"},
		"another body":          {s.nobody(), body + " ", good, 401, "unauthenticated"},
		"stale":                 {s.nobody(), body, signature(s.Clock.Now().Add(-181*time.Second), body), 401, "unauthenticated"},
		"ahead":                 {s.nobody(), body, signature(s.Clock.Now().Add(190*time.Second), body), 401, "unauthenticated"},
		"no event":              {s.nobody(), "[]", signature(s.Clock.Now(), "[]"), 400, "validation_failed"},
		"10 MB":                 {s.nobody(), strings.Repeat("x", 10<<20), good, 413, "payload_too_large"},
		"more than 1 MiB":       {s.nobody(), strings.Repeat("x", handlers.MaxBody+1), good, 413, "payload_too_large"},
		"more than it says":     {s.nobody(), chunked{strings.NewReader(strings.Repeat("x", handlers.MaxBody+1))}, good, 413, "payload_too_large"},
		"none at all, unsigned": {s.nobody(), nil, "", 401, "unauthenticated"},
	} {
		a := c.who.do("POST", workosPath, c.body, "WorkOS-Signature", c.header)
		if a.Status != c.status || a.code() != c.code || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %.300s", name, a.Status, a.Body)
		}
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
	if log := s.Log.String(); strings.Contains(log, webhookSecret) || strings.Contains(log, "session_1") {
		t.Error("the log has the secret or a body")
	}
	if f := s.Inbox.Figures(); f.Refused != 11 || f.Unreadable != 4 {
		t.Errorf("%+v", f)
	}

	// A signature is enough, wherever the request says it is from, and as often
	// as it comes.
	for _, header := range [][]string{nil, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://workos.example"}, {"Content-Type", "application/json; charset=utf-8"}} {
		if a := s.hook(body, header...); a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %d %s", header, a.Status, a.Body)
		}
	}
	if a := s.nobody().do("POST", workosPath, body, "WorkOS-Signature", good); a.Status != http.StatusOK {
		t.Errorf("replayed: %d %s", a.Status, a.Body)
	}
	if f := s.Inbox.Figures(); f.Accepted != 1 || f.Repeated != 4 || s.number(`SELECT count(*) FROM jobs WHERE kind = 'workos.event'`) != 1 {
		t.Errorf("%+v", f)
	}
	if a := s.nobody().do("GET", workosPath, nil); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
}

// TestWebhookThatIsTooLargeIsNotAwaited announces a body of a terabyte.
func TestWebhookThatIsTooLargeIsNotAwaited(t *testing.T) {
	s := newServer(t)
	r := s.raw(t, "POST "+workosPath+" HTTP/1.1\r\nHost: localhost\r\nWorkOS-Signature: t=1,v1=0\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1099511627776\r\n\r\n")
	if r.StatusCode != http.StatusRequestEntityTooLarge || !r.Close {
		t.Errorf("%d, closes %v", r.StatusCode, r.Close)
	}
}

// TestWebhookReachesOpenStreams measures, from the sending of a webhook on, when
// the person that it is about is told on streams that are open.
func TestWebhookReachesOpenStreams(t *testing.T) {
	s := newServer(t)
	s.runJobs()
	took := map[string][]time.Duration{}
	note := func(what string, began time.Time) { took[what] = append(took[what], time.Since(began)) }
	send := func(body string) time.Time {
		t.Helper()
		began := time.Now()
		if a := s.hook(body); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return began
	}
	for i := range 10 {
		name := fmt.Sprint("ada", i)
		ada, phone := s.signInAs(name, "org_1", domain.OrgAdmin), s.signInAs(name, "org_1", domain.OrgAdmin)
		meeting := ada.plan("Plan")
		me, admin := ada.follow("/v1/me"), ada.follow(figuresPath)
		chat, on := ada.follow(live(meeting+"/messages")), phone.follow(meeting)
		for _, st := range []*stream{me, admin, chat, on} {
			st.ready()
			st.any()
		}
		var shown struct{ OrgID, OrgRole, DisplayName *string }
		member := `"user_id":%q,"organization_id":"org_1","status":%q,"role":{"slug":%q}`

		began := send(s.event(name+"-role", "organization_membership.updated", member, ada.subject(), "active", domain.OrgMember))
		me.snapshot(&shown)
		note("role", began)
		admin.endsAmid("forbidden")
		note("role, admin", began)
		if shown.OrgRole == nil || *shown.OrgRole != domain.OrgMember {
			t.Errorf("%+v", shown)
		}
		began = send(s.event(name+"-end", "organization_membership.deleted", member, ada.subject(), "active", domain.OrgMember))
		me.snapshot(&shown)
		note("membership", began)
		if shown.OrgID != nil && *shown.OrgID != "" {
			t.Errorf("%+v", shown)
		}
		// The token, which says otherwise, is older.
		ada.must("GET", "/v1/me", nil)
		if a := ada.do("GET", figuresPath, nil); a.Status != http.StatusForbidden {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		began = send(s.event(name+"-session", "session.revoked", `"id":%q,"user_id":%q`, ada.session(), ada.subject()))
		chat.endsWith("unauthenticated")
		note("session", began)
		me.endsWith("unauthenticated")
		began = send(s.event(name+"-user", "user.deleted", `"id":%q`, ada.subject()))
		on.endsWith("forbidden")
		note("user", began)
		if a := phone.do("GET", "/v1/me", nil); a.Status != http.StatusForbidden {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	for what, all := range took {
		slices.Sort(all)
		t.Logf("%s: median %v, worst of %d %v", what, all[len(all)/2], len(all), all[len(all)-1])
	}
}
