package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

// directory is people as the identity provider knows them.
type directory struct {
	mu     sync.Mutex // guards the rest
	asked  int
	person auth.Person
	err    error
	belong []users.Membership
	halves error  // instead of the memberships, unless nil
	hold   func() // called before an answer, unless nil
}

func (d *directory) Person(context.Context, string) (auth.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.hold != nil {
		d.hold()
	}
	return d.person, d.err
}

func (d *directory) Memberships(_ context.Context, subject string) ([]users.Membership, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.halves != nil {
		return nil, d.halves
	}
	var all []users.Membership
	for _, m := range d.belong {
		m.Subject = subject
		all = append(all, m)
	}
	return all, nil
}

// house is an authenticator with what it stands on.
type house struct {
	clock     *clock
	db        *db.DB
	people    *users.Store
	directory *directory
	provider  *provider
	auth      *auth.Authenticator
	writes    atomic.Int64 // commits that were about users
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{
		clock:     newClock(),
		directory: &directory{person: auth.Person{Email: "ada@example.com", Name: "Ada"}},
		provider:  newProvider(),
	}
	h.db = dbtest.Open(t, func(o *db.Options) { o.Now = h.clock.Now })
	h.db.OnCommit(func(set db.ChangeSet) {
		if set.Has("users") { // not that they were seen, which is stored some seconds later
			h.writes.Add(1)
		}
	})
	h.people = users.NewStore(h.db)
	h.auth = auth.NewAuthenticator(h.provider.verifier(t, h.clock.Now), h.people, h.directory, lastSeen(t, h.people, h.clock.Now))
	return h
}

// lastSeen returns a LastSeen that is closed when the test ends.
func lastSeen(t testing.TB, people *users.Store, now func() time.Time) *auth.LastSeen {
	t.Helper()
	l := auth.NewLastSeen(people, now, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (h *house) mustAuthenticate(t testing.TB, token string) domain.Actor {
	t.Helper()
	actor, err := h.auth.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

func TestFirstSightMakesTheUser(t *testing.T) {
	h := newHouse(t)
	h.directory.person.AvatarURL = "https://pictures.example/" + strings.Repeat("x", users.MaxAvatarURL)
	actor := h.mustAuthenticate(t, good(t, h.clock.Now()))
	want := domain.Actor{User: actor.User, Org: "org_1", OrgRole: "member", Session: "session_1", Expires: h.clock.Now().Add(5 * time.Minute)}
	if actor != want || actor.User == "" {
		t.Errorf("got %+v, want %+v", actor, want)
	}
	me, err := h.people.Me(t.Context(), actor)
	if err != nil || me.Email != "ada@example.com" || me.DisplayName != "Ada" || me.AvatarURL != "" {
		t.Errorf("got %+v, %v", me, err)
	}
	if again := h.mustAuthenticate(t, good(t, h.clock.Now())); again != actor || h.directory.asked != 1 {
		t.Errorf("second time: got %+v after %d questions", again, h.directory.asked)
	}
}

// The token of the first request may be some minutes old, and webhooks come in any
// order: what the person was like before the directory was asked is no news.
func TestWhatWasToldBeforeTheFirstSightIsNoNews(t *testing.T) {
	h := newHouse(t)
	begun := h.clock.Now()
	token := good(t, begun)
	h.clock.advance(30 * time.Second)
	h.directory.person.ChangedAt = begun.Add(20 * time.Second)
	actor := h.mustAuthenticate(t, token)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{10 * time.Second, "Ada"}, {20 * time.Second, "Ada"}, {21 * time.Second, "Augusta"}} {
		err := h.db.Write(t.Context(), func(tx *db.WriteTx) error {
			return h.people.Renew(tx, users.Identity{Subject: "user_1", Email: "ada@example.com", Name: "Augusta", At: begun.Add(c.after)})
		})
		me, failed := h.people.Me(t.Context(), actor)
		if err != nil || failed != nil || me.DisplayName != c.want {
			t.Errorf("told after %v: %+v, %v, %v, want %s", c.after, me, err, failed, c.want)
		}
	}
}

func TestBurstOfFirstRequestsAsksOnce(t *testing.T) {
	h := newHouse(t)
	var all sync.WaitGroup
	actors := make([]domain.Actor, 50)
	for i := range actors {
		token := good(t, h.clock.Now())
		all.Go(func() {
			var err error
			if actors[i], err = h.auth.Authenticate(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, a := range actors {
		if a != actors[0] {
			t.Fatalf("two users for one person: %+v, %+v", a, actors[0])
		}
	}
	if n := h.writes.Load(); h.directory.asked != 1 || n != 1 {
		t.Errorf("the directory was asked %d times, %d commits; want 1 and 1", h.directory.asked, n)
	}
}

// The request that asks the directory may go away; those that wait for its
// answer stay.
func TestAskingOutlivesTheRequest(t *testing.T) {
	h := newHouse(t)
	asked, release, answered := make(chan struct{}), make(chan struct{}), make(chan error)
	h.directory.hold = func() {
		close(asked)
		<-release
	}
	ctx, cancel := context.WithCancel(t.Context())
	token := good(t, h.clock.Now())
	go func() {
		_, err := h.auth.Authenticate(ctx, token)
		answered <- err
	}()
	<-asked
	cancel()
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if h.mustAuthenticate(t, token); h.directory.asked != 1 {
		t.Errorf("the directory was asked %d times, want once", h.directory.asked)
	}
}

func TestDirectoryThatCannotTell(t *testing.T) {
	secret := errors.New("sk_live_secret")
	for name, test := range map[string]struct {
		err      error
		kind     domain.Kind
		sentence string
	}{
		"unknown":     {domain.Fail(domain.NotFound, "no such user"), domain.Unauthenticated, "does not know the user"},
		"down":        {domain.Fail(domain.Unavailable, "the circuit is open"), domain.Unavailable, "the circuit is open"},
		"our mistake": {domain.Because(domain.Unauthenticated, secret, "bad API key"), domain.Unavailable, "cannot answer now"},
		"a defect":    {secret, domain.Unavailable, "cannot answer now"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.directory.err = test.err
			token := good(t, h.clock.Now())
			_, err := h.auth.Authenticate(t.Context(), token)
			wantKind(t, err, test.kind, test.sentence)
			h.directory.err = nil
			h.mustAuthenticate(t, token)
		})
	}
}

func TestOrganizationAndRoleComeFromTheNewestToken(t *testing.T) {
	h := newHouse(t)
	old := good(t, h.clock.Now(), jwt.MapClaims{"role": "admin"})
	h.mustAuthenticate(t, good(t, h.clock.Now()))
	token := func(org, role any) string { return good(t, h.clock.Now(), jwt.MapClaims{"org_id": org, "role": role}) }
	is := func(step, token, org, role string) {
		t.Helper()
		if a := h.mustAuthenticate(t, token); a.Org != org || a.OrgRole != role {
			t.Errorf("%s: got %q as %q, want %q as %q", step, a.Org, a.OrgRole, org, role)
		}
	}
	is("a token of the same second is no news", old, "org_1", "member")
	h.clock.advance(time.Second)
	is("another role", token("org_1", "admin"), "org_1", "admin")
	h.clock.advance(time.Second)
	is("another organization", token("org_2", "member"), "org_2", "member")
	is("an older token changes nothing", old, "org_2", "member")
	h.clock.advance(time.Second)
	is("no organization", token(nil, nil), "", "")
	writes := h.writes.Load()
	h.clock.advance(time.Second)
	is("nothing new", token(nil, nil), "", "")
	if got := h.writes.Load(); got != writes {
		t.Errorf("a token without news was written %d times", got-writes)
	}
	if h.directory.asked != 1 {
		t.Errorf("the directory was asked %d times, want once", h.directory.asked)
	}
}

const deactivate = `UPDATE users SET active = 0 WHERE id = ?`

func (h *house) deactivate(t *testing.T, user domain.UserID) {
	t.Helper()
	err := h.db.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(deactivate, user)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDeactivatedUserIsRefused(t *testing.T) {
	h := newHouse(t)
	token := good(t, h.clock.Now())
	h.deactivate(t, h.mustAuthenticate(t, token).User)
	_, err := h.auth.Authenticate(t.Context(), token)
	wantKind(t, err, domain.Forbidden, "this user is deactivated")
}

func TestRefusedTokenMakesNobody(t *testing.T) {
	h := newHouse(t)
	_, err := h.auth.Authenticate(t.Context(), good(t, h.clock.Now(), jwt.MapClaims{"exp": 1}))
	wantKind(t, err, domain.Unauthenticated, "has expired")
	if h.directory.asked != 0 || h.db.Committed() != 0 {
		t.Errorf("asked %d times, wrote %d", h.directory.asked, h.db.Committed())
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	h := newHouse(b)
	now := h.clock.Now()
	run := func(name, token string) {
		b.Run(name, func(b *testing.B) {
			h.mustAuthenticate(b, token)
			b.ReportAllocs()
			for b.Loop() {
				h.mustAuthenticate(b, token)
			}
		})
	}
	run("repeated token", good(b, now))
	// A token that has expired within the leeway is not remembered.
	run("new token", good(b, now, jwt.MapClaims{"exp": now.Unix()}))
	b.Run("repeated tokens of 1000 people, in parallel", func(b *testing.B) {
		tokens := make([]string, 1000)
		for i := range tokens {
			tokens[i] = good(b, now, jwt.MapClaims{"sub": fmt.Sprint("user_", i)})
			h.mustAuthenticate(b, tokens[i])
		}
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				h.mustAuthenticate(b, tokens[i%len(tokens)])
			}
		})
	})
}
