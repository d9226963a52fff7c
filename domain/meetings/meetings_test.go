package meetings_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when everything happens: the clock of the tests stands still.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// town is a database with people and meetings in it.
type town struct {
	t      testing.TB
	db     *db.DB
	meets  *meetings.Store
	people *users.Store
	more   []string // addresses of which a sign-in has left invitations
}

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{t: t, db: dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return noon } })}
	w.meets = meetings.NewStore(w.db, events.NewLog(nil), "loc")
	w.people = users.NewStore(w.db, func(tx *db.WriteTx, user domain.UserID, address string) error {
		more, err := w.meets.Claim(tx, user, address)
		if more {
			w.more = append(w.more, address)
		}
		return err
	})
	return w
}

// arrive signs in name@example.com, whose address is verified.
func (w *town) arrive(name string) domain.Actor {
	w.t.Helper()
	return w.arriveAs(users.Identity{Subject: "user_" + name, Email: name + "@example.com", EmailVerified: true})
}

func (w *town) arriveAs(id users.Identity) domain.Actor {
	w.t.Helper()
	id.At = noon
	a, err := w.people.SignIn(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

// plan makes a meeting of the host's with the others in it, users with roles in
// turn.
func (w *town) plan(host domain.Actor, invited ...any) domain.MeetingID {
	w.t.Helper()
	d := meetings.Draft{Title: "Plan"}
	for i := 0; i+1 < len(invited); i += 2 {
		d.Invite = append(d.Invite, meetings.Invitation{User: invited[i].(domain.Actor).User, Role: invited[i+1].(participants.Role)})
	}
	m, err := w.meets.Create(w.t.Context(), host, d)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.ID
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

// told returns the types of the meeting's events after its creation.
func (w *town) told(m domain.MeetingID) string {
	w.t.Helper()
	var types []string
	err := w.db.Read(w.t.Context(), func(tx db.Reader) error {
		part, err := events.Feed(tx, m, domain.Span{Limit: domain.MaxFeedPage})
		for _, e := range part.Items[1:] {
			types = append(types, string(e.Type))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(types, " ")
}

// in returns who is in the meeting, by name and role; an invitation is "?".
func (w *town) in(m domain.MeetingID, who domain.Actor) string {
	w.t.Helper()
	guests, err := w.meets.Participants(w.t.Context(), who, m)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, g := range guests {
		name := g.Card.DisplayName
		if g.Invitation != "" {
			name = "?"
		}
		all = append(all, fmt.Sprint(name, " ", g.Role))
	}
	return strings.Join(all, ", ")
}

// ok fails the test for an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("refused: %v", err)
	}
}

// refused fails the test unless the error is of the kind and says the words.
func refused(t testing.TB, err error, kind domain.Kind, words string) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v of kind %d, want %q of kind %d", err, domain.KindOf(err), words, kind)
	}
}
