package interests_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/interests"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func arrive(t *testing.T, d *db.DB, name string) domain.Actor {
	t.Helper()
	a, err := users.NewStore(d).SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

func TestCatalogueHasEnoughOfEachCategory(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := interests.NewStore(d), arrive(t, d, "ada")
	total, keys := 0, map[string]bool{}
	for _, c := range []interests.Category{interests.Academic, interests.Industry, interests.Skill, interests.Personal} {
		all, next, err := s.List(t.Context(), ada, interests.Query{Category: c, Limit: domain.MaxPage})
		if err != nil || next != "" || len(all) < 15 {
			t.Errorf("%s: %d %s %v", c, len(all), next, err)
		}
		for _, e := range all {
			if e.Category != c || e.Label == "" || e.Key == "" || len(e.Key) > interests.MaxKey || keys[e.Key] || strings.ToLower(e.Key) != e.Key {
				t.Errorf("%+v", e)
			}
			keys[e.Key] = true
		}
		total += len(all)
	}
	if total < 60 {
		t.Errorf("%d interests", total)
	}
}

func TestPagesHoldTheWholeCatalogueOnce(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := interests.NewStore(d), arrive(t, d, "ada")
	if _, err := s.Set(t.Context(), ada, []string{"yoga", "law"}); err != nil {
		t.Fatal(err)
	}
	seen, q := map[string]bool{}, interests.Query{Limit: 7}
	for {
		page, next, err := s.List(t.Context(), ada, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if seen[e.Key] {
				t.Errorf("%s twice", e.Key)
			}
			seen[e.Key] = true
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	all, _, err := s.List(t.Context(), ada, interests.Query{Limit: domain.MaxPage})
	if err != nil || len(all) != len(seen) || all[0].Key != "law" || all[1].Key != "yoga" || all[2].People != 0 {
		t.Errorf("%d of %d, %v", len(seen), len(all), err)
	}
	for _, made := range []domain.Cursor{domain.NewCursor("many", "law"), domain.NewCursor("-5", "law"), domain.NewCursor("99999999999", ""), "x"} {
		if _, _, err := s.List(t.Context(), ada, interests.Query{Cursor: made, Limit: 1}); err != nil && domain.KindOf(err) != domain.Malformed {
			t.Errorf("%s: %v", made, err)
		}
	}
}

func TestCountsFollowWhatIsWritten(t *testing.T) {
	d := dbtest.Open(t)
	s, ada, grace := interests.NewStore(d), arrive(t, d, "ada"), arrive(t, d, "grace")
	set := func(who domain.Actor, keys ...string) {
		t.Helper()
		if _, err := s.Set(t.Context(), who, keys); err != nil {
			t.Fatal(err)
		}
	}
	counts := func() string {
		t.Helper()
		all, _, err := s.List(t.Context(), ada, interests.Query{Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all[0].Key, all[0].People, " ", all[1].Key, all[1].People, " ", all[2].People)
	}
	set(ada, "music", "music", "law")
	set(grace, "music")
	if got := counts(); got != "music2 law1 0" {
		t.Error(got)
	}
	before := d.Stats().Commits
	if set(ada, "law", "music"); d.Stats().Commits != before {
		t.Error("what is so already was written")
	}
	set(ada)
	if got := counts(); got != "music1 aerospace0 0" {
		t.Error(got)
	}
	// Whatever deletes them, as an erasure does, counts too.
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(`DELETE FROM user_interests WHERE user_id = ?`, grace.User)
		return err
	})
	if got := counts(); err != nil || got != "aerospace0 agriculture0 0" {
		t.Error(got, err)
	}
}

func TestUnknownAndTooManyInterestsAreRefused(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := interests.NewStore(d), arrive(t, d, "ada")
	for _, keys := range [][]string{{"music", "witchcraft"}, {""}, {"Music"}, make([]string, interests.MaxInterests+1), make([]string, 10_000)} {
		if _, err := s.Set(t.Context(), ada, keys); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%d: %v", len(keys), err)
		}
	}
	if mine, err := s.Mine(t.Context(), ada); len(mine) != 0 || err != nil {
		t.Error(mine, err)
	}
	if _, err := s.Set(t.Context(), domain.Actor{User: "usr_nobody"}, nil); domain.KindOf(err) != domain.Unauthenticated {
		t.Error(err)
	}
}
