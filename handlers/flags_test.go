package handlers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"connvo/domain"
)

// TestWhatAdminsDoIsRecorded: what they read, change and retry, what others are
// refused, and nothing that was done twice under one key.
func TestWhatAdminsDoIsRecorded(t *testing.T) {
	s := newServer(t)
	boss, ada := s.signInAs("boss", "org_1", domain.OrgAdmin), s.signInAs("ada", "org_1", domain.OrgMember)
	id := s.deadJob("org_1")
	const change = `{"enabled":false,"percentage":0,"organizations":[],"users":[],"reason":"Why not"}`
	first := boss.must("PUT", "/v1/admin/flags/insights", change, "Idempotency-Key", "k", "User-Agent", "a test")
	boss.must("PUT", "/v1/admin/flags/insights", change, "Idempotency-Key", "k")
	boss.must("DELETE", "/v1/admin/flags/insights?reason=over", nil)
	boss.must("DELETE", "/v1/admin/flags/insights?reason=again", nil) // changes nothing
	boss.must("POST", "/v1/admin/jobs/"+id+"/retry", nil)
	boss.do("POST", "/v1/admin/jobs/"+id+"/retry", nil)
	boss.must("GET", "/v1/admin/flags/insights", nil)
	boss.must("GET", "/v1/admin/jobs?state=dead", nil)
	boss.must("GET", "/v1/flags", nil)
	ada.do("PUT", "/v1/admin/flags/insights", change)
	ada.do("GET", "/v1/admin/jobs", nil)

	var got []string
	for _, l := range s.recorded("org_1") {
		name := map[domain.UserID]string{boss.ID: "boss", ada.ID: "ada"}[l.Actor]
		got = append(got, strings.TrimSpace(fmt.Sprint(name, " ", l.Action, " ", l.Resource, " ", l.Outcome, " ", l.Detail)))
		if l.Request == "" || l.Session == "" || l.Address != "127.0.0.1" || l.At.IsZero() {
			t.Errorf("%+v", l)
		}
		if l.Request == first.Header.Get("X-Request-Id") && l.Agent != "a test" {
			t.Errorf("%+v", l)
		}
	}
	at := func(path string) string { return fmt.Sprintf(`"path":%q`, path) }
	const insights = "/v1/admin/flags/insights"
	want := []string{
		"boss flag.changed " + insights + ` allowed {"enabled":"false",` + at(insights) + `,"percentage":"0","reason":"Why not"}`,
		"boss flag.changed " + insights + ` allowed {"default":"true",` + at(insights) + `,"reason":"over"}`,
		"boss job.retried /v1/admin/jobs/" + id + "/retry allowed {" + at("/v1/admin/jobs/"+id+"/retry") + "}",
		"boss admin.read " + insights + " allowed {" + at(insights) + "}",
		"boss admin.read /v1/admin/jobs allowed {" + at("/v1/admin/jobs?state=dead") + "}",
		"ada flag.changed " + insights + ` refused {"code":"forbidden","method":"PUT",` + at(insights) + "}",
		`ada request.made /v1/admin/jobs refused {"code":"forbidden","method":"GET",` + at("/v1/admin/jobs") + "}",
	}
	slices.Sort(got) // those that join no write are stored later
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// From now on nothing can be recorded, and so nothing is read.
	if a := boss.do("GET", "/v1/admin/flags", nil); a.code() != "unavailable" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestOneOfManyChangesOfWhatWasSeenIsDone: all have seen the same flag.
func TestOneOfManyChangesOfWhatWasSeenIsDone(t *testing.T) {
	s := newServer(t)
	boss := s.signInAs("boss", "org_1", domain.OrgAdmin)
	tag := boss.must("GET", "/v1/admin/flags/insights", nil).Header.Get("ETag")
	const many = 20
	var all sync.WaitGroup
	statuses := make([]int, many)
	for i := range many {
		r := boss.request(t.Context(), "PUT", "/v1/admin/flags/insights",
			fmt.Sprintf(`{"enabled":true,"percentage":%d,"organizations":[],"users":[],"reason":"mine"}`, i), "If-Match", tag)
		all.Go(func() {
			a, err := s.send(r)
			if err != nil {
				t.Error(err)
			}
			statuses[i] = a.Status
		})
	}
	all.Wait()
	slices.Sort(statuses)
	if statuses[0] != http.StatusOK || statuses[1] != http.StatusPreconditionFailed || statuses[many-1] != http.StatusPreconditionFailed {
		t.Errorf("%v", statuses)
	}
	if n := s.number(`SELECT count(*) FROM flag_changes`); n != 1 {
		t.Errorf("%d changes", n)
	}
	if a := boss.do("PUT", "/v1/admin/flags/insights", `{"enabled":true,"percentage":1,"organizations":[],"users":[],"reason":"mine"}`, "If-Match", "W/"+tag); a.Status != http.StatusPreconditionFailed {
		t.Errorf("a weak tag: %d", a.Status)
	}
	boss.must("PUT", "/v1/admin/flags/insights", `{"enabled":true,"percentage":1,"organizations":[],"users":[],"reason":"mine"}`, "If-Match", "*")
}
