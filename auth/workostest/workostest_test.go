package workostest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/auth/workostest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// redirectURI is where the emulator would send a browser; nobody listens there.
const redirectURI = "http://127.0.0.1:1/callback"

const authenticatePath = "/user_management/authenticate"

type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	User         struct {
		Email string `json:"email"`
	} `json:"user"`
}

func TestEmulatorSignsIn(t *testing.T) {
	e := workostest.Start(t, workostest.Person{Email: "ada@example.com"}, workostest.Person{Email: "grace@example.com"})
	first := signIn(t, e, "grace@example.com")
	if first.User.Email != "grace@example.com" {
		t.Errorf("signed in as %q", first.User.Email)
	}
	before := expires(t, first.AccessToken)
	e.Advance(2 * time.Hour)
	var second grant
	if status := e.Call(http.MethodPost, authenticatePath, map[string]string{"grant_type": "refresh_token", "refresh_token": first.RefreshToken}, &second); status != http.StatusOK {
		t.Fatalf("refreshed with %d", status)
	}
	if later := expires(t, second.AccessToken).Sub(before); later < 2*time.Hour || later > 2*time.Hour+time.Minute {
		t.Errorf("the clock has moved by %v, want 2h", later)
	}
	var refused struct{ Code string }
	if status := e.Call(http.MethodPost, authenticatePath, map[string]string{"grant_type": "refresh_token", "refresh_token": first.RefreshToken}, &refused); status != http.StatusBadRequest || refused.Code != "invalid_grant" {
		t.Errorf("a token that was used is answered %d %q", status, refused.Code)
	}
}

func TestEmulatorCanBeAway(t *testing.T) {
	e := workostest.Start(t)
	get := func() (int, error) {
		a, err := http.Get(e.URL + "/health")
		if err != nil {
			return 0, err
		}
		return a.StatusCode, a.Body.Close()
	}
	defer http.DefaultClient.CloseIdleConnections()
	e.Intercept(workostest.Down)
	if status, err := get(); err == nil {
		t.Errorf("while it is down it answers %d", status)
	}
	e.Intercept(func(w http.ResponseWriter, _ *http.Request) { workostest.Pass(w) })
	if status, err := get(); err != nil || status != http.StatusOK {
		t.Errorf("let through it answers %d, %v", status, err)
	}
	e.Intercept(nil)
	if status, err := get(); err != nil || status != http.StatusOK {
		t.Errorf("afterwards it answers %d, %v", status, err)
	}
	if n := e.Count("/health"); n < 3 {
		t.Errorf("%d requests were counted", n)
	}
}

// signIn returns what the emulator gives for the code of a browser.
func signIn(t *testing.T, e *workostest.Emulator, email string) (g grant) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	a, err := client.Get(e.URL + "/user_management/authorize?" + url.Values{"redirect_uri": {redirectURI}, "login_hint": {email}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	at, err := a.Location()
	if err != nil {
		t.Fatalf("%d: %v", a.StatusCode, err)
	}
	body := map[string]string{"grant_type": "authorization_code", "code": at.Query().Get("code")}
	if status := e.Call(http.MethodPost, authenticatePath, body, &g); status != http.StatusOK {
		t.Fatalf("the code is answered %d", status)
	}
	return g
}

// expires reads the end of a token without looking at its signature.
func expires(t *testing.T, token string) time.Time {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Exp int64 }
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.Exp, 0)
}
