package settings_test

import (
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/settings"
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

func number(t *testing.T, d *db.DB, query string, args ...any) (n int64) {
	t.Helper()
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsSoAlreadyWritesNothing(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := settings.NewStore(d), arrive(t, d, "ada")
	update := func(c settings.Change) settings.Settings {
		t.Helper()
		set, err := s.Update(t.Context(), ada, c)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	yes, public := true, settings.Public
	before := d.Stats().Commits
	if set := update(settings.Change{Visibility: &public, Email: &yes}); set != settings.Defaults() {
		t.Errorf("%+v", set)
	}
	if d.Stats().Commits != before || number(t, d, `SELECT count(*) FROM settings`) != 0 {
		t.Error("the defaults were written")
	}
	want := settings.Defaults()
	want.SMS = true
	for range 2 {
		if set := update(settings.Change{SMS: &yes}); set != want {
			t.Errorf("%+v", set)
		}
	}
	if got, err := s.Get(t.Context(), ada); got != want || err != nil || d.Stats().Commits != before+1 {
		t.Errorf("%+v %v after %d commits", got, err, d.Stats().Commits-before)
	}
	friends := settings.Visibility("friends")
	if _, err := s.Update(t.Context(), ada, settings.Change{Visibility: &friends}); domain.KindOf(err) != domain.Invalid {
		t.Error(err)
	}
	if _, err := s.Update(t.Context(), domain.Actor{User: "usr_nobody"}, settings.Change{SMS: &yes}); domain.KindOf(err) != domain.Unauthenticated {
		t.Error(err)
	}
}

func TestUntrackedAreNotSeen(t *testing.T) {
	d := dbtest.Open(t)
	s, people := settings.NewStore(d), users.NewStore(d)
	ada, grace := arrive(t, d, "ada"), arrive(t, d, "grace")
	seen := func() int64 {
		t.Helper()
		if err := people.Seen(t.Context(), []users.Sighting{{User: ada.User, At: d.Now()}, {User: grace.User, At: d.Now()}}); err != nil {
			t.Fatal(err)
		}
		return number(t, d, `SELECT count(*) FROM last_seen WHERE user_id = ?`, ada.User)
	}
	track := func(tracked bool) {
		t.Helper()
		if _, err := s.Update(t.Context(), ada, settings.Change{Tracking: &tracked}); err != nil {
			t.Fatal(err)
		}
	}
	if seen() != 1 {
		t.Error("not seen by default")
	}
	track(false)
	if number(t, d, `SELECT count(*) FROM last_seen`) != 1 || seen() != 0 {
		t.Error("seen, though not to be tracked")
	}
	track(true)
	if seen() != 1 {
		t.Error("not seen, though to be tracked again")
	}
	track(false)
	err := d.Read(t.Context(), func(tx db.Reader) error {
		untracked, err := settings.Untracked(tx, []domain.UserID{ada.User, grace.User, "usr_nobody"})
		if len(untracked) != 1 || !untracked[ada.User] {
			t.Errorf("%v", untracked)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
