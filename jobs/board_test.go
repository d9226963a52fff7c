package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/jobs"
)

// byRole is the decision of an admin as the actor's own words tell it.
func byRole(_ db.Reader, who domain.Actor) (string, error) {
	if who.OrgRole != domain.OrgAdmin {
		return "", domain.Fail(domain.Forbidden, "only an admin may do this")
	}
	return who.Org, nil
}

var boss = domain.Actor{User: "usr_boss", Org: "org_1", OrgRole: domain.OrgAdmin}

func none() []int64 { return nil }

func listed(t *testing.T, b *jobs.Board, who domain.Actor, f jobs.Filter) []jobs.Entry {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 100
	}
	page, _, err := b.List(t.Context(), who, f)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func kinds(all []jobs.Entry) string {
	var words []string
	for _, e := range all {
		words = append(words, fmt.Sprint(e.Kind, " ", e.State))
	}
	return strings.Join(words, ", ")
}

func TestBoardShowsTheOwnOrganization(t *testing.T) {
	d := dbtest.Open(t)
	enqueue(t, d, jobs.Job{Kind: "a", Org: "org_1", Payload: "secret"}, jobs.Job{Kind: "b", Org: "org_2"}, jobs.Job{Kind: "c"}, jobs.Job{Kind: "d", Name: "d:1", Org: "org_1"})
	b := jobs.NewBoard(d, none, byRole)
	all := listed(t, b, boss, jobs.Filter{})
	if got := kinds(all); got != "d waiting, a waiting" || all[0].Name != "d:1" || all[0].CreatedAt.IsZero() || all[0].RunAt.IsZero() {
		t.Errorf("%+v", all)
	}
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, "secret") {
		t.Errorf("the payload is shown: %s", text)
	}
	other := boss
	other.Org = "org_2"
	if got := kinds(listed(t, b, other, jobs.Filter{})); got != "b waiting" {
		t.Error(got)
	}
	if got := kinds(listed(t, b, boss, jobs.Filter{Kind: "a"})); got != "a waiting" {
		t.Error(got)
	}
	page, more, err := b.List(t.Context(), boss, jobs.Filter{Limit: 1})
	if err != nil || !more || kinds(page) != "d waiting" {
		t.Errorf("%v %v %v", page, more, err)
	}
	if page, more, err = b.List(t.Context(), boss, jobs.Filter{Limit: 1, Below: page[0].ID}); err != nil || more || kinds(page) != "a waiting" {
		t.Errorf("%v %v %v", page, more, err)
	}
	_, _, err = b.List(t.Context(), domain.Actor{Org: "org_1", OrgRole: domain.OrgMember}, jobs.Filter{Limit: 1})
	if domain.KindOf(err) != domain.Forbidden {
		t.Error(err)
	}
}

func TestBoardTellsWhatRuns(t *testing.T) {
	d := dbtest.Open(t)
	began, end := make(chan struct{}), make(chan struct{})
	r := start(t, d, map[string]jobs.Handler{"slow": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
		if task.Org != "org_1" {
			t.Errorf("of the organization %q", task.Org)
		}
		close(began)
		select {
		case <-end:
		case <-ctx.Done():
		}
		return nil, nil
	}})
	enqueue(t, d, jobs.Job{Kind: "slow", Org: "org_1"}, jobs.Job{Kind: "later", Org: "org_1", RunAt: time.Now().Add(time.Hour)})
	<-began
	defer close(end)
	b := jobs.NewBoard(d, r.Running, byRole)
	for state, want := range map[jobs.State]string{
		"": "later waiting, slow running", jobs.StateRunning: "slow running", jobs.StateWaiting: "later waiting", jobs.StateDead: "",
	} {
		if got := kinds(listed(t, b, boss, jobs.Filter{State: state})); got != want {
			t.Errorf("%q: %s, want %s", state, got, want)
		}
	}
}

// die lets a job die of the error, by a runner that has a handler for it.
func die(t *testing.T, d *db.DB, j jobs.Job, cause error) {
	t.Helper()
	enqueue(t, d, j)
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(`UPDATE jobs SET dead = 1, attempts = 16, last_error = ? WHERE kind = ?`, cause.Error(), j.Kind)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBoardRetriesTheDead(t *testing.T) {
	d := dbtest.Open(t)
	die(t, d, jobs.Job{Kind: "dead", Name: "dead:1", Org: "org_1"}, errors.New("the provider\nsaid\x1b[31m "+strings.Repeat("ü", 300)))
	die(t, d, jobs.Job{Kind: "foreign", Org: "org_2"}, errors.New("refused"))
	enqueue(t, d, jobs.Job{Kind: "alive", Org: "org_1"})
	b := jobs.NewBoard(d, none, byRole)
	all := listed(t, b, boss, jobs.Filter{})
	alive, dead := all[0], all[1]
	if !strings.HasPrefix(dead.LastError, "the provider said [31m üü") || len(dead.LastError) > 210 || strings.ContainsAny(dead.LastError, "\n\x1b\uFFFD") {
		t.Errorf("%q", dead.LastError)
	}
	foreign := boss
	foreign.Org = "org_2"
	theirs := listed(t, b, foreign, jobs.Filter{State: jobs.StateDead})[0]
	for _, c := range []struct {
		who  domain.Actor
		id   int64
		kind domain.Kind
	}{
		{domain.Actor{Org: "org_1"}, dead.ID, domain.Forbidden},
		{boss, theirs.ID, domain.NotFound},
		{boss, 0, domain.NotFound},
		{boss, alive.ID, domain.Conflict},
	} {
		if _, err := b.Retry(t.Context(), c.who, c.id); err == nil || domain.KindOf(err) != c.kind {
			t.Errorf("%d: %v, want kind %d", c.id, err, c.kind)
		}
	}
	e, err := b.Retry(t.Context(), boss, dead.ID)
	if err != nil || e.ID != dead.ID || e.State != jobs.StateWaiting || e.Attempts != 0 {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := b.Retry(t.Context(), boss, dead.ID); domain.KindOf(err) != domain.Conflict {
		t.Errorf("again: %v", err)
	}
	if f := count(t, d); f.Dead != 1 || f.Waiting != 2 {
		t.Errorf("%+v", f)
	}
}

// A name asked for again may have become another organization's.
func TestNameTakesTheNewestOrganization(t *testing.T) {
	d := dbtest.Open(t)
	enqueue(t, d, jobs.Job{Kind: "a", Name: "a:1", Org: "org_2"}, jobs.Job{Kind: "a", Name: "a:1", Org: "org_1"})
	all := listed(t, jobs.NewBoard(d, none, byRole), boss, jobs.Filter{})
	if !slices.ContainsFunc(all, func(e jobs.Entry) bool { return e.Name == "a:1" }) || len(all) != 1 {
		t.Errorf("%+v", all)
	}
}
