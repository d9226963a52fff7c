package flags_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/flags"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is a database with people in it.
type town struct {
	t     testing.TB
	db    *db.DB
	users *users.Store
	flags *flags.Store
}

func newTown(t testing.TB) *town {
	t.Helper()
	d := dbtest.Open(t)
	return &town{t: t, db: d, users: users.NewStore(d), flags: flags.NewStore(d, "test")}
}

// arrive signs somebody in, of an organization or of none.
func (w *town) arrive(name, org, role string) domain.Actor {
	w.t.Helper()
	a, err := w.users.SignIn(w.t.Context(), users.Identity{Subject: "user_" + name, Email: name + "@example.com", Org: org, OrgRole: role, At: w.db.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return domain.Actor{User: a.User, Org: a.Org, OrgRole: a.OrgRole}
}

// crowd makes n members of the organization.
func (w *town) crowd(org string, n int) []domain.UserID {
	w.t.Helper()
	people := make([]domain.UserID, n)
	for i := range people {
		people[i] = domain.UserID(fmt.Sprintf("usr_%s_%d", org, i))
	}
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1)
		INSERT INTO users (id, subject, org_id, claims_at, email, display_name, created_at, updated_at)
		SELECT 'usr_' || ?1 || '_' || i, ?1 || i, ?1, 0, '', '', 0, 0 FROM n`, org, n)
	return people
}

func (w *town) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.Write(w.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// read asks in one transaction who has which flag.
func (w *town) read(f func(enabled func(domain.UserID, flags.Key) bool)) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(tx db.Reader) (err error) {
		f(func(id domain.UserID, key flags.Key) bool {
			on, failed := w.flags.Enabled(tx, id, key)
			if failed != nil {
				err = failed
			}
			return on
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) enabled(who domain.Actor, key flags.Key) (on bool) {
	w.t.Helper()
	w.read(func(enabled func(domain.UserID, flags.Key) bool) { on = enabled(who.User, key) })
	return on
}

func (w *town) set(who domain.Actor, key flags.Key, to flags.Setting) flags.Flag {
	w.t.Helper()
	f, err := w.flags.Set(w.t.Context(), who, key, to, "a trial")
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *town) reset(who domain.Actor, key flags.Key) {
	w.t.Helper()
	f, err := w.flags.Reset(w.t.Context(), who, key, "it is over")
	if err != nil || !f.Enabled || !f.History[0].IsDefault {
		w.t.Fatalf("%+v %v", f, err)
	}
}

// refused fails the test unless err is of the kind and says the words.
func refused(t testing.TB, err error, kind domain.Kind, words string) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v of kind %d, want %q of kind %d", err, domain.KindOf(err), words, kind)
	}
}

var off = flags.Setting{Enabled: false, Percentage: 100}

func TestFlagsAreOnByDefault(t *testing.T) {
	w := newTown(t)
	for _, who := range []domain.Actor{w.arrive("ada", "", ""), w.arrive("bob", "org_1", domain.OrgMember)} {
		states, err := w.flags.Mine(t.Context(), who)
		if got := fmt.Sprint(states); err != nil || got != "[{incall true} {insights true} {matching true} {precall true}]" {
			t.Errorf("%s %v", got, err)
		}
		if !w.enabled(who, flags.Matching) || w.enabled(who, "nonsense") {
			t.Error("what is known is not on, or what is not is")
		}
	}
	if !w.enabled(domain.Actor{User: "usr_nobody"}, flags.Matching) {
		t.Error("nobody has the default")
	}
	_, err := w.flags.Mine(t.Context(), domain.Actor{User: "usr_nobody"})
	refused(t, err, domain.Unauthenticated, "does not exist")
}

func TestFlagIsOfOneOrganization(t *testing.T) {
	w := newTown(t)
	boss, ada := w.arrive("boss", "org_1", domain.OrgAdmin), w.arrive("ada", "org_1", domain.OrgMember)
	other, nemo := w.arrive("other", "org_2", domain.OrgAdmin), w.arrive("nemo", "", domain.OrgAdmin)
	w.set(boss, flags.Insights, off)
	for who, want := range map[domain.Actor]bool{boss: false, ada: false, other: true, nemo: true} {
		if got := w.enabled(who, flags.Insights); got != want {
			t.Errorf("%+v: %v", who, got)
		}
		if !w.enabled(who, flags.Matching) {
			t.Errorf("%+v has lost another flag", who)
		}
	}
	// Who changes the organization changes the flags.
	w.arrive("ada", "org_2", domain.OrgMember)
	if !w.enabled(ada, flags.Insights) {
		t.Error("the flags of the former organization stay")
	}
	if f, err := w.flags.Get(t.Context(), other, flags.Insights); err != nil || f.Version != 0 || len(f.History) != 0 {
		t.Errorf("%+v %v", f, err)
	}
	// What another deployment has set does not hold here.
	w.flags = flags.NewStore(w.db, "staging")
	if f, err := w.flags.Get(t.Context(), boss, flags.Insights); err != nil || !f.Enabled || f.Version != 0 || !w.enabled(boss, flags.Insights) {
		t.Errorf("%+v %v", f, err)
	}
}

func TestOnlyAdminsSeeAndChange(t *testing.T) {
	w := newTown(t)
	boss, ada := w.arrive("boss", "org_1", domain.OrgAdmin), w.arrive("ada", "org_1", domain.OrgMember)
	nemo := w.arrive("nemo", "", domain.OrgAdmin)
	for _, who := range []domain.Actor{ada, nemo} {
		_, err := w.flags.Get(t.Context(), who, flags.Insights)
		refused(t, err, domain.Forbidden, "only an admin")
		_, err = w.flags.List(t.Context(), who)
		refused(t, err, domain.Forbidden, "only an admin")
		_, err = w.flags.Set(t.Context(), who, flags.Insights, off, "why")
		refused(t, err, domain.Forbidden, "only an admin")
		_, err = w.flags.Reset(t.Context(), who, flags.Insights, "why")
		refused(t, err, domain.Forbidden, "only an admin")
	}
	for name, to := range map[string]flags.Setting{
		"0 to 100":             {Percentage: 101},
		"must be 0":            {Percentage: -1},
		"another organization": {Organizations: []string{"org_1", "org_2"}},
		"more than 200":        {Users: w.crowd("org_1", flags.MaxUsers+1)},
		"more than 500":        {Description: strings.Repeat("ü", flags.MaxDescription+1)},
	} {
		_, err := w.flags.Set(t.Context(), boss, flags.Insights, to, "why")
		refused(t, err, domain.Invalid, name)
	}
	for _, reason := range []string{"", " \n", strings.Repeat("x", flags.MaxReason+1)} {
		_, err := w.flags.Set(t.Context(), boss, flags.Insights, off, reason)
		refused(t, err, domain.Invalid, "")
		_, err = w.flags.Reset(t.Context(), boss, flags.Insights, reason)
		refused(t, err, domain.Invalid, "")
	}
	_, err := w.flags.Get(t.Context(), boss, "nonsense")
	refused(t, err, domain.NotFound, "no such flag")
	_, err = w.flags.Set(t.Context(), boss, "nonsense", off, "why")
	refused(t, err, domain.NotFound, "no such flag")
	_, err = w.flags.Reset(t.Context(), boss, "nonsense", "why")
	refused(t, err, domain.NotFound, "no such flag")
	if !w.enabled(boss, flags.Insights) {
		t.Error("a change that was refused holds")
	}
}

func TestRulesNamePeopleAndTheOrganization(t *testing.T) {
	w := newTown(t)
	boss, ada, bob := w.arrive("boss", "org_1", domain.OrgAdmin), w.arrive("ada", "org_1", domain.OrgMember), w.arrive("bob", "org_1", domain.OrgMember)
	stranger := w.arrive("eve", "org_2", domain.OrgMember)
	f := w.set(boss, flags.Insights, flags.Setting{Enabled: true, Users: []domain.UserID{ada.User, stranger.User, ada.User}})
	if len(f.Users) != 2 || !w.enabled(ada, flags.Insights) || w.enabled(bob, flags.Insights) {
		t.Errorf("%+v", f)
	}
	w.set(boss, flags.Insights, flags.Setting{Enabled: true, Organizations: []string{"org_1"}})
	if !w.enabled(ada, flags.Insights) || !w.enabled(bob, flags.Insights) {
		t.Error("off for the organization that is named")
	}
	w.set(boss, flags.Insights, flags.Setting{Organizations: []string{"org_1"}, Users: []domain.UserID{ada.User}, Percentage: 100})
	if w.enabled(ada, flags.Insights) {
		t.Error("on though it is not enabled")
	}
}

func TestHistoryTellsWhoAndWhy(t *testing.T) {
	w := newTown(t)
	boss, deputy := w.arrive("boss", "org_1", domain.OrgAdmin), w.arrive("deputy", "org_1", domain.OrgAdmin)
	first := w.set(boss, flags.Insights, flags.Setting{Enabled: true, Percentage: 10, Description: "Ours"})
	w.reset(deputy, flags.Insights)
	commits := w.db.Stats().Commits
	w.reset(boss, flags.Insights)
	if got := w.db.Stats().Commits; got != commits {
		t.Error("a flag that has its default was changed to it")
	}
	f, err := w.flags.Get(t.Context(), boss, flags.Insights)
	if err != nil || !f.Enabled || f.Percentage != 100 || f.Description == "Ours" || f.Version <= first.Version || f.UpdatedBy != deputy.User || f.UpdatedAt.IsZero() || f.Environment != "test" {
		t.Errorf("%+v %v", f, err)
	}
	if len(f.History) != 2 {
		t.Fatalf("%+v", f.History)
	}
	if c := f.History[0]; !c.IsDefault || c.By != deputy.User || c.Reason != "it is over" || c.Version != f.Version {
		t.Errorf("%+v", c)
	}
	if c := f.History[1]; c.IsDefault || c.By != boss.User || c.Reason != "a trial" || c.Percentage != 10 || c.Description != "Ours" || c.Version != first.Version {
		t.Errorf("%+v", c)
	}
	for range flags.MaxHistory {
		f = w.set(boss, flags.Insights, off)
	}
	if len(f.History) != flags.MaxHistory || f.History[0].Version != f.Version {
		t.Errorf("%d changes are told", len(f.History))
	}
	all, err := w.flags.List(t.Context(), boss)
	if err != nil || len(all) != 4 || all[1].Key != flags.Insights || all[1].Enabled || all[1].History != nil || all[1].Version != f.Version || !all[0].Enabled {
		t.Errorf("%+v %v", all, err)
	}
}

// BenchmarkEnabled is what a query pays that asks for a flag.
func BenchmarkEnabled(b *testing.B) {
	w := newTown(b)
	boss := w.arrive("boss", "org_1", domain.OrgAdmin)
	for range 1000 {
		w.set(boss, flags.Insights, flags.Setting{Enabled: true, Percentage: 50})
	}
	err := w.db.Read(b.Context(), func(tx db.Reader) error {
		for b.Loop() {
			if _, err := w.flags.Enabled(tx, boss.User, flags.Insights); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
