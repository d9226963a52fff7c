package handlers_test

import (
	"strings"
	"testing"
)

func TestEditOfAnOldDocumentIsRefused(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "cohost")
	seen := ada.must("GET", meeting, nil).Header.Get("ETag")
	// What one person sees, another does not: each has a tag of their own.
	if a := grace.do("PATCH", meeting, `{"title":"Mine"}`, "If-Match", seen); a.Status != 412 || a.code() != "precondition_failed" {
		t.Errorf("with another's tag: %d %s", a.Status, a.Body)
	}
	first := ada.must("PATCH", meeting, `{"title":"First"}`, "If-Match", seen, "Idempotency-Key", "once")
	if a := ada.do("PATCH", meeting, `{"title":"Second"}`, "If-Match", seen); a.Status != 412 {
		t.Errorf("with an old tag: %d %s", a.Status, a.Body)
	}
	again := ada.must("PATCH", meeting, `{"title":"First"}`, "If-Match", seen, "Idempotency-Key", "once")
	next := first.Header.Get("ETag")
	if again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("ETag") != next || string(again.Body) != string(first.Body) {
		t.Errorf("repeated: %v %s", again.Header, again.Body)
	}
	if got := ada.must("GET", meeting, nil); got.Header.Get("ETag") != next || !strings.Contains(string(got.Body), `"First"`) {
		t.Errorf("%s %s, want %s", got.Header.Get("ETag"), got.Body, next)
	}
	for header, status := range map[string]int{next: 200, `"other", ` + next: 200, "*": 200, "W/" + next: 412, " ,": 412, `"*"`: 412, strings.Trim(next, `"`): 412} {
		if a := ada.do("PATCH", meeting, `{}`, "If-Match", header); a.Status != status {
			t.Errorf("If-Match %s: %d %s", header, a.Status, a.Body)
		}
	}
	// Rights come first, the state last.
	if a := s.signIn("eve").do("PATCH", meeting, `{}`, "If-Match", seen); a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	ada.must("POST", meeting+"/cancel", nil)
	if a := ada.do("PATCH", meeting, `{"title":"Late"}`, "If-Match", seen); a.Status != 412 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	me := ada.must("GET", "/v1/me", nil).Header.Get("ETag")
	ada.must("PATCH", "/v1/me", `{"displayName":"Ada L."}`, "If-Match", me)
	if a := ada.do("PATCH", "/v1/me", `{"displayName":"Ada"}`, "If-Match", me); a.Status != 412 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	// A condition that would not be looked at must not seem to hold.
	if a := ada.do("POST", "/v1/meetings", `{"title":"Plan"}`, "If-Match", "*"); a.Status != 422 || !strings.Contains(string(a.Body), "header.If-Match") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
