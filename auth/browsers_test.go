package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/db"
	"connvo/domain"
)

const password = "a password of thirty-two letters"

// kiosk is a WorkOS that gives tokens, and the browsers that it signs in. What
// the emulator cannot do is done here: tokens of five minutes, and sessions that
// keep their name.
type kiosk struct {
	*house
	t        testing.TB
	kit      *auth.AuthKit
	browsers *auth.Browsers

	mu      sync.Mutex // guards the rest
	refresh string     // the one that is good
	asked   []map[string]string
	claims  jwt.MapClaims                                 // what the next token says besides
	key     string                                        // what it is signed by, "a" when ""
	instead func(r *http.Request) (*http.Response, error) // answers, unless nil
}

func newKiosk(t testing.TB) *kiosk {
	t.Helper()
	k := &kiosk{house: newHouse(t), t: t}
	var err error
	k.kit, err = auth.NewAuthKit(auth.WorkOSAPI{URL: issuer, Key: workosKey, Client: &http.Client{Transport: k}, Log: slog.New(slog.DiscardHandler)},
		clientID, "https://app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	k.browsers = k.open(password)
	return k
}

// open returns browsers whose cookies are sealed by the password.
func (k *kiosk) open(password string) *auth.Browsers {
	b := auth.NewBrowsers(k.auth, k.kit, password, k.clock.Now, slog.New(slog.DiscardHandler))
	k.t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

func (k *kiosk) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var form map[string]string
	if err := json.Unmarshal(body, &form); err != nil || r.Method != http.MethodPost || r.URL.String() != issuer+"/user_management/authenticate" {
		return nil, fmt.Errorf("%s %s %s", r.Method, r.URL, body)
	}
	k.mu.Lock()
	instead := k.instead
	k.asked = append(k.asked, form)
	k.mu.Unlock()
	if instead != nil {
		return instead(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if form["grant_type"] == "refresh_token" && form["refresh_token"] != k.refresh {
		return respond(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"…"}`), nil
	}
	k.refresh = fmt.Sprint("refresh_", len(k.asked))
	access := good(k.t, k.clock.Now(), k.claims)
	if k.key != "" {
		access = sign(k.t, jwt.SigningMethodRS256, keyB(), k.key, claims(k.clock.Now()))
	}
	answer, err := json.Marshal(map[string]string{"access_token": access, "refresh_token": k.refresh})
	return respond(http.StatusOK, string(answer)), err
}

func (k *kiosk) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

func (k *kiosk) requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.asked)
}

// signIn returns the cookie of a browser that has signed in.
func (k *kiosk) signIn() string {
	k.t.Helper()
	a, err := k.browsers.Begin("/there")
	if err != nil {
		k.t.Fatal(err)
	}
	c, who, to, err := k.browsers.Finish(k.t.Context(), auth.Return{State: a.State, Sealed: a.Sealed, Code: "code_1", From: auth.Browser{Address: "192.0.2.1", Agent: "UA/1"}})
	if err != nil || to != "/there" || who.User == "" || !c.Ends.Equal(k.clock.Now().Add(30*24*time.Hour)) {
		k.t.Fatalf("%+v, %+v, %q, %v", c, who, to, err)
	}
	return c.Value
}

func (k *kiosk) number(query string) (n int64) {
	k.t.Helper()
	err := k.db.Read(k.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

func TestAddressesOfAuthKit(t *testing.T) {
	b, err := os.ReadFile("testdata/authkit.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	kit, err := auth.NewAuthKit(auth.WorkOSAPI{URL: want["api"] + "/", Key: workosKey, Client: &http.Client{}, Log: slog.New(slog.DiscardHandler)}, want["client"], want["origin"])
	if err != nil {
		t.Fatal(err)
	}
	if got := kit.AuthorizeURL(want["state"], auth.Challenge(want["verifier"])); got != want["authorize"] {
		t.Errorf("authorize:\n got %s\nwant %s", got, want["authorize"])
	}
	if got := kit.LogoutURL(want["session"]); got != want["logout"] {
		t.Errorf("logout:\n got %s\nwant %s", got, want["logout"])
	}
}

func TestWhatWorkOSIsAsked(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.clock.advance(5 * time.Minute)
	who, _, err := k.browsers.Authenticate(t.Context(), cookie)
	if err != nil || who.Session != "session_1" || !who.Expires.Equal(k.clock.Now().Add(5*time.Minute)) {
		t.Errorf("%+v, %v", who, err)
	}
	first, second := k.asked[0], k.asked[1]
	if len(first["code_verifier"]) < 43 || len(k.asked) != 2 {
		t.Errorf("%v", k.asked)
	}
	delete(first, "code_verifier")
	for i, want := range []map[string]string{
		{"client_id": clientID, "client_secret": workosKey, "grant_type": "authorization_code", "code": "code_1", "ip_address": "192.0.2.1", "user_agent": "UA/1"},
		{"client_id": clientID, "client_secret": workosKey, "grant_type": "refresh_token", "refresh_token": "refresh_1", "organization_id": "org_1"},
	} {
		if got := []map[string]string{first, second}[i]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("asked with %v, want %v", got, want)
		}
	}
	u, err := url.Parse(mustSignOut(k, cookie))
	if err != nil || u.Query().Get("session_id") != "session_1" {
		t.Errorf("to log out: %s, %v", u, err)
	}
}

func mustSignOut(k *kiosk, cookie string) string {
	k.t.Helper()
	_, to, err := k.browsers.SignOut(k.t.Context(), cookie)
	if err != nil {
		k.t.Fatal(err)
	}
	return to
}

// A copy of the database, even with the password, opens no refresh token; and a
// cookie does not without the password.
func TestCookieAndPasswordOpenASessionTogether(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	if n := k.number(`SELECT count(*) FROM sessions WHERE instr(sealed, 'refresh_') = 0`); n != 1 {
		t.Errorf("%d are sealed", n)
	}
	if _, _, err := k.open(password).Authenticate(t.Context(), cookie); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	id, secret, _ := strings.Cut(cookie, ".")
	for name, try := range map[string]struct{ password, cookie string }{
		"another password": {strings.Repeat("x", 32), cookie},
		"no password":      {"", cookie},
		"another secret":   {password, id + "." + strings.Repeat("A", len(secret))},
	} {
		_, _, err := k.open(try.password).Authenticate(t.Context(), try.cookie)
		wantKind(t, err, domain.Unauthenticated, "sign in again")
		if _, _, err := k.open(try.password).SignOut(t.Context(), try.cookie); domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("%s signs out: %v", name, err)
		}
	}
	a, err := k.browsers.Begin("/")
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = k.open(strings.Repeat("x", 32)).Finish(t.Context(), auth.Return{State: a.State, Sealed: a.Sealed, Code: "code"})
	wantKind(t, err, domain.Unauthenticated, "begin again")
}

func TestSessionEndsAfterThirtyDays(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.clock.advance(30*24*time.Hour - time.Minute)
	who, renewable, err := k.browsers.Authenticate(t.Context(), cookie)
	if err != nil || !who.Expires.Equal(k.clock.Now().Add(time.Minute)) {
		t.Fatalf("%+v, %v", who, err)
	}
	k.clock.advance(time.Minute)
	_, _, err = k.browsers.Authenticate(t.Context(), cookie)
	wantKind(t, err, domain.Unauthenticated, "the session has ended")
	_, err = renewable.Renew(t.Context())
	wantKind(t, err, domain.Unauthenticated, "the session has ended")
}

// The one that was used is worth nothing, so the next is kept whatever comes with
// it.
func TestRefreshTokenIsKeptWhenItsTokenIsNotBelieved(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.set(func() { k.key = "b" })
	k.clock.advance(5 * time.Minute)
	_, _, err := k.browsers.Authenticate(t.Context(), cookie)
	wantKind(t, err, domain.Unavailable, "")
	k.set(func() { k.key = "" })
	k.clock.advance(5 * time.Second)
	if _, _, err := k.browsers.Authenticate(t.Context(), cookie); err != nil {
		t.Error(err)
	}
}

func TestRenewalForAnotherEndsTheSession(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.set(func() { k.claims = jwt.MapClaims{"sub": "user_2"} })
	k.clock.advance(5 * time.Minute)
	_, _, err := k.browsers.Authenticate(t.Context(), cookie)
	wantKind(t, err, domain.Unauthenticated, "somebody else")
	if n := k.number(`SELECT count(*) FROM sessions`); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestSessionThatEndsWhileItIsRenewedHasEnded(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.clock.advance(5 * time.Minute)
	k.set(func() {
		k.instead = func(*http.Request) (*http.Response, error) {
			if err := k.people.EndSession(t.Context(), domain.Actor{Session: "session_1"}); err != nil {
				t.Error(err)
			}
			return respond(http.StatusOK, fmt.Sprintf(`{"access_token":%q,"refresh_token":"refresh_2"}`, good(t, k.clock.Now()))), nil
		}
	})
	_, _, err := k.browsers.Authenticate(t.Context(), cookie)
	wantKind(t, err, domain.Unauthenticated, "the session has ended")
}

func TestClosingCutsRenewalsOff(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.clock.advance(5 * time.Minute)
	asked := make(chan struct{})
	k.set(func() {
		k.instead = func(r *http.Request) (*http.Response, error) {
			close(asked)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
	})
	failed := make(chan error)
	go func() {
		_, _, err := k.browsers.Authenticate(t.Context(), cookie)
		failed <- err
	}()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k.browsers.Close(ctx)
	wantKind(t, <-failed, domain.Unavailable, "")
	_, _, err := k.browsers.Authenticate(t.Context(), cookie)
	wantKind(t, err, domain.ShuttingDown, "")
}

// The token that was used up is worth nothing, so the next is waited for.
func TestClosingWaitsForTheNextToken(t *testing.T) {
	k := newKiosk(t)
	cookie := k.signIn()
	k.clock.advance(5 * time.Minute)
	closed := make(chan struct{})
	k.set(func() {
		k.instead = func(*http.Request) (*http.Response, error) {
			go func() { defer close(closed); k.browsers.Close(context.Background()) }()
			select {
			case <-closed:
				t.Error("closed before WorkOS has answered")
			case <-time.After(20 * time.Millisecond):
			}
			k.set(func() { k.refresh = "refresh_next" })
			return respond(http.StatusOK, fmt.Sprintf(`{"access_token":%q,"refresh_token":"refresh_next"}`, good(t, k.clock.Now()))), nil
		}
	})
	_, _, _ = k.browsers.Authenticate(t.Context(), cookie) // which may have been told of the end
	<-closed
	k.set(func() { k.instead = nil })
	k.clock.advance(5 * time.Minute)
	if _, _, err := k.open(password).Authenticate(t.Context(), cookie); err != nil {
		t.Error(err)
	}
}

// WorkOS is spared while it fails: each session waits a little, and after five
// failures in a row all do.
func TestWorkOSThatFailsIsSpared(t *testing.T) {
	k := newKiosk(t)
	cookies := []string{k.signIn(), k.signIn(), k.signIn(), k.signIn()}
	k.clock.advance(5 * time.Minute)
	k.set(func() {
		k.asked = nil
		k.instead = func(*http.Request) (*http.Response, error) { return respond(http.StatusBadGateway, ""), nil }
	})
	for range 3 {
		for _, c := range cookies {
			_, _, err := k.browsers.Authenticate(t.Context(), c)
			wantKind(t, err, domain.Unavailable, "cannot answer now")
		}
	}
	if n := k.requests(); n != 5 {
		t.Errorf("WorkOS was asked %d times", n)
	}
	if n := k.number(`SELECT count(*) FROM ended_sessions`); n != 0 {
		t.Errorf("%d sessions have ended", n)
	}
}

// What WorkOS asks for is kept to, by the session that it is asked for.
func TestPauseThatWorkOSAsksForIsKept(t *testing.T) {
	k := newKiosk(t)
	one, other := k.signIn(), k.signIn()
	k.clock.advance(5 * time.Minute)
	limited := func(*http.Request) (*http.Response, error) {
		r := respond(http.StatusTooManyRequests, `{"error":"too_many_requests"}`)
		r.Header.Set("Retry-After", "30")
		return r, nil
	}
	k.set(func() { k.asked, k.instead = nil, limited })
	for range 3 {
		_, _, err := k.browsers.Authenticate(t.Context(), one)
		wantKind(t, err, domain.Unavailable, "cannot answer now")
		k.clock.advance(9 * time.Second)
	}
	if n := k.requests(); n != 1 {
		t.Errorf("WorkOS was asked %d times", n)
	}
	k.set(func() { k.instead = nil; k.refresh = "refresh_2" })
	if _, _, err := k.browsers.Authenticate(t.Context(), other); err != nil {
		t.Errorf("another session: %v", err)
	}
}

func BenchmarkAuthenticateBrowser(b *testing.B) {
	k := newKiosk(b)
	cookie := k.signIn()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := k.browsers.Authenticate(b.Context(), cookie); err != nil {
			b.Fatal(err)
		}
	}
}
