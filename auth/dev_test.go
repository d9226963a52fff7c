package auth_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

// workshop is the development identity provider and an authenticator that
// believes it.
type workshop struct {
	db   *db.DB
	dev  *auth.DevProvider
	auth *auth.Authenticator
}

func newWorkshop(t *testing.T, c *clock, options ...func(*db.Options)) *workshop {
	t.Helper()
	w := &workshop{db: dbtest.Open(t, append(options, func(o *db.Options) { o.Now = c.Now })...)}
	people := users.NewStore(w.db)
	var err error
	if w.dev, err = auth.NewDevProvider(t.Context(), w.db, people); err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(t.Context(), w.dev.Config(c.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	w.auth = auth.NewAuthenticator(v, people, w.dev, lastSeen(t, people, c.Now))
	return w
}

func (w *workshop) mustToken(t *testing.T, r auth.TokenRequest) auth.Grant {
	t.Helper()
	g, err := w.dev.Token(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (w *workshop) mustAuthenticate(t *testing.T, token string) domain.Actor {
	t.Helper()
	actor, err := w.auth.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

func TestDevelopmentTokenIsAccepted(t *testing.T) {
	c := newClock()
	w := newWorkshop(t, c)
	g := w.mustToken(t, auth.TokenRequest{Email: "Ada@Example.com", Name: " Ada ", OrgID: "org_1", OrgRole: "admin"})
	if g.User.Email != "ada@example.com" || g.User.DisplayName != "Ada" || g.User.Org != "org_1" || g.ExpiresIn != 12*time.Hour {
		t.Errorf("got %+v", g)
	}
	actor := w.mustAuthenticate(t, g.AccessToken)
	want := domain.Actor{User: g.User.ID, Org: "org_1", OrgRole: "admin", Session: actor.Session, Expires: c.Now().Add(12 * time.Hour)}
	if actor != want || !strings.HasPrefix(actor.Session, "session_") {
		t.Errorf("got %+v, want %+v", actor, want)
	}
	again := w.mustToken(t, auth.TokenRequest{Email: "ADA@example.com"})
	if again.User.ID != g.User.ID || again.User.DisplayName != "Ada" {
		t.Errorf("the same address in another case: got %+v", again.User)
	}
	c.advance(12*time.Hour + 30*time.Second)
	_, err := w.auth.Authenticate(t.Context(), g.AccessToken)
	wantKind(t, err, domain.Unauthenticated, "has expired")
}

func TestDevelopmentTokenHasTheClaimsOfWorkOS(t *testing.T) {
	w := newWorkshop(t, newClock())
	g := w.mustToken(t, auth.TokenRequest{Email: "ada@example.com", OrgID: "org_1", OrgRole: "admin"})
	var got jwt.MapClaims
	token, _, err := jwt.NewParser().ParseUnverified(g.AccessToken, &got)
	if err != nil {
		t.Fatal(err)
	}
	for name, prefix := range map[string]string{"iss": "http", "sub": "user_", "sid": "session_", "org_id": "org_1", "role": "admin", "client_id": "client_", "jti": ""} {
		if s, isText := got[name].(string); !isText || s == "" || !strings.HasPrefix(s, prefix) {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if token.Header["alg"] != "RS256" || token.Header["kid"] == "" {
		t.Errorf("header %v", token.Header)
	}
}

// All calls come in one instant, when a token's own time cannot tell them apart.
func TestOrganizationAndRoleAreAppliedAtEachCall(t *testing.T) {
	w := newWorkshop(t, newClock())
	for _, want := range []auth.TokenRequest{
		{OrgID: "org_1", OrgRole: "admin"}, {OrgID: "org_1", OrgRole: "member"}, {OrgID: "org_2"}, {}, {OrgID: "org_1", OrgRole: "admin"},
	} {
		want.Email = "ada@example.com"
		g := w.mustToken(t, want)
		actor := w.mustAuthenticate(t, g.AccessToken)
		if actor.Org != want.OrgID || actor.OrgRole != want.OrgRole || g.User.Org != want.OrgID || g.User.OrgRole != want.OrgRole {
			t.Errorf("got %+v and %+v, want %+v", actor, g.User, want)
		}
	}
}

func TestDevelopmentKeyOutlivesARestart(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "connvo.db")
	at := func(o *db.Options) { o.Path = path }
	first := newWorkshop(t, c, at)
	g := first.mustToken(t, auth.TokenRequest{Email: "ada@example.com"})
	if err := first.db.Close(); err != nil {
		t.Fatal(err)
	}
	second := newWorkshop(t, c, at)
	if actor := second.mustAuthenticate(t, g.AccessToken); actor.User != g.User.ID {
		t.Errorf("got %+v, want %s", actor, g.User.ID)
	}
	_, err := newWorkshop(t, c).auth.Authenticate(t.Context(), g.AccessToken)
	wantKind(t, err, domain.Unauthenticated, "does not have")
}

func TestDevelopmentDirectory(t *testing.T) {
	w := newWorkshop(t, newClock())
	w.mustToken(t, auth.TokenRequest{Email: "ada@example.com", Name: "Ada"})
	w.mustToken(t, auth.TokenRequest{Email: "ada@example.com", Name: "Countess"})
	g := w.mustToken(t, auth.TokenRequest{Email: "ada@example.com"})
	var told jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(g.AccessToken, &told); err != nil {
		t.Fatal(err)
	}
	got, err := w.dev.Person(t.Context(), told.Subject)
	if err != nil || got != (auth.Person{Email: "ada@example.com", EmailVerified: true, Name: "Countess"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = w.dev.Person(t.Context(), "user_nobody")
	wantKind(t, err, domain.NotFound, "no such person")
}

func TestRefusedTokenRequests(t *testing.T) {
	w := newWorkshop(t, newClock())
	long := strings.Repeat("x", 400)
	for name, test := range map[string]struct {
		request auth.TokenRequest
		field   string
	}{
		"no e-mail":               {auth.TokenRequest{}, "body.email"},
		"no address":              {auth.TokenRequest{Email: "ada"}, "body.email"},
		"an address with a name":  {auth.TokenRequest{Email: "Ada <ada@example.com>"}, "body.email"},
		"an address in brackets":  {auth.TokenRequest{Email: "<ada@example.com>"}, "body.email"},
		"a comment":               {auth.TokenRequest{Email: "ada@example.com (Ada)"}, "body.email"},
		"two addresses":           {auth.TokenRequest{Email: "a@example.com,b@example.com"}, "body.email"},
		"white space":             {auth.TokenRequest{Email: " ada@example.com"}, "body.email"},
		"a line break":            {auth.TokenRequest{Email: "ada@example.com\r\n"}, "body.email"},
		"a long address":          {auth.TokenRequest{Email: long + "@example.com"}, "body.email"},
		"a long name":             {auth.TokenRequest{Email: "a@b.c", Name: strings.Repeat("é", users.MaxDisplayName+1)}, "body.name"},
		"an organization's shape": {auth.TokenRequest{Email: "a@b.c", OrgID: "org 1"}, "body.orgId"},
		"a long organization":     {auth.TokenRequest{Email: "a@b.c", OrgID: long}, "body.orgId"},
		"a role's shape":          {auth.TokenRequest{Email: "a@b.c", OrgID: "o", OrgRole: "admin\n"}, "body.orgRole"},
		"a long role":             {auth.TokenRequest{Email: "a@b.c", OrgID: "o", OrgRole: long}, "body.orgRole"},
		"a role in nothing":       {auth.TokenRequest{Email: "a@b.c", OrgRole: "admin"}, "body.orgRole"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.db.Committed()
			_, err := w.dev.Token(t.Context(), test.request)
			wantKind(t, err, domain.Invalid, "")
			if e, found := errors.AsType[*domain.Error](err); !found || e.Field != test.field {
				t.Errorf("got %#v, want field %s", err, test.field)
			}
			if w.db.Committed() != before {
				t.Error("something was written")
			}
		})
	}
	w.mustToken(t, auth.TokenRequest{Email: "a@b.c", Name: strings.Repeat("é", users.MaxDisplayName), OrgID: "org_1"})
}

func TestDeactivatedUserGetsNoDevelopmentToken(t *testing.T) {
	w := newWorkshop(t, newClock())
	g := w.mustToken(t, auth.TokenRequest{Email: "ada@example.com"})
	(&house{db: w.db}).deactivate(t, g.User.ID)
	_, err := w.dev.Token(t.Context(), auth.TokenRequest{Email: "ada@example.com"})
	wantKind(t, err, domain.Forbidden, "this user is deactivated")
}

func TestKeySetShowsNoPrivateKey(t *testing.T) {
	w := newWorkshop(t, newClock())
	answer := httptest.NewRecorder()
	w.dev.JWKS(answer, httptest.NewRequest("GET", "/", nil))
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(answer.Body.Bytes(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("got %s, %v", answer.Body, err)
	}
	for name := range set.Keys[0] {
		if !strings.Contains(" alg kty use kid n e ", " "+name+" ") {
			t.Errorf("the key set holds %s", name)
		}
	}
}
