package connections_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/connections"
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
	testing.TB
	clock *clock
	db    *db.DB
	store *connections.Store
}

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{TB: t, clock: &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	w.db = dbtest.Open(t, func(o *db.Options) { o.Now = w.clock.Now })
	w.store = connections.NewStore(w.db)
	return w
}

func (w *town) arrive(name string) domain.Actor {
	w.Helper()
	a, err := users.NewStore(w.db).SignIn(w.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: w.clock.Now()})
	w.ok(err)
	return domain.Actor{User: a.User}
}

func (w *town) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *town) refused(err error, kind domain.Kind, sentence string) {
	w.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), sentence) {
		w.Errorf("got %v of kind %d, want %q of kind %d", err, domain.KindOf(err), sentence, kind)
	}
}

func (w *town) exec(query string, args ...any) {
	w.Helper()
	w.ok(w.db.Write(w.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

func (w *town) number(query string, args ...any) (n int64) {
	w.Helper()
	w.ok(w.db.Read(w.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	}))
	return n
}

// told is how often somebody was told something of the type.
func (w *town) told(who domain.Actor, what string) int64 {
	w.Helper()
	return w.number(`SELECT count(*) FROM notifications WHERE user_id = ? AND type = ?`, who.User, what)
}

func (w *town) ask(from, to domain.Actor) connections.Connection {
	w.Helper()
	c, err := w.store.Request(w.Context(), from, to.User, "")
	w.ok(err)
	return c
}

// crowd makes n people, whose ids are prefix1 to prefixN.
func (w *town) crowd(prefix string, n int) {
	w.Helper()
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at)
		SELECT ?1 || i, ?1 || i, 0, '', '', 0, 0 FROM n`, prefix, n)
}

// relate gives somebody a connection or a request with each of a crowd.
func (w *town) relate(who domain.Actor, prefix string, status connections.Status, mine, theirs connections.Direction) {
	w.Helper()
	for _, side := range []struct {
		columns   string
		direction connections.Direction
	}{{"?1, id", mine}, {"id, ?1", theirs}} {
		w.exec(`
			INSERT INTO connections (user_id, other_id, id, status, direction, created_at, accepted_at, message)
			SELECT `+side.columns+`, 'con_' || id, ?3, ?4, 0, CASE ?3 WHEN 'accepted' THEN 0 END, ''
			FROM users WHERE id LIKE ?2 || '%'`, who.User, prefix, status, side.direction)
	}
}

func TestAskingAtOnceFromBothSidesConnectsOnce(t *testing.T) {
	w := newTown(t)
	for round := range 30 {
		pair := [2]domain.Actor{w.arrive(fmt.Sprint("a", round)), w.arrive(fmt.Sprint("b", round))}
		var got [2]connections.Connection
		var wg sync.WaitGroup
		for i := range pair {
			wg.Go(func() {
				var err error
				if got[i], err = w.store.Request(t.Context(), pair[i], pair[1-i].User, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got[0].ID != got[1].ID || (got[0].Status == connections.Accepted) == (got[1].Status == connections.Accepted) {
			t.Errorf("answered %+v and %+v", got[0], got[1])
		}
		requested := w.told(pair[0], "connection.requested") + w.told(pair[1], "connection.requested")
		accepted := w.told(pair[0], "connection.accepted") + w.told(pair[1], "connection.accepted")
		rows := w.number(`SELECT count(*) FROM connections WHERE id = ? AND status = 'accepted'`, got[0].ID)
		if rows != 2 || requested != 1 || accepted != 1 {
			t.Errorf("%d rows; told %d requests and %d acceptances", rows, requested, accepted)
		}
	}
	if n := w.number(`SELECT count(*) FROM connections`); n != 60 {
		t.Errorf("%d rows", n)
	}
}

func TestWhoHasDeclinedIsAskedAgainAfterAMonth(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.ok(w.store.Decline(t.Context(), grace, w.ask(ada, grace).ID))
	for _, wait := range []time.Duration{0, connections.AskAgain - time.Millisecond} {
		w.clock.advance(wait)
		_, err := w.store.Request(t.Context(), ada, grace.User, "")
		w.refused(err, domain.Conflict, "they have declined; ask again after 2026-03-31T12:00:00.000Z")
	}
	w.clock.advance(time.Millisecond)
	w.ask(ada, grace)
	if n := w.told(grace, "connection.requested"); n != 2 {
		t.Errorf("told %d times", n)
	}
}

func TestMessageIsTrimmedAndBounded(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	_, err := w.store.Request(t.Context(), ada, grace.User, strings.Repeat("é", connections.MaxMessage+1))
	w.refused(err, domain.Invalid, "at most 500 characters")
	most := strings.Repeat("é", connections.MaxMessage)
	if c, err := w.store.Request(t.Context(), ada, grace.User, " \n"+most+"\t"); err != nil || c.Message != most {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBlockDeclinesWhatIsAsked(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.ask(ada, grace)
	_, err := w.store.Block(t.Context(), grace, ada.User)
	w.ok(err)
	w.ok(w.store.Unblock(t.Context(), grace, ada.User))
	_, err = w.store.Request(t.Context(), ada, grace.User, "")
	w.refused(err, domain.Conflict, "they have declined")
}

func TestAskingAndTakingBackTellsOnceADay(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	takesBack := []func(c connections.Connection){
		func(c connections.Connection) { w.ok(w.store.Remove(t.Context(), ada, c.ID)) },
		func(connections.Connection) {
			_, err := w.store.Block(t.Context(), ada, grace.User)
			w.ok(err)
			w.ok(w.store.Unblock(t.Context(), ada, grace.User))
		},
	}
	for i := range 10 {
		w.clock.advance(time.Hour)
		takesBack[i%2](w.ask(ada, grace))
	}
	if n := w.told(grace, "connection.requested"); n != 1 {
		t.Errorf("told %d times", n)
	}
	w.clock.advance(connections.Quiet)
	w.ask(ada, grace)
	if n := w.told(grace, "connection.requested"); n != 2 {
		t.Errorf("told %d times after a day", n)
	}
}

func TestEndedRequestsAreForgotten(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	w.crowd("usr_x", 60)
	w.exec(`INSERT INTO ended_requests SELECT ?, id, 1, ? FROM users WHERE id LIKE 'usr_x%'`, ada.User, w.clock.Now().UnixMilli())
	w.ask(w.arrive("linus"), w.arrive("vera"))
	if n := w.number(`SELECT count(*) FROM ended_requests`); n != 60 {
		t.Errorf("%d are left at once", n)
	}
	w.clock.advance(connections.AskAgain)
	for _, left := range []int64{10, 0} {
		w.ask(w.arrive(fmt.Sprint("anna", left)), w.arrive(fmt.Sprint("boris", left)))
		if n := w.number(`SELECT count(*) FROM ended_requests`); n != left {
			t.Errorf("%d are left, want %d", n, left)
		}
	}
}

func TestRequestsThatWaitAreBounded(t *testing.T) {
	w := newTown(t)
	ada, grace, linus := w.arrive("ada"), w.arrive("grace"), w.arrive("linus")
	w.crowd("usr_x", connections.MaxSent-1)
	w.relate(ada, "usr_x", connections.Pending, connections.Sent, connections.Received)
	w.ask(ada, grace)
	_, err := w.store.Request(t.Context(), ada, linus.User, "")
	w.refused(err, domain.Conflict, "100 of your requests wait for an answer")
	// Whoever has asked is answered all the same.
	w.ask(linus, ada)
	if c := w.ask(ada, linus); c.Status != connections.Accepted {
		t.Errorf("%+v", c)
	}

	vera := w.arrive("vera")
	w.crowd("usr_y", connections.MaxReceived-1)
	w.relate(vera, "usr_y", connections.Pending, connections.Received, connections.Sent)
	w.ask(grace, vera)
	_, err = w.store.Request(t.Context(), linus, vera.User, "")
	w.refused(err, domain.Conflict, "they have too many requests to answer")
}

func TestConnectionsAreBounded(t *testing.T) {
	w := newTown(t)
	ada, grace, linus := w.arrive("ada"), w.arrive("grace"), w.arrive("linus")
	w.crowd("usr_x", connections.MaxConnections-1)
	w.relate(ada, "usr_x", connections.Accepted, connections.Sent, connections.Received)
	_, err := w.store.Accept(t.Context(), grace, w.ask(ada, grace).ID)
	w.ok(err)
	c := w.ask(linus, ada)
	_, err = w.store.Accept(t.Context(), ada, c.ID)
	w.refused(err, domain.Conflict, "you have 5000 connections")
	w.ok(w.store.Remove(t.Context(), linus, c.ID))
	_, err = w.store.Accept(t.Context(), linus, w.ask(ada, linus).ID)
	w.refused(err, domain.Conflict, "they have as many connections")
	w.ok(w.store.Remove(t.Context(), ada, "con_usr_x1"))
	w.ask(linus, ada) // which answers ada
	list, more, err := w.store.List(t.Context(), linus, connections.Filter{Status: connections.Accepted}, "", 1)
	if err != nil || more || len(list) != 1 || list[0].Other != ada.User {
		t.Errorf("%+v, %v, %v", list, more, err)
	}
}

func TestBlocksAreBounded(t *testing.T) {
	w := newTown(t)
	ada, grace, linus := w.arrive("ada"), w.arrive("grace"), w.arrive("linus")
	w.crowd("usr_x", blocks.Max-1)
	w.exec(`INSERT INTO blocks SELECT ?, id, 1, 0 FROM users WHERE id LIKE 'usr_x%'`, ada.User)
	w.exec(`INSERT INTO blocks SELECT id, ?, 0, 0 FROM users WHERE id LIKE 'usr_x%'`, ada.User)
	_, err := w.store.Block(t.Context(), grace, ada.User) // which ada does not count
	w.ok(err)
	_, err = w.store.Block(t.Context(), ada, grace.User)
	w.ok(err)
	_, err = w.store.Block(t.Context(), ada, linus.User)
	w.refused(err, domain.Conflict, "you block 1000 people")
	_, err = w.store.Block(t.Context(), ada, grace.User) // which they do already
	w.ok(err)
	w.ok(w.store.Unblock(t.Context(), ada, "usr_x1"))
	_, err = w.store.Block(t.Context(), ada, linus.User)
	w.ok(err)
	seen := 0
	for after, more := (blocks.Block{}), true; more; {
		var page []connections.Blocked
		page, more, err = w.store.Blocks(t.Context(), ada, after, domain.MaxPage)
		w.ok(err)
		seen += len(page)
		after = page[len(page)-1].Block
	}
	if seen != blocks.Max {
		t.Errorf("%d are listed", seen)
	}
}

func TestWhoIsNobodyOrDeactivatedDoesNothing(t *testing.T) {
	w := newTown(t)
	ada, gone := w.arrive("ada"), w.arrive("gone")
	c := w.ask(ada, gone)
	w.exec(`UPDATE users SET active = 0 WHERE id = ?`, gone.User)
	for kind, who := range map[domain.Kind]domain.Actor{domain.Unauthenticated: {User: "usr_nobody"}, domain.Forbidden: gone} {
		_, _, list := w.store.List(t.Context(), who, connections.Filter{}, "", 1)
		_, _, listed := w.store.Blocks(t.Context(), who, blocks.Block{}, 1)
		_, request := w.store.Request(t.Context(), who, ada.User, "")
		_, accept := w.store.Accept(t.Context(), who, c.ID)
		_, block := w.store.Block(t.Context(), who, ada.User)
		for i, err := range []error{list, listed, request, accept, block, w.store.Unblock(t.Context(), who, ada.User),
			w.store.Decline(t.Context(), who, c.ID), w.store.Remove(t.Context(), who, c.ID)} {
			if domain.KindOf(err) != kind {
				t.Errorf("%d as %s: %v", i, who.User, err)
			}
		}
	}
}
