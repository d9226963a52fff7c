package db_test

import (
	"errors"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

// TestFenceIsAskedBeforeAndAfterEachCommit: what it refuses before is undone, and what
// it refuses after is stored and not promised.
func TestFenceIsAskedBeforeAndAfterEachCommit(t *testing.T) {
	d := dbtest.Open(t)
	put := func(tx *db.WriteTx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('key', 'value')`)
		return err
	}
	nothing := func(*db.WriteTx) error { return nil }
	var answers []bool // to what is asked, in turn
	d.Fence(func() error {
		may := answers[0]
		answers = answers[1:]
		if may {
			return nil
		}
		return domain.Fail(domain.Unavailable, "fenced")
	})
	for _, c := range []struct {
		name       string
		answers    []bool
		background bool
		run        func(*db.WriteTx) error
		stored     bool
		confirmed  bool
	}{
		{"allowed", []bool{true, true}, false, put, true, true},
		{"refused before", []bool{false}, false, put, false, false},
		{"refused after", []bool{true, false}, false, put, true, false},
		{"a job refused before", []bool{false}, true, put, false, false},
		{"a job refused after", []bool{true, false}, true, put, true, true},
		{"nothing is changed", []bool{true}, false, nothing, false, true},
		{"nothing is changed, and refused", []bool{false}, false, nothing, false, false},
	} {
		before := d.Committed()
		answers = c.answers
		write := d.Write
		if c.background {
			write = d.WriteBackground
		}
		err := write(t.Context(), c.run)
		u, unconfirmed := errors.AsType[*db.UnconfirmedError](err)
		switch {
		case len(answers) > 0:
			t.Errorf("%s: it was not asked", c.name)
		case (err == nil) != c.confirmed || (d.Committed() > before) != c.stored:
			t.Errorf("%s: %v, %d after %d", c.name, err, d.Committed(), before)
		case err != nil && domain.KindOf(err) != domain.Unavailable:
			t.Errorf("%s: %v", c.name, err)
		case unconfirmed != (c.stored && !c.confirmed) || (unconfirmed && u.Commit != d.Committed()):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	refused := errors.New("refused by itself")
	answers = []bool{true}
	if err := d.Write(t.Context(), func(tx *db.WriteTx) error { return errors.Join(put(tx), refused) }); !errors.Is(err, refused) {
		t.Error(err)
	}
}
