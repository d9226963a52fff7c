package users_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock stands still until it is told otherwise.
type clock struct {
	mu sync.Mutex // guards t
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// town is a database with people in it.
type town struct {
	t     testing.TB
	clock *clock
	db    *db.DB
	users *users.Store
}

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{t: t, clock: &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	w.db = dbtest.Open(t, func(o *db.Options) { o.Now = w.clock.Now })
	w.users = users.NewStore(w.db)
	return w
}

// arrive returns somebody whose token expires in 12 hours.
func (w *town) arrive(name, session string) domain.Actor {
	w.t.Helper()
	a, err := w.users.SignIn(w.t.Context(), users.Identity{Subject: "user_" + name, Email: name + "@example.com", At: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return domain.Actor{User: a.User, Session: session, Expires: w.clock.Now().Add(12 * time.Hour)}
}

func (w *town) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.Write(w.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) number(query string, args ...any) (n int64) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *town) end(who domain.Actor) {
	w.t.Helper()
	if err := w.users.EndSession(w.t.Context(), who); err != nil {
		w.t.Fatal(err)
	}
}

// stands fails the test unless the actor may be served.
func (w *town) stands(who domain.Actor) {
	w.t.Helper()
	if err := w.users.Standing(w.t.Context(), who); err != nil {
		w.t.Errorf("%+v is refused: %v", who, err)
	}
}

// falls fails the test unless the actor is refused with the kind and sentence.
func (w *town) falls(who domain.Actor, kind domain.Kind, sentence string) {
	w.t.Helper()
	refused(w.t, w.users.Standing(w.t.Context(), who), kind, sentence)
}

func refused(t testing.TB, err error, kind domain.Kind, sentence string) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), sentence) {
		t.Errorf("got %v of kind %d, want %q of kind %d", err, domain.KindOf(err), sentence, kind)
	}
}

const (
	countEnded = `SELECT count(*) FROM ended_sessions`
	isEnded    = `SELECT count(*) FROM ended_sessions WHERE session = ?`
)

func TestEndedSessionIsNotServed(t *testing.T) {
	w := newTown(t)
	laptop, grace := w.arrive("ada", "session_laptop"), w.arrive("grace", "session_grace")
	phone, bare := laptop, laptop
	phone.Session, bare.Session = "session_phone", ""
	w.stands(laptop)
	w.end(laptop)
	w.falls(laptop, domain.Unauthenticated, "the session has ended")
	w.stands(phone)
	w.stands(bare)
	w.stands(grace)

	commits := w.db.Stats().Commits
	w.end(laptop)
	if got := w.db.Stats().Commits; got != commits {
		t.Errorf("ending a session twice was written %d times more", got-commits)
	}
	account, err := w.users.BySubject(t.Context(), "user_ada", laptop.Session)
	if err != nil || !account.Ended || account.User != laptop.User {
		t.Errorf("got %+v, %v", account, err)
	}
	if account, err = w.users.BySubject(t.Context(), "user_ada", phone.Session); err != nil || account.Ended {
		t.Errorf("got %+v, %v", account, err)
	}
}

func TestStandingOfUsers(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "session_1")
	w.falls(domain.Actor{User: "usr_nobody", Session: "session_1"}, domain.Unauthenticated, "does not exist")
	// Organization and role may change while somebody is served.
	ada.Org, ada.OrgRole = "org_1", domain.OrgAdmin
	w.stands(ada)
	w.exec(`UPDATE users SET active = 0 WHERE id = ?`, ada.User)
	w.falls(ada, domain.Forbidden, "this user is deactivated")
	// Who is not signed in learns nothing else.
	w.end(ada)
	w.falls(ada, domain.Unauthenticated, "the session has ended")
	w.exec(`UPDATE users SET active = 1 WHERE id = ?`, ada.User)
	w.falls(ada, domain.Unauthenticated, "the session has ended")
}

func TestTokenWithoutSessionCannotEndIt(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	refused(t, w.users.EndSession(t.Context(), ada), domain.Conflict, "belongs to no session")
	w.stands(ada)
	if n := w.number(countEnded); n != 0 {
		t.Errorf("%d sessions have ended", n)
	}
}

// Whoever follows a query with Standing in it is told of the end of the session,
// as of a lost right, and not of the end of another.
func TestEndOfSessionDecidesOverOpenStreams(t *testing.T) {
	w := newTown(t)
	var mu sync.Mutex // guards sets
	var sets []db.ChangeSet
	w.db.OnCommit(func(set db.ChangeSet) {
		mu.Lock()
		defer mu.Unlock()
		sets = append(sets, set)
	})
	ada := w.arrive("ada", "session_1")
	other := w.arrive("grace", "session_2")
	seen, err := w.db.Observe(t.Context(), func(ctx context.Context, _ int64) error { return w.users.Standing(ctx, ada) })
	if err != nil || len(seen.Deps) != 2 {
		t.Fatalf("rests on %+v, %v", seen.Deps, err)
	}
	// decided reports whether what f does concerns the decision.
	decided := func(f func()) bool {
		t.Helper()
		mu.Lock()
		sets = nil
		mu.Unlock()
		f()
		mu.Lock()
		defer mu.Unlock()
		for _, set := range sets {
			for _, c := range set.Changes {
				if slices.ContainsFunc(seen.Deps, func(d db.Dependency) bool {
					return d.Decides && !d.Whole && d.Table == c.Table && d.Columns&c.Columns != 0 && slices.Contains(c.Keys, d.Key)
				}) {
					return true
				}
			}
		}
		return false
	}
	if decided(func() { w.end(other) }) {
		t.Error("the end of another session decides")
	}
	if decided(func() { w.exec(`UPDATE users SET display_name = 'A', org_id = 'o' WHERE id = ?`, ada.User) }) {
		t.Error("a name or an organization decides")
	}
	if decided(func() { w.exec(`UPDATE users SET active = 0 WHERE id = ?`, other.User) }) {
		t.Error("the deactivation of somebody else decides")
	}
	if !decided(func() { w.exec(`UPDATE users SET active = 0 WHERE id = ?`, ada.User) }) {
		t.Error("the deactivation does not decide")
	}
	if !decided(func() { w.end(ada) }) {
		t.Error("the end of the session does not decide")
	}
}

// A session may go on at the identity provider, which gives new tokens of it.
func TestEndIsRememberedLongerThanAnySession(t *testing.T) {
	w := newTown(t)
	first, other := w.arrive("ada", "session_1"), w.arrive("ada", "session_other")
	w.end(first)
	w.clock.advance(400*24*time.Hour - time.Millisecond)
	w.end(other)
	w.falls(first, domain.Unauthenticated, "the session has ended")
	w.clock.advance(time.Millisecond)
	w.end(domain.Actor{User: first.User, Session: "session_last"})
	if w.number(isEnded, "session_1") != 0 || w.number(countEnded) != 2 {
		t.Errorf("%d sessions are remembered, session_1 %d times", w.number(countEnded), w.number(isEnded, "session_1"))
	}
}

func TestEndingForgetsABoundedNumber(t *testing.T) {
	w := newTown(t)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
		INSERT INTO ended_sessions (session, forget_at, ended_at) SELECT 'old_' || i, i, 0 FROM n`)
	ada := w.arrive("ada", "")
	for i, left := range []int64{71, 22, 3} {
		ada.Session = "session_" + string(rune('a'+i))
		w.end(ada)
		if n := w.number(countEnded); n != left {
			t.Errorf("after %d ends %d are remembered, want %d", i+1, n, left)
		}
	}
}

func BenchmarkStanding(b *testing.B) {
	w := newTown(b)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO ended_sessions (session, forget_at, ended_at) SELECT 'session_' || i, 9e15, 0 FROM n`)
	ada := w.arrive("ada", "session_0")
	b.ReportAllocs()
	for b.Loop() {
		if err := w.users.Standing(b.Context(), ada); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEndSession(b *testing.B) {
	w := newTown(b)
	ada := w.arrive("ada", "")
	for i := 0; b.Loop(); i++ {
		ada.Session = "session_" + time.UnixMicro(int64(i)).Format(time.RFC3339Nano)
		w.end(ada)
	}
}
