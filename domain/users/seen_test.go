package users_test

import (
	"fmt"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/users"
)

const selectSeen = `SELECT seen_at FROM last_seen WHERE user_id = ?`

func (w *town) seen(who domain.UserID, at time.Time) {
	w.t.Helper()
	if err := w.users.Seen(w.t.Context(), []users.Sighting{{User: who, At: at}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestLastSeenIsWrittenOnceInFiveMinutes(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada", "").User, w.arrive("grace", "").User
	first := w.clock.Now()
	for _, c := range []struct {
		after, want time.Duration
		writes      bool
	}{
		{0, 0, true},
		{time.Second, 0, false},
		{5*time.Minute - time.Millisecond, 0, false},
		{-time.Hour, 0, false}, // late news change nothing
		{5 * time.Minute, 5 * time.Minute, true},
		{10*time.Minute - time.Millisecond, 5 * time.Minute, false},
		{time.Hour, time.Hour, true},
	} {
		before := w.db.Stats().Commits
		w.seen(ada, first.Add(c.after))
		if got, want := w.number(selectSeen, ada), first.Add(c.want).UnixMilli(); got != want {
			t.Errorf("seen after %v: stored %d, want %d", c.after, got, want)
		}
		if wrote := w.db.Stats().Commits != before; wrote != c.writes {
			t.Errorf("seen after %v: written %v, want %v", c.after, wrote, c.writes)
		}
	}
	w.seen(grace, first)
	if n := w.number(`SELECT count(*) FROM last_seen`); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestSightingsOfStrangersAreLeftOut(t *testing.T) {
	w := newTown(t)
	ada, at := w.arrive("ada", "").User, w.clock.Now()
	err := w.users.Seen(t.Context(), []users.Sighting{
		{User: "usr_gone", At: at}, {User: ada, At: at.Add(time.Second)}, {User: ada, At: at}, {User: `"}`, At: at},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.number(`SELECT count(*) FROM last_seen`); n != 1 || w.number(selectSeen, ada) != at.Add(time.Second).UnixMilli() {
		t.Errorf("%d rows, ada %d", n, w.number(selectSeen, ada))
	}
	if err := w.users.Seen(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func BenchmarkSeen(b *testing.B) {
	w := newTown(b)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
		INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at)
		SELECT 'usr_' || i, i, 0, '', '', 0, 0 FROM n`, users.MaxSightings)
	all := make([]users.Sighting, users.MaxSightings)
	for i := range all {
		all[i].User = domain.UserID(fmt.Sprint("usr_", i))
	}
	for i := 0; b.Loop(); i++ {
		for j := range all {
			all[j].At = time.UnixMilli(0).Add(time.Duration(i) * users.SeenEvery)
		}
		if err := w.users.Seen(b.Context(), all); err != nil {
			b.Fatal(err)
		}
	}
	if n := w.number(`SELECT count(*) FROM last_seen`); n != users.MaxSightings {
		b.Errorf("%d rows", n)
	}
}
