package handlers_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/domain"
)

func TestManyRequestsWithOneKeyHaveOneEffect(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	const many = 50
	answers := make([]answer, many)
	var wg sync.WaitGroup
	for i := range many {
		r := ada.request(t.Context(), "POST", meeting+"/messages", `{"content":"Once"}`, "Idempotency-Key", "once")
		wg.Go(func() {
			var err error
			if answers[i], err = s.send(r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, a := range answers {
		if a.Status != http.StatusCreated || string(a.Body) != string(answers[0].Body) ||
			a.Header.Get("Connvo-Commit") != answers[0].Header.Get("Connvo-Commit") {
			t.Errorf("%d %s, and the first %s", a.Status, a.Body, answers[0].Body)
		}
		if a.Header.Get("Idempotency-Replayed") == "" {
			fresh++
		}
	}
	if n := s.number(`SELECT count(*) FROM messages`); n != 1 || fresh != 1 {
		t.Errorf("%d messages, %d answers that are not replayed", n, fresh)
	}
	if n := s.number(`SELECT count(*) FROM events WHERE type = 'messages.posted'`); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestKeyIsSentOnce(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for _, keys := range [][]string{{""}, {"a", "b"}, {"a", "a"}, {"a", ""}} {
		r := ada.request(t.Context(), "POST", "/v1/meetings", `{"title":"Plan"}`)
		r.Header["Idempotency-Key"] = keys
		a, err := s.send(r)
		if err != nil || a.Status != http.StatusUnprocessableEntity || a.code() != "validation_failed" {
			t.Errorf("%q: %d %s %v", keys, a.Status, a.Body, err)
		}
	}
	if n := s.number(`SELECT count(*) FROM meetings`); n != 0 {
		t.Errorf("%d meetings", n)
	}
}

func TestKeyIsFreeAfterADay(t *testing.T) {
	s := newServer(t)
	post := func(title string) answer {
		return s.signIn("ada").do("POST", "/v1/meetings", `{"title":"`+title+`"}`, "Idempotency-Key", "k")
	}
	if a := post("First"); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	s.Clock.Advance(24*time.Hour - time.Minute)
	if a := post("First"); a.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("within a day: %d %s", a.Status, a.Body)
	}
	s.Clock.Advance(2 * time.Minute)
	if a := post("Second"); a.Status != http.StatusCreated || a.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("after a day: %d %s", a.Status, a.Body)
	}
}

// TestEveryWriteTakesAKey sends every write of the API twice under one key. A
// route that is not here fails the test.
func TestEveryWriteTakesAKey(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", domain.OrgAdmin)
	grace, linus := s.signIn("grace"), s.signIn("linus")
	scheduled, active, joined, left := ada.plan("Scheduled"), ada.plan("Active"), ada.plan("Joined"), ada.plan("Left")
	full, cancelled, given := ada.plan("Full", grace, "observer", linus, "observer"), ada.plan("Cancelled"), ada.plan("Given", grace, "observer")
	for _, m := range []string{active, joined, left} {
		ada.must("POST", m+"/start", nil)
	}
	ada.must("POST", joined+"/leave", nil)
	rated := ada.plan("Rated")
	ada.must("POST", rated+"/start", nil)
	ada.must("POST", rated+"/end", nil)
	accepted, declined, removed := s.signIn("anna").asks(ada), s.signIn("boris").asks(ada), ada.asks(s.signIn("clara"))
	dora, emil := s.signIn("dora"), s.signIn("emil")
	ada.must("POST", "/v1/blocks", `{"userId":"`+string(dora.ID)+`"}`)
	var edited, deleted struct{ ID string }
	ada.must("POST", left+"/messages", `{"content":"Hello"}`).into(t, &edited)
	ada.must("POST", left+"/messages", `{"content":"Hello"}`).into(t, &deleted)
	s.exec(`INSERT INTO insights (user_id, meeting_id, id, created_at, generated_by, heard, material) VALUES (?1, ?2, 'ins_1', 0, 'local', 0, x''), (?1, ?3, 'ins_2', 0, 'local', 0, x'')`,
		ada.ID, strings.TrimPrefix(rated, "/v1/meetings/"), strings.TrimPrefix(full, "/v1/meetings/"))
	const one = "/v1/meetings/{meetingId}"
	writes := map[string]struct {
		path string
		body any
	}{
		"PUT /v1/admin/retention":                  {"/v1/admin/retention", `{"messagesDays":30,"transcriptsDays":30}`},
		"POST /v1/users/{userId}/deactivate":       {"/v1/users/" + string(s.signInAs("pawn", "org_1", domain.OrgMember).ID) + "/deactivate", nil},
		"POST /v1/users/{userId}/activate":         {"/v1/users/" + string(s.signInAs("knight", "org_1", domain.OrgMember).ID) + "/activate", nil},
		"PATCH /v1/me":                             {"/v1/me", `{"displayName":"Ada"}`},
		"PATCH /v1/me/profile":                     {"/v1/me/profile", `{"bio":"Mathematics, and tea."}`},
		"PATCH /v1/me/settings":                    {"/v1/me/settings", `{"dataSharing":true}`},
		"PUT /v1/me/interests":                     {"/v1/me/interests", `{"interests":["music"]}`},
		"PUT /v1/me/onboarding":                    {"/v1/me/onboarding", `{"displayName":"Ada","profile":{"age":30},"interests":["books"]}`},
		"POST /v1/notifications/read":              {"/v1/notifications/read", `{"upTo":1}`},
		"POST /v1/connections":                     {"/v1/connections", `{"userId":"` + string(grace.ID) + `","message":"Hello"}`},
		"POST /v1/connections/{id}/accept":         {"/v1/connections/" + accepted + "/accept", nil},
		"POST /v1/connections/{id}/decline":        {"/v1/connections/" + declined + "/decline", nil},
		"DELETE /v1/connections/{id}":              {"/v1/connections/" + removed, nil},
		"POST /v1/blocks":                          {"/v1/blocks", `{"userId":"` + string(emil.ID) + `"}`},
		"DELETE /v1/blocks/{userId}":               {"/v1/blocks/" + string(dora.ID), nil},
		"POST /v1/meetings":                        {"/v1/meetings", `{"title":"Plan"}`},
		"PATCH " + one:                             {full, `{"title":"Changed"}`},
		"POST " + one + "/participants":            {full + "/participants", `{"email":"vera@example.org","role":"observer"}`},
		"PATCH " + one + "/participants/{userId}":  {full + "/participants/" + string(grace.ID), `{"role":"cohost"}`},
		"DELETE " + one + "/participants/{userId}": {full + "/participants/" + string(linus.ID), nil},
		"POST " + one + "/transfer":                {given + "/transfer", `{"userId":"` + string(grace.ID) + `"}`},
		"POST " + one + "/cancel":                  {cancelled + "/cancel", nil},
		"POST " + one + "/start":                   {scheduled + "/start", nil},
		"POST " + one + "/rating":                  {rated + "/rating", `{"rating":5}`},
		"POST " + one + "/insights/generate":       {rated + "/insights/generate", nil},
		"POST /v1/insights/{insightId}/feedback":   {"/v1/insights/ins_1/feedback", `{"helpful":true}`},
		"DELETE /v1/insights/{insightId}":          {"/v1/insights/ins_2", nil},
		"POST " + one + "/join":                    {joined + "/join", nil},
		"POST " + one + "/messages":                {left + "/messages", `{"content":"Hello"}`},
		"PATCH " + one + "/messages/{messageId}":   {left + "/messages/" + edited.ID, `{"content":"Changed"}`},
		"DELETE " + one + "/messages/{messageId}":  {left + "/messages/" + deleted.ID, nil},
		"POST " + one + "/transcripts":             {left + "/transcripts", `{"chunks":[{"text":"Hello","confidence":1,"startMs":0,"endMs":900}]}`},
		"POST " + one + "/audio":                   {left + "/audio?startMs=0", wav(time.Second)},
		"DELETE " + one + "/transcripts":           {rated + "/transcripts", nil},
		"PUT " + one + "/speakers/{label}":         {left + "/speakers/A", `{"userId":"` + string(ada.ID) + `"}`},
		"POST " + one + "/notes/ops":               {left + "/notes/ops", `{"clientId":"ada","baseVersion":0,"edits":[{"clientSeq":1,"ops":[{"insert":"Hello"}]}]}`},
		"POST " + one + "/notes/rollback":          {left + "/notes/rollback", `{"version":0,"reason":"a mistake"}`},
		"PUT " + one + "/notes/lock":               {left + "/notes/lock", `{"locked":true}`},
		"POST " + one + "/leave":                   {left + "/leave", nil},
		"POST " + one + "/end":                     {active + "/end", nil},
		"PUT /v1/admin/flags/{key}":                {"/v1/admin/flags/insights", `{"enabled":false,"percentage":0,"organizations":[],"users":[],"reason":"a trial"}`},
		"DELETE /v1/admin/flags/{key}":             {"/v1/admin/flags/insights?reason=over", nil},
		"POST /v1/admin/jobs/{jobId}/retry":        {"/v1/admin/jobs/" + s.deadJob("org_1") + "/retry", nil},
	}
	for _, leaving := range []bool{false, true} { // the meeting of the messages is left last
		for _, r := range s.API.Routes() {
			if r.Method == http.MethodGet || r.Memory || strings.HasSuffix(r.Path, "/leave") != leaving {
				continue
			}
			if r.Method+" "+r.Path == "DELETE /v1/me" {
				continue // whoever has sent it is not served any more; see privacy_test.go
			}
			w, found := writes[r.Method+" "+r.Path]
			if !found {
				t.Errorf("%s %s: add it to this test", r.Method, r.Path)
				continue
			}
			first := ada.must(r.Method, w.path, w.body, "Idempotency-Key", "key")
			rows := s.rows()
			second := ada.must(r.Method, w.path, w.body, "Idempotency-Key", "key")
			if second.Header.Get("Idempotency-Replayed") != "true" || second.Status != first.Status || string(second.Body) != string(first.Body) ||
				second.Header.Get("Connvo-Commit") != first.Header.Get("Connvo-Commit") || second.Header.Get("Location") != first.Header.Get("Location") {
				t.Errorf("%s %s: %d %v, then %d %v", r.Method, r.Path, first.Status, first.Header, second.Status, second.Header)
			}
			if s.rows() != rows {
				t.Errorf("%s %s: repeated, it has changed something", r.Method, r.Path)
			}
		}
	}
}
