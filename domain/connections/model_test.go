package connections_test

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/connections"
)

// broken are what can never be, each a query for the rows that are so.
var broken = map[string]string{
	"a side without the other": `SELECT count(*) FROM connections a LEFT JOIN connections b ON b.user_id = a.other_id AND b.other_id = a.user_id
		WHERE b.id IS NULL OR b.id <> a.id OR b.status <> a.status OR b.direction = a.direction OR b.accepted_at IS NOT a.accepted_at`,
	"a connection across a block":       `SELECT count(*) FROM connections JOIN blocks USING (user_id, other_id)`,
	"a block of nobody's, or one-sided": `SELECT count(*) FROM blocks a LEFT JOIN blocks b ON b.user_id = a.other_id AND b.other_id = a.user_id WHERE coalesce(a.mine + b.mine, 0) = 0`,
	"an acceptance told twice":          `SELECT count(*) FROM (SELECT 1 FROM notifications WHERE type = 'connection.accepted' GROUP BY subject HAVING count(*) > 1)`,
}

// TestWhateverPeopleDoAtOnceBothSidesAgree lets people ask, answer and block one
// another at random, several at a time.
func TestWhateverPeopleDoAtOnceBothSidesAgree(t *testing.T) {
	w := newTown(t)
	people := []domain.Actor{w.arrive("ada"), w.arrive("grace"), w.arrive("linus")}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			var wg sync.WaitGroup
			for range rapid.IntRange(1, 6).Draw(t, "at once") {
				me, other := rapid.IntRange(0, 2).Draw(t, "me"), rapid.IntRange(1, 2).Draw(t, "other")
				what := rapid.IntRange(0, 6).Draw(t, "what")
				wg.Go(func() {
					if err := w.act(what, people[me], people[(me+other)%3]); err != nil && domain.KindOf(err) == domain.Internal {
						t.Errorf("%d: %v", what, err)
					}
				})
			}
			wg.Wait()
			for what, query := range broken {
				if n := w.number(query); n != 0 {
					t.Fatalf("%s: %d rows", what, n)
				}
			}
		}
	})
}

// act lets somebody do something about another.
func (w *town) act(what int, me, other domain.Actor) error {
	list, _, err := w.store.List(w.Context(), me, connections.Filter{}, "", domain.MaxPage)
	if err != nil {
		return err
	}
	id := domain.ConnectionID("con_none")
	for _, c := range list {
		if c.Other == other.User {
			id = c.ID
		}
	}
	switch what {
	case 0, 1:
		_, err = w.store.Request(w.Context(), me, other.User, "")
	case 2:
		_, err = w.store.Accept(w.Context(), me, id)
	case 3:
		err = w.store.Decline(w.Context(), me, id)
		if err == nil { // a month is too long for a test
			return w.db.Write(w.Context(), func(tx *db.WriteTx) error {
				_, err := tx.Exec(`DELETE FROM ended_requests`)
				return err
			})
		}
	case 4:
		err = w.store.Remove(w.Context(), me, id)
	case 5:
		_, err = w.store.Block(w.Context(), me, other.User)
	case 6:
		err = w.store.Unblock(w.Context(), me, other.User)
	default:
		err = fmt.Errorf("there is no deed %d", what)
	}
	return err
}
