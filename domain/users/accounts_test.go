package users_test

import (
	"fmt"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

// An account that is remembered is never older than a write that was answered.
func TestRememberedAccountIsCurrent(t *testing.T) {
	d := dbtest.Open(t)
	people := users.NewStore(d)
	account := func(session string) users.Account {
		t.Helper()
		a, err := people.BySubject(t.Context(), "user_ada", session)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, err := people.SignIn(t.Context(), users.Identity{Subject: "user_ada", Email: "ada@example.com", At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if err := d.Write(t.Context(), func(tx *db.WriteTx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		if first, again := account("session_1"), account("session_1"); first != again || first.Ended {
			t.Fatal("differs from itself")
		}
		org := fmt.Sprint("org_", i)
		exec(`UPDATE users SET org_id = ? WHERE id = ?`, org, a.User)
		if got := account("session_1").Org; got != org {
			t.Fatalf("%s, want %s", got, org)
		}
		exec(`UPDATE users SET active = ? WHERE id = ?`, i%2, a.User)
		if got := account("session_1").Active; got != (i%2 == 1) {
			t.Fatalf("active %v", got)
		}
	}
	account("session_2")
	if err := people.EndSession(t.Context(), domain.Actor{User: a.User, Session: "session_1", Expires: d.Now()}); err != nil {
		t.Fatal(err)
	}
	if !account("session_1").Ended || account("session_2").Ended {
		t.Errorf("ended: %v and %v", account("session_1").Ended, account("session_2").Ended)
	}
	exec(`UPDATE users SET subject = 'user_other' WHERE id = ?`, a.User)
	if _, err := people.BySubject(t.Context(), "user_ada", "session_1"); err != db.ErrNone {
		t.Errorf("an account that is gone: %v", err)
	}
}
