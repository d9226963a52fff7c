package users_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

const countSessions = `SELECT count(*) FROM sessions`

// open returns a browser that has signed in for a day.
func (w *town) open(who domain.Actor, id, name string) users.Session {
	w.t.Helper()
	n := users.Session{ID: id, User: who.User, Name: name, Current: name, Sealed: []byte("sealed"), TokenEnds: w.clock.Now().Add(5 * time.Minute), Ends: w.clock.Now().Add(24 * time.Hour)}
	if err := w.users.OpenSession(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// gone fails the test unless there is no such browser any more.
func (w *town) gone(id string) {
	w.t.Helper()
	if _, err := w.users.Session(w.t.Context(), id); !errors.Is(err, db.ErrNone) {
		w.t.Errorf("%s: %v, want none", id, err)
	}
}

func TestSessionIsKeptAndRenewed(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	want := w.open(ada, "one", "session_1")
	r := users.Renewal{ID: "one", Current: "session_2", Sealed: []byte("anew"), TokenEnds: want.TokenEnds.Add(time.Minute)}
	if err := w.users.RenewSession(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got, err := w.users.Session(t.Context(), "one")
	if err != nil || got.Name != "session_1" || got.Current != "session_2" || string(got.Sealed) != "anew" || !got.TokenEnds.Equal(r.TokenEnds) ||
		!got.Ends.Equal(want.Ends) || got.User != ada.User || got.Account.User != ada.User || !got.Account.Active || got.Subject != "user_ada" {
		t.Errorf("%+v, %v", got, err)
	}
	w.gone("two")
	r.ID = "two"
	if err := w.users.RenewSession(t.Context(), r); domain.KindOf(err) != domain.Unauthenticated {
		t.Errorf("what is not there was renewed: %v", err)
	}
}

// An end by either name signs the browser out, and what is open by the other
// name ends with it.
func TestEndSignsTheBrowserOut(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	for i, end := range []string{"began", "now"} {
		began, now := fmt.Sprint("session_began_", i), fmt.Sprint("session_now_", i)
		w.open(ada, end, began)
		w.open(ada, "other", "session_other")
		if err := w.users.RenewSession(t.Context(), users.Renewal{ID: end, Current: now, TokenEnds: w.clock.Now(), Sealed: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		who := domain.Actor{User: ada.User, Session: strings.NewReplacer("began", began, "now", now).Replace(end)}
		w.end(who)
		w.gone(end)
		for _, name := range []string{began, now} {
			w.falls(domain.Actor{User: ada.User, Session: name}, domain.Unauthenticated, "the session has ended")
			if err := w.users.OpenSession(t.Context(), users.Session{ID: "late", User: ada.User, Name: name, Current: name, Sealed: []byte("x")}); domain.KindOf(err) != domain.Unauthenticated {
				t.Errorf("%s was opened after its end: %v", name, err)
			}
			if err := w.users.RenewSession(t.Context(), users.Renewal{ID: "other", Current: name, Sealed: []byte("x")}); domain.KindOf(err) != domain.Unauthenticated {
				t.Errorf("another was renewed as %s: %v", name, err)
			}
		}
		if _, err := w.users.Session(t.Context(), "other"); err != nil {
			t.Errorf("another has gone too: %v", err)
		}
		w.exec(`DELETE FROM sessions`)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada", ""), w.arrive("grace", "")
	w.open(grace, "hers", "session_hers")
	for i := range 51 {
		w.open(ada, fmt.Sprint("id", i), fmt.Sprint("session_", i))
		w.clock.advance(time.Second)
	}
	if n := w.number(countSessions); n != 51 {
		t.Errorf("%d browsers are signed in, want 50 and hers", n)
	}
	w.gone("id0")
	w.clock.advance(24 * time.Hour)
	w.open(grace, "later", "session_later")
	w.open(grace, "last", "session_last")
	if n := w.number(countSessions); n != 2 {
		t.Errorf("%d are left when their time is over, want 2", n)
	}
}
