package handlers_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/auth/workostest"
)

// tokenTime is how long a token of the emulator lives.
const tokenTime = time.Hour

// advance moves the server's clock and that of WorkOS.
func (s *server) advance(e *workostest.Emulator, d time.Duration) {
	s.t.Helper()
	e.Advance(d)
	s.Clock.Advance(d)
}

// refuses answers requests for tokens with the status and the body.
func refuses(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != authenticatePath {
			workostest.Pass(w)
			return
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// status asks who the browser is.
func (b *browser) status() int {
	b.s.t.Helper()
	return b.get("/v1/me").StatusCode
}

func TestTabsRenewOnce(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	for round := range 3 {
		s.advance(e, tokenTime+time.Minute)
		asked := e.Count(authenticatePath)
		var tabs sync.WaitGroup
		for range 5 {
			tabs.Go(func() {
				if status := b.status(); status != http.StatusOK {
					t.Errorf("round %d: %d", round, status)
				}
			})
		}
		tabs.Wait()
		if n := e.Count(authenticatePath) - asked; n != 1 {
			t.Errorf("round %d: WorkOS was asked %d times", round, n)
		}
	}
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	s.advance(e, tokenTime-2*time.Minute)
	if status := b.status(); status != http.StatusOK || e.Count(authenticatePath) != 1 {
		t.Errorf("%d, asked %d times", status, e.Count(authenticatePath))
	}
	s.advance(e, time.Minute+30*time.Second)
	if status := b.status(); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	until(t, "the token is renewed meanwhile", func() bool { return e.Count(authenticatePath) == 2 })
}

// until waits until the claim holds.
func until(t *testing.T, claim string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", claim)
		}
	}
}

func TestStreamOfABrowserOutlivesItsTokens(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	ada := &person{s: s}
	header := []string{"Cookie", b.cookie()}
	meeting := ada.must("POST", "/v1/meetings", `{"title":"Plan"}`, header...).Header.Get("Location")
	st := ada.follow(meeting+"/messages?heartbeat=1", header...)
	st.ready()
	many := ada.follow(live("/v1/me"), header...)
	many.ready()
	many.round()
	// As time passes, and as on a machine that was asleep.
	for i, step := range []time.Duration{tokenTime - 10*time.Second, 3 * tokenTime, 20 * time.Second} {
		asked := e.Count(authenticatePath)
		s.advance(e, step)
		if i < 2 {
			until(t, "the streams are renewed", func() bool {
				return e.Count(authenticatePath) > asked && s.number(`SELECT token_ends_at FROM sessions`) > s.Clock.Now().Add(tokenTime/2).UnixMilli()
			})
		}
		var m struct{ Position int64 }
		ada.must("POST", meeting+"/messages", `{"content":"Still here"}`, header...).into(t, &m)
		st.itemsUpTo(m.Position)
		if n := e.Count(authenticatePath) - asked; i < 2 && n != 1 || i == 2 && n != 0 {
			t.Errorf("step %d: WorkOS was asked %d times", i, n)
		}
	}
	out := b.send(http.MethodPost, logoutPath)
	if out.StatusCode != http.StatusOK {
		t.Errorf("%s %s", out.Status, text(out))
	}
	for _, st := range []*stream{st, many} {
		st.endsWith("unauthenticated")
	}
}

func TestLinesOfABrowserOutliveItsTokens(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	ada := &person{s: s}
	header := []string{"Cookie", b.cookie()}
	meeting := ada.must("POST", "/v1/meetings", `{"title":"Plan"}`, header...).Header.Get("Location")
	ada.must("POST", meeting+"/start", nil, header...)
	in := ada.sendLines(s.transport, s.URL, meeting, header...)
	for i, step := range []time.Duration{0, tokenTime - 10*time.Second, 3 * tokenTime, 20 * time.Second} {
		asked := e.Count(authenticatePath)
		s.advance(e, step)
		s.exec(`UPDATE participants SET role = iif(role = 'host', 'cohost', 'host')`) // so that the clock is looked at
		if step >= time.Minute {
			until(t, "the request is renewed", func() bool {
				return s.number(`SELECT token_ends_at FROM sessions`) > s.Clock.Now().Add(tokenTime/2).UnixMilli()
			})
		}
		in.send(chunkLine("still here"))
		in.want(fmt.Sprintf("%d stored advised", i+1))
		if n := e.Count(authenticatePath) - asked; step >= time.Minute && n != 1 || step < time.Minute && n != 0 {
			t.Errorf("step %d: WorkOS was asked %d times", i, n)
		}
	}
	b.send(http.MethodPost, logoutPath)
	in.wantEnd("unauthenticated")
}

func TestRefusedRenewalEndsTheSession(t *testing.T) {
	for name, body := range map[string]string{
		"as WorkOS says":       `{"error":"invalid_grant","error_description":"Session has ended."}`,
		"as the emulator says": `{"message":"Invalid refresh token","code":"invalid_grant"}`,
		"a second factor":      `{"code":"mfa_enrollment","message":"…"}`,
		"single sign-on":       `{"error":"sso_required","connection_ids":["conn_1"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s, e := newWorkOS(t)
			b := s.browser()
			b.signIn("ada@example.com")
			st := s.nobody().follow("/v1/me?heartbeat=1", "Cookie", b.cookie())
			st.ready()
			st.any()
			e.Intercept(refuses(http.StatusBadRequest, body))
			s.advance(e, tokenTime-10*time.Second) // it ends before its token does
			st.endsWith("unauthenticated")
			asked := e.Count(authenticatePath)
			for range 3 {
				if status := b.status(); status != http.StatusUnauthorized {
					t.Errorf("%d", status)
				}
			}
			if n := e.Count(authenticatePath); n != asked || s.number(`SELECT count(*) FROM sessions`) != 0 {
				t.Errorf("WorkOS was asked %d times more; %d rows", n-asked, s.number(`SELECT count(*) FROM sessions`))
			}
			e.Intercept(nil)
			b.signIn("ada@example.com")
			if status := b.status(); status != http.StatusOK {
				t.Errorf("signed in again: %d", status)
			}
		})
	}
}

func TestOutageSignsNobodyOut(t *testing.T) {
	for name, away := range map[string]http.HandlerFunc{
		"no connection": workostest.Down,
		"5xx":           refuses(http.StatusInternalServerError, `oh`),
		"our key":       refuses(http.StatusUnauthorized, `{"error":"invalid_client"}`),
		"429":           refuses(http.StatusTooManyRequests, `{"error":"too_many_requests"}`, "Retry-After", "7"),
	} {
		t.Run(name, func(t *testing.T) {
			s, e := newWorkOS(t)
			b := s.browser()
			b.signIn("ada@example.com")
			st := s.nobody().follow("/v1/me?heartbeat=1", "Cookie", b.cookie())
			st.ready()
			st.any()
			e.Intercept(away)
			asked := e.Count(authenticatePath)
			s.advance(e, tokenTime-10*time.Second)
			until(t, "WorkOS is asked", func() bool { return e.Count(authenticatePath) > asked })
			if status := b.status(); status != http.StatusOK {
				t.Errorf("before the token's end: %d", status)
			}
			st.quietUntil(s.DB.Committed())
			s.advance(e, 11*time.Second)
			a := b.get("/v1/me")
			if body := text(a); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(body, `"unavailable"`) {
				t.Errorf("after it: %s %s", a.Status, body)
			}
			if end := st.endsWith("unavailable"); len(end.Retry) == 0 {
				t.Errorf("a stream that is not to come again: %+v", end)
			}
			e.Intercept(nil)
			// Nobody asks for ten seconds, by everybody's clock, where WorkOS has failed five times.
			until(t, "WorkOS is back", func() bool { s.advance(e, 5*time.Second); return b.status() == http.StatusOK })
			if n := s.ended(); n != 0 {
				t.Errorf("%d sessions have ended", n)
			}
		})
	}
}

// WorkOS has used the token up, and we do not have the next: as after a crash
// between its answer and our commit.
func TestAnswerThatIsLostSignsOut(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	e.Intercept(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == authenticatePath {
			workostest.Lose(w)
		}
		workostest.Pass(w)
	})
	s.advance(e, tokenTime)
	// The second attempt may come before or after the answer is known to be lost.
	if status := b.status(); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
	e.Intercept(nil)
	s.advance(e, 20*time.Second)
	if status := b.status(); status != http.StatusUnauthorized {
		t.Errorf("%d", status)
	}
	b.signIn("ada@example.com")
}

func TestRenewalBringsOrganizationAndRole(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	s.exec(`UPDATE users SET org_id = 'org_1', org_role = 'admin', claims_at = 1`)
	var sent string
	var mu sync.Mutex // guards sent
	e.Intercept(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == authenticatePath {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			mu.Lock()
			sent = string(body)
			mu.Unlock()
		}
		workostest.Pass(w)
	})
	s.advance(e, tokenTime)
	if status := b.status(); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(sent, `"organization_id":"org_1"`) {
		t.Errorf("asked with %s", strings.ReplaceAll(sent, e.Key, "…"))
	}
	// The emulator knows no membership, so there is no role any more.
	if s.number(`SELECT count(*) FROM users WHERE org_id = 'org_1' AND org_role = ''`) != 1 {
		t.Error("the role is still there")
	}
}

func TestLogoutEndsTheSessionOfWorkOS(t *testing.T) {
	s, e := newWorkOS(t)
	b := s.browser()
	b.signIn("ada@example.com")
	cookie := b.cookie()
	st := s.nobody().follow("/v1/me?heartbeat=1", "Cookie", cookie)
	st.ready()
	st.any()
	// Renewed by a request: the emulator calls the session otherwise now.
	s.advance(e, tokenTime-10*time.Second)
	until(t, "it is renewed", func() bool { b.status(); return s.number(`SELECT count(*) FROM sessions WHERE name <> current`) == 1 })
	var user struct{ Data []struct{ ID string } }
	sessions := func() int {
		var list struct{ Data []struct{ ID string } }
		e.Call(http.MethodGet, "/user_management/users/"+user.Data[0].ID+"/sessions", nil, &list)
		return len(list.Data)
	}
	e.Call(http.MethodGet, "/user_management/users?email=ada@example.com", nil, &user)
	before := sessions()

	out := b.send(http.MethodPost, logoutPath, "Accept", "text/html", "Sec-Fetch-Site", "same-origin")
	if out.StatusCode != http.StatusSeeOther || b.cookie() != "" {
		t.Fatalf("%s, the cookie %q", out.Status, b.cookie())
	}
	if page := b.visit(location(t, out)); page.StatusCode != http.StatusOK || page.Request.URL.String() != s.URL+"/" {
		t.Errorf("%s at %s", page.Status, page.Request.URL)
	}
	if n := sessions(); n != before-1 {
		t.Errorf("%d sessions at WorkOS, were %d", n, before)
	}
	st.endsWith("unauthenticated")
	if a := s.nobody().do("GET", "/v1/me", nil, "Cookie", cookie); a.Status != http.StatusUnauthorized {
		t.Errorf("a cookie that was kept: %d %s", a.Status, a.Body)
	}
	if a := s.nobody().do("POST", logoutPath, nil, "Cookie", cookie); a.Status != http.StatusNoContent {
		t.Errorf("again: %d %s", a.Status, a.Body)
	}
}
