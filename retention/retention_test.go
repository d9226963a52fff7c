package retention_test

import (
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/retention"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func arrive(t *testing.T, d *db.DB, name, org, role string) domain.Actor {
	t.Helper()
	a, err := users.NewStore(d).SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", Org: org, OrgRole: role, At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

func TestAdminsDecideForTheirOrganizationAlone(t *testing.T) {
	d := dbtest.Open(t)
	s := retention.NewStore(d)
	ada, grace, linus := arrive(t, d, "ada", "org_1", domain.OrgAdmin), arrive(t, d, "grace", "org_1", domain.OrgMember), arrive(t, d, "linus", "org_2", domain.OrgAdmin)
	mine := retention.Policy{MessagesDays: 7, TranscriptsDays: 3650}
	if err := s.Set(t.Context(), ada, mine); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[domain.Actor]retention.Policy{ada: mine, linus: retention.Standard} {
		if got, err := s.Get(t.Context(), who); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := s.Get(t.Context(), grace); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("a member may read: %v", err)
	}
	if err := s.Set(t.Context(), grace, mine); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("a member may decide: %v", err)
	}
	for _, p := range []retention.Policy{{0, 90}, {90, 0}, {3651, 90}, {90, 3651}, {-1, 90}} {
		if err := s.Set(t.Context(), ada, p); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
	before := d.Committed()
	if err := s.Set(t.Context(), ada, mine); err != nil || d.Committed() != before {
		t.Errorf("the same again: %v, commit %d after %d", err, d.Committed(), before)
	}
}
