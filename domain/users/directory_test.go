package users_test

import (
	"fmt"
	"strings"
	"testing"

	"connvo/domain"
	"connvo/domain/users"
)

// crowd is an organization of n people besides the actor, named 00000 and so on.
func (w *town) crowd(who domain.Actor, n int) {
	w.exec(`UPDATE users SET org_id = 'org_1' WHERE id = ?`, who.User)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
		INSERT INTO users (id, subject, org_id, claims_at, email, display_name, name_key, created_at, updated_at)
		SELECT 'usr_' || i, i, 'org_1', 0, '', printf('%05d', i), printf('%05d', i), 0, 0 FROM n`, n)
}

func TestDirectoryHoldsEverybodyOnce(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	w.crowd(ada, 25)
	w.exec(`UPDATE users SET name_key = '00003' WHERE id IN ('usr_4', 'usr_5', 'usr_6')`)
	w.exec(`UPDATE users SET active = 0 WHERE id = 'usr_9'`)
	w.exec(`UPDATE users SET org_id = 'org_2' WHERE id = 'usr_8'`)
	w.exec(`INSERT INTO blocks (user_id, other_id, mine, created_at) VALUES (?1, 'usr_7', 0, 1), ('usr_7', ?1, 1, 1)`, ada.User)
	seen, q := map[domain.UserID]bool{}, users.Query{Limit: 4}
	for {
		page, next, err := w.users.Directory(t.Context(), ada, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			if seen[c.ID] {
				t.Errorf("%s twice", c.ID)
			}
			seen[c.ID] = true
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	if len(seen) != 23 || seen["usr_7"] || seen["usr_8"] || seen["usr_9"] || !seen[ada.User] {
		t.Errorf("%d people: %v", len(seen), seen)
	}
}

// TestCursorOfLongNamesIsTaken: a name of characters that JSON writes long ones
// for still fits into a cursor.
func TestCursorOfLongNamesIsTaken(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	w.crowd(ada, 3)
	for _, name := range []string{strings.Repeat("<", users.MaxDisplayName), strings.Repeat("𐐨", users.MaxDisplayName), strings.Repeat("ß", users.MaxDisplayName)} {
		for i := range 3 {
			if _, err := w.users.Update(t.Context(), domain.Actor{User: domain.UserID(fmt.Sprint("usr_", i))}, users.Change{DisplayName: &name}); err != nil {
				t.Fatal(err)
			}
		}
		page, next, err := w.users.Directory(t.Context(), ada, users.Query{Prefix: name, Limit: 1})
		if err != nil || len(page) != 1 || next == "" {
			t.Fatalf("%v %q %v", page, next, err)
		}
		if page, _, err = w.users.Directory(t.Context(), ada, users.Query{Prefix: name, Cursor: next, Limit: 5}); err != nil || len(page) != 2 {
			t.Errorf("after it: %v %v", page, err)
		}
	}
}

func TestDirectoryIsOfOnesOwnOrganization(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada", "")
	w.crowd(w.arrive("grace", ""), 3)
	if page, next, err := w.users.Directory(t.Context(), ada, users.Query{Limit: 5}); len(page) != 0 || next != "" || err != nil {
		t.Errorf("%v %v", page, err)
	}
	if _, _, err := w.users.Directory(t.Context(), domain.Actor{User: "usr_nobody"}, users.Query{Limit: 5}); domain.KindOf(err) != domain.Unauthenticated {
		t.Error(err)
	}
}

// BenchmarkDirectory turns the pages of 10,000 people, one after the other.
func BenchmarkDirectory(b *testing.B) {
	w := newTown(b)
	ada := w.arrive("ada", "")
	w.crowd(ada, 10_000)
	q := users.Query{Limit: domain.MaxPage}
	for b.Loop() {
		page, next, err := w.users.Directory(b.Context(), ada, q)
		if err != nil || len(page) == 0 {
			b.Fatal(err)
		}
		q.Cursor = next
	}
}
