package profiles_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/interests"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func arrive(t testing.TB, d *db.DB, name, org string) domain.Actor {
	t.Helper()
	a, err := users.NewStore(d).SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", Org: org, At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Actor{User: a.User, Org: org}
}

func exec(t *testing.T, d *db.DB, query string, args ...any) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestBoundsOfAProfile(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := profiles.NewStore(d, interests.NewStore(d)), arrive(t, d, "ada", "")
	long := func(n int) *string { return ptr(strings.Repeat("é", n)) }
	many := func(n int) *[]string {
		all := make([]string, n)
		for i := range all {
			all[i] = strings.Repeat("x", i+1)
		}
		return &all
	}
	for field, c := range map[string]struct{ good, bad profiles.Change }{
		"age":           {profiles.Change{Age: ptr(13)}, profiles.Change{Age: ptr(12)}},
		"age ":          {profiles.Change{Age: ptr(120)}, profiles.Change{Age: ptr(121)}},
		"gender":        {profiles.Change{Gender: ptr(profiles.NonBinary)}, profiles.Change{Gender: ptr(profiles.Gender("none"))}},
		"bio":           {profiles.Change{Bio: long(1000)}, profiles.Change{Bio: long(1001)}},
		"goals":         {profiles.Change{Goals: long(1000)}, profiles.Change{Goals: long(1001)}},
		"experience":    {profiles.Change{Experience: long(1000)}, profiles.Change{Experience: long(1001)}},
		"field":         {profiles.Change{Field: long(100)}, profiles.Change{Field: long(101)}},
		"jobTitle":      {profiles.Change{JobTitle: long(100)}, profiles.Change{JobTitle: long(101)}},
		"company":       {profiles.Change{Company: long(100)}, profiles.Change{Company: ptr("a\x1bb")}},
		"skills":        {profiles.Change{Skills: many(50)}, profiles.Change{Skills: many(51)}},
		"skills[0]":     {profiles.Change{Skills: &[]string{"Go"}}, profiles.Change{Skills: &[]string{"Gо"}}}, // a Cyrillic о
		"languages[0]":  {profiles.Change{Languages: &[]string{"zh-hant"}}, profiles.Change{Languages: &[]string{"und"}}},
		"languages":     {profiles.Change{Languages: &[]string{}}, profiles.Change{Languages: many(21)}},
		"timeZone":      {profiles.Change{TimeZone: ptr("America/Argentina/Ushuaia")}, profiles.Change{TimeZone: ptr("/etc/localtime")}},
		"linkedinUrl":   {profiles.Change{LinkedinURL: ptr("https://uk.linkedin.com/in/ada")}, profiles.Change{LinkedinURL: ptr("http://linkedin.com/in/ada")}},
		"linkedinUrl ":  {profiles.Change{LinkedinURL: ptr("https://LinkedIn.com/in/ada")}, profiles.Change{LinkedinURL: ptr("https://notlinkedin.com/in/ada")}},
		"linkedinUrl  ": {profiles.Change{LinkedinURL: ptr("")}, profiles.Change{LinkedinURL: ptr("javascript://linkedin.com/%0aalert(1)")}},
	} {
		if _, err := s.Update(t.Context(), ada, c.good); err != nil {
			t.Errorf("%s: %v", field, err)
		}
		_, err := s.Update(t.Context(), ada, c.bad)
		if e, isOurs := err.(*domain.Error); !isOurs || e.Kind != domain.Invalid || e.Field != "body."+strings.TrimSpace(field) {
			t.Errorf("%s: refused with %#v", field, err)
		}
	}
	p, err := s.Mine(t.Context(), ada)
	if err != nil || p.Age < 13 || p.TimeZone != "America/Argentina/Ushuaia" || p.Bio == "" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestProfileIsShownAsItsOwnerWants(t *testing.T) {
	d := dbtest.Open(t)
	s, set := profiles.NewStore(d, interests.NewStore(d)), settings.NewStore(d)
	ada, colleague, stranger := arrive(t, d, "ada", "org_1"), arrive(t, d, "grace", "org_1"), arrive(t, d, "linus", "org_2")
	exec(t, d, `INSERT INTO connections (user_id, other_id, id, status, direction, created_at, accepted_at, message) VALUES (?1, ?2, 'c1', 'accepted', 'sent', 1, 1, '')`, stranger.User, ada.User)
	exec(t, d, `INSERT INTO connections (user_id, other_id, id, status, direction, created_at, message) VALUES (?1, ?2, 'c2', 'pending', 'sent', 1, '')`, colleague.User, ada.User)
	loner, other := arrive(t, d, "loner", ""), arrive(t, d, "other", "")
	for _, c := range []struct {
		visibility settings.Visibility
		owner, who domain.Actor
		want       domain.Kind
	}{
		{settings.Public, ada, stranger, 0},
		{settings.Organization, ada, colleague, 0},
		{settings.Organization, ada, stranger, domain.Forbidden},
		{settings.Organization, loner, other, domain.Forbidden}, // no organization is none that they share
		{settings.Connections, ada, stranger, 0},
		{settings.Connections, ada, colleague, domain.Forbidden},
		{settings.Private, ada, colleague, domain.Forbidden},
		{settings.Private, ada, ada, 0},
	} {
		if _, err := set.Update(t.Context(), c.owner, settings.Change{Visibility: &c.visibility}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Show(t.Context(), c.who, c.owner.User); (err != nil || c.want != 0) && domain.KindOf(err) != c.want {
			t.Errorf("%s to %s: %v", c.visibility, c.who.User, err)
		}
	}
	exec(t, d, `INSERT INTO blocks (user_id, other_id, mine, created_at) VALUES (?1, ?2, 1, 1), (?2, ?1, 0, 1)`, loner.User, other.User)
	for a, b := range map[domain.Actor]domain.Actor{loner: other, other: loner} {
		if _, err := s.Show(t.Context(), a, b.User); domain.KindOf(err) != domain.NotFound {
			t.Errorf("behind a block: %v", err)
		}
	}
	if _, err := s.Show(t.Context(), ada, "usr_nobody"); domain.KindOf(err) != domain.NotFound {
		t.Error(err)
	}
}

func start() profiles.Start {
	return profiles.Start{
		DisplayName: "Ada Lovelace",
		Profile: profiles.Change{Age: ptr(36), Bio: ptr("Mathematics, and tea."), TimeZone: ptr("Europe/London"), Languages: &[]string{"en", "fr"},
			Skills: &[]string{"Analysis", "Sewing"}, JobTitle: ptr("Countess")},
		Settings:  settings.Change{Visibility: ptr(settings.Organization)},
		Interests: []string{"mathematics", "music", "books"},
	}
}

func TestOnboardingIsAllOrNothingAndOnce(t *testing.T) {
	d := dbtest.Open(t)
	s, ada := profiles.NewStore(d, interests.NewStore(d)), arrive(t, d, "ada", "")
	bad := start()
	bad.Interests = append(bad.Interests, "witchcraft")
	if _, err := s.Onboard(t.Context(), ada, bad); domain.KindOf(err) != domain.Invalid {
		t.Error(err)
	}
	if o, err := s.Onboarding(t.Context(), ada); err != nil || !o.CompletedAt.IsZero() || o.DisplayName != "ada" || o.Profile.Age != 0 || len(o.Interests) != 0 {
		t.Errorf("%+v %v", o, err)
	}
	first, err := s.Onboard(t.Context(), ada, start())
	if err != nil || first.CompletedAt.IsZero() || first.DisplayName != "Ada Lovelace" || len(first.Interests) != 3 || first.Settings.Visibility != settings.Organization {
		t.Errorf("%+v %v", first, err)
	}
	before := d.Stats().Commits
	second, err := s.Onboard(t.Context(), ada, start())
	if err != nil || !second.CompletedAt.Equal(first.CompletedAt) || !second.Profile.UpdatedAt.Equal(first.Profile.UpdatedAt) || d.Stats().Commits != before {
		t.Errorf("again: %+v %v, %d commits", second, err, d.Stats().Commits-before)
	}
}

// BenchmarkOnboard is one call at a time, each a commit that is on the disk.
func BenchmarkOnboard(b *testing.B) {
	d := dbtest.Open(b)
	s, ada := profiles.NewStore(d, interests.NewStore(d)), arrive(b, d, "ada", "")
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		st := start()
		st.Profile.Age = ptr(20 + i%80)
		st.Interests = []string{"music", []string{"law", "yoga", "books"}[i%3]}
		began := time.Now()
		if _, err := s.Onboard(b.Context(), ada, st); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}
