package blocks_test

import (
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/blocks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBlockHoldsBothWaysUntilBothHaveEndedIt(t *testing.T) {
	d := dbtest.Open(t)
	const ada, grace, linus = domain.UserID("usr_ada"), domain.UserID("usr_grace"), domain.UserID("usr_linus")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		for _, id := range []domain.UserID{ada, grace, linus} {
			_, err := tx.Exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES (?1, ?1, 0, '', '', 0, 0)`, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(user, other domain.UserID) func(tx *db.WriteTx) error {
		return func(tx *db.WriteTx) error {
			_, err := blocks.Add(tx, user, other)
			return err
		}
	}
	remove := func(user, other domain.UserID, found bool) func(tx *db.WriteTx) error {
		return func(tx *db.WriteTx) error {
			got, err := blocks.Remove(tx, user, other)
			if got != found {
				t.Errorf("%s unblocks %s: %v, want %v", user, other, got, found)
			}
			return err
		}
	}
	for i, c := range []struct {
		do     func(tx *db.WriteTx) error
		hidden bool
		rows   int64
	}{
		{remove(ada, grace, false), false, 0},
		{add(ada, grace), true, 2},
		{add(ada, grace), true, 2},
		{remove(grace, ada, false), true, 2},
		{add(grace, ada), true, 2},
		{remove(ada, grace, true), true, 2},
		{remove(ada, grace, false), true, 2},
		{add(ada, grace), true, 2},
		{remove(grace, ada, true), true, 2},
		{remove(ada, grace, true), false, 0},
	} {
		if err := d.Write(t.Context(), c.do); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]domain.UserID{{ada, grace}, {grace, ada}} {
			expectHidden(t, d, i, pair[0], pair[1], c.hidden)
			expectHidden(t, d, i, pair[0], linus, false)
		}
		err := d.Read(t.Context(), func(tx db.Reader) error {
			n, err := db.One(tx, db.Int, `SELECT count(*) FROM blocks`)
			if n != c.rows {
				t.Errorf("%d: %d rows, want %d", i, n, c.rows)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// expectHidden asks in every way whether a block is between the two.
func expectHidden(t *testing.T, d *db.DB, step int, a, b domain.UserID, want bool) {
	t.Helper()
	err := d.Read(t.Context(), func(tx db.Reader) error {
		between, err := blocks.Between(tx, a, b)
		if err != nil {
			return err
		}
		among, err := blocks.Among(tx, a, []domain.UserID{a, b, "usr_nobody"})
		if err != nil {
			return err
		}
		visible := blocks.RequireVisible(tx, domain.Actor{User: a}, b)
		if between != want || among[b] != want || len(among) > 1 || (domain.KindOf(visible) == domain.NotFound) != want || (visible == nil) == want {
			t.Errorf("%d: %s and %s: %v, %v, %v, want %v", step, a, b, between, among, visible, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
