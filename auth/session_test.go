package auth_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

func (h *house) mustSignOut(t testing.TB, token string) {
	t.Helper()
	if _, err := h.auth.SignOut(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

func (h *house) signOutError(t testing.TB, token string) error {
	t.Helper()
	_, err := h.auth.SignOut(t.Context(), token)
	return err
}

func (h *house) number(t testing.TB, query string) (n int64) {
	t.Helper()
	err := h.db.Read(t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTokensOfAnEndedSessionAreRefused(t *testing.T) {
	h := newHouse(t)
	first := good(t, h.clock.Now())
	other := good(t, h.clock.Now(), jwt.MapClaims{"sid": "session_2"})
	bare := good(t, h.clock.Now(), jwt.MapClaims{"sid": nil})
	h.mustAuthenticate(t, first)
	h.mustSignOut(t, first)
	h.clock.advance(time.Second)
	for name, token := range map[string]string{
		"the token":             first,
		"a refreshed one":       good(t, h.clock.Now()),
		"one with another role": good(t, h.clock.Now(), jwt.MapClaims{"role": "admin"}),
	} {
		if _, err := h.auth.Authenticate(t.Context(), token); err == nil {
			t.Errorf("%s is believed", name)
		} else {
			wantKind(t, err, domain.Unauthenticated, "the session has ended")
		}
	}
	if a := h.mustAuthenticate(t, other); a.OrgRole != "member" {
		t.Errorf("a refused token changed the role to %q", a.OrgRole)
	}
	h.mustAuthenticate(t, bare)
	wantKind(t, h.signOutError(t, first), domain.Unauthenticated, "the session has ended")

	// Whoever has a refresh token gets tokens of the session from WorkOS for as long
	// as it goes on there, which a sign-out by token does not end.
	for range 12 {
		h.clock.advance(30 * 24 * time.Hour)
		h.mustAuthenticate(t, good(t, h.clock.Now(), jwt.MapClaims{"sid": "session_3"}))
		h.mustSignOut(t, good(t, h.clock.Now(), jwt.MapClaims{"sid": "session_of " + h.clock.Now().String()})) // which forgets what may be forgotten
		_, err := h.auth.Authenticate(t.Context(), good(t, h.clock.Now()))
		wantKind(t, err, domain.Unauthenticated, "the session has ended")
	}
}

func TestSigningOut(t *testing.T) {
	h := newHouse(t)
	now := h.clock.Now()
	wantKind(t, h.signOutError(t, good(t, now, jwt.MapClaims{"sid": nil})), domain.Conflict, "belongs to no session")
	wantKind(t, h.signOutError(t, good(t, now, jwt.MapClaims{"exp": 1})), domain.Unauthenticated, "has expired")
	wantKind(t, h.signOutError(t, "nonsense"), domain.Unauthenticated, "not a signed JWT")
	if n := h.number(t, `SELECT count(*) FROM ended_sessions`); n != 0 {
		t.Errorf("%d sessions have ended", n)
	}

	token := good(t, now)
	h.deactivate(t, h.mustAuthenticate(t, token).User)
	h.mustSignOut(t, token)
	_, err := h.auth.Authenticate(t.Context(), token)
	wantKind(t, err, domain.Unauthenticated, "the session has ended")
}

// A session that ended before its person was ever seen lets nobody in, also
// when another session of theirs makes the account at the same time.
func TestSessionThatEndedBeforeArrival(t *testing.T) {
	h := newHouse(t)
	ended, other := good(t, h.clock.Now()), good(t, h.clock.Now(), jwt.MapClaims{"sid": "session_2"})
	h.mustSignOut(t, ended)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := h.auth.Authenticate(t.Context(), ended)
			wantKind(t, err, domain.Unauthenticated, "the session has ended")
		})
		all.Go(func() {
			if _, err := h.auth.Authenticate(t.Context(), other); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if h.directory.asked != 1 {
		t.Errorf("the directory was asked %d times, want once", h.directory.asked)
	}
}

func TestOnlyThoseLetInAreSeen(t *testing.T) {
	h := newHouse(t)
	seen := auth.NewLastSeen(h.people, h.clock.Now, slog.New(slog.DiscardHandler))
	h.auth = auth.NewAuthenticator(h.provider.verifier(t, h.clock.Now), h.people, h.directory, seen)
	token := func(subject string) string {
		return good(t, h.clock.Now(), jwt.MapClaims{"sub": subject, "sid": subject})
	}
	for _, subject := range []string{"user_in", "user_out", "user_off"} {
		if _, err := h.people.SignIn(t.Context(), users.Identity{Subject: subject, Org: "org_1", OrgRole: "member", At: h.clock.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	h.mustSignOut(t, token("user_out"))
	account, err := h.people.BySubject(t.Context(), "user_off", "")
	if err != nil {
		t.Fatal(err)
	}
	h.deactivate(t, account.User)
	in := h.mustAuthenticate(t, token("user_in"))
	for _, subject := range []string{"user_out", "user_off"} {
		if _, err := h.auth.Authenticate(t.Context(), token(subject)); err == nil {
			t.Errorf("%s is let in", subject)
		}
	}
	if _, err := h.auth.Authenticate(t.Context(), strings.ToUpper(token("user_in"))); err == nil {
		t.Error("a spoiled token is let in")
	}
	if err := seen.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.number(t, `SELECT count(*) FROM last_seen`); n != 1 {
		t.Errorf("%d were seen", n)
	}
	if at := h.number(t, `SELECT seen_at FROM last_seen WHERE user_id = '`+string(in.User)+`'`); at != h.clock.Now().UnixMilli() {
		t.Errorf("seen at %d", at)
	}
}
