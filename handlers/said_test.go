package handlers_test

import (
	"net/http"
	"strings"
	"testing"
)

// What was deleted or changed is not told to who repeats the request that said it,
// and not kept for them.
func TestRepetitionTellsWhatIsThereNow(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	var m struct{ ID string }
	grace.must("POST", meeting+"/messages", `{"content":"a secret"}`, "Idempotency-Key", "said").into(t, &m)
	at := meeting + "/messages/" + m.ID
	grace.must("PATCH", at, `{"content":"another secret"}`, "Idempotency-Key", "changed")
	again := func(want string) {
		t.Helper()
		for _, a := range []answer{
			grace.must("POST", meeting+"/messages", `{"content":"a secret"}`, "Idempotency-Key", "said"),
			grace.must("PATCH", at, `{"content":"another secret"}`, "Idempotency-Key", "changed"),
		} {
			if a.Header.Get("Idempotency-Replayed") != "true" || !strings.Contains(string(a.Body), m.ID) || !strings.Contains(string(a.Body), want) {
				t.Errorf("%d %v %s, want %s", a.Status, a.Header, a.Body, want)
			}
		}
	}
	again(`"content":"another secret"`)
	ada.must("DELETE", at, nil)
	again(`"content":""`)
	if a := grace.do("POST", meeting+"/messages", `{"content":"a secret"}`, "Idempotency-Key", "said"); a.Status != http.StatusCreated {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := s.number(`SELECT count(*) FROM idempotency WHERE instr(CAST(body AS TEXT), 'secret') > 0`); n != 0 {
		t.Errorf("%d kept answers hold it", n)
	}
	ada.must("DELETE", meeting+"/participants/"+string(grace.ID), nil)
	if a := grace.do("POST", meeting+"/messages", `{"content":"a secret"}`, "Idempotency-Key", "said"); a.Status != http.StatusNotFound {
		t.Errorf("after the removal: %d %s", a.Status, a.Body)
	}
}
