package users_test

import (
	"errors"
	"testing"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// Who signs in with the verified address of somebody else's account is another person:
// the account is not theirs, nor what is sent to the address while that one is served.
func TestSecondAccountOfAnAddressIsAnotherPerson(t *testing.T) {
	w := newTown(t)
	arrive := func(subject string) domain.UserID {
		t.Helper()
		a, err := w.users.SignIn(t.Context(), users.Identity{Subject: subject, Email: "Office@example.com", EmailVerified: true, Name: subject, Org: "org_1", OrgRole: domain.OrgMember, At: w.seconds(0)})
		if err != nil {
			t.Fatal(err)
		}
		return a.User
	}
	first, second := arrive("first"), arrive("second")
	if first == second || arrive("first") != first || arrive("second") != second {
		t.Fatalf("%s and %s", first, second)
	}
	for user, name := range map[domain.UserID]string{first: "first", second: "second"} {
		if me, err := w.users.Me(t.Context(), domain.Actor{User: user}); err != nil || me.DisplayName != name {
			t.Errorf("%s: %+v %v", name, me, err)
		}
	}
	invited := func(want domain.UserID) {
		t.Helper()
		err := w.db.Read(t.Context(), func(tx db.Reader) error {
			got, err := users.ByAddress(tx, second, "office@example.com")
			if got != want {
				t.Errorf("the address is that of %s, want %s", got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	w.exec(`UPDATE users SET org_id = 'org_2' WHERE id = ?`, first) // whose people are not told of
	invited(second)
	w.exec(`UPDATE users SET org_id = 'org_1' WHERE id = ?`, first)
	invited(min(first, second)) // who came first, where instants differ
	w.exec(`UPDATE users SET active = 0 WHERE id = ?`, min(first, second))
	err := w.db.Read(t.Context(), func(tx db.Reader) error {
		_, err := users.ByAddress(tx, max(first, second), "office@example.com")
		if errors.Is(err, db.ErrNone) {
			t.Error("who is served has not the address")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
