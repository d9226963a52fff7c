package handlers_test

import (
	"strings"
	"testing"
)

// TestFirstFaultWins sends requests with two faults, one from each step of the
// contract's order and one from the next: the answer is about the first.
func TestFirstFaultWins(t *testing.T) {
	s := newServer(t)
	ada, grace, vera := s.signIn("ada"), s.signIn("grace"), s.signIn("vera")
	gone := s.signIn("gone")
	gone.deactivate()
	meeting := ada.plan("Plan", grace, "participant", vera, "observer")
	ended := ada.plan("Ended", grace, "participant", vera, "observer")
	ada.must("POST", ended+"/start", nil)
	ada.must("POST", ended+"/end", nil, "Idempotency-Key", "end")
	ada.must("POST", meeting+"/messages", `{"content":"Hello"}`, "Idempotency-Key", "used")
	cancelled := ada.plan("Cancelled", grace, "participant", vera, "observer")
	ada.must("POST", cancelled+"/messages", `{"content":"Hello"}`, "Idempotency-Key", "used")
	s.exec(`UPDATE meetings SET state = 'cancelled' WHERE id = ?`, strings.TrimPrefix(cancelled, "/v1/meetings/"))
	const large, foreign = 2 << 20, "/v1/meetings/mtg_ams_none"

	for _, c := range []struct {
		faults string
		who    *person
		method string
		path   string
		body   any
		header []string
		status int
		code   string
	}{
		{"path, authentication", s.nobody(), "GET", "/v1/nothing", nil, nil, 404, "not_found"},
		{"method, authentication", s.nobody(), "PUT", "/v1/meetings", `{}`, nil, 405, "method_not_allowed"},
		{"method, size", ada, "PUT", "/v1/meetings", strings.Repeat(" ", large), nil, 405, "method_not_allowed"},
		{"authentication, active user", gone, "GET", "/v1/me", nil, []string{"Authorization", "Bearer " + gone.Token + "x"}, 401, "unauthenticated"},
		{"authentication, size", s.nobody(), "POST", "/v1/meetings", strings.Repeat(" ", large), nil, 401, "unauthenticated"},
		{"authentication, parse", s.nobody(), "POST", "/v1/meetings", `{`, nil, 401, "unauthenticated"},
		{"authentication, Accept", s.nobody(), "GET", "/v1/me", nil, []string{"Accept", "text/html"}, 401, "unauthenticated"},
		{"active user, size", gone, "POST", "/v1/meetings", strings.Repeat(" ", large), nil, 403, "forbidden"},
		{"active user, type", gone, "POST", "/v1/meetings", `{}`, []string{"Content-Type", "text/plain"}, 403, "forbidden"},
		{"active user, shape", gone, "GET", "/v1/meetings?limit=0", nil, nil, 403, "forbidden"},
		{"size, type", ada, "POST", "/v1/meetings", strings.Repeat(" ", large), []string{"Content-Type", "text/plain"}, 413, "payload_too_large"},
		{"size, parse", ada, "POST", "/v1/meetings", strings.Repeat("{", large), nil, 413, "payload_too_large"},
		{"type, parse", ada, "POST", "/v1/meetings", `{`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"type, membership", grace, "POST", "/v1/meetings/mtg_loc_none/messages", `{}`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"parse, membership", ada, "POST", "/v1/meetings/mtg_loc_none/messages", `{`, nil, 400, "validation_failed"},
		{"shape, membership", ada, "POST", "/v1/meetings/mtg_loc_none/messages", `{"content":7}`, nil, 422, "validation_failed"},
		{"unknown parameter, membership", ada, "GET", "/v1/meetings/mtg_loc_none?colour=red", nil, nil, 422, "validation_failed"},
		{"shape, role", vera, "POST", meeting + "/messages", `{"content":7}`, nil, 422, "validation_failed"},
		{"blank content, membership", ada, "POST", "/v1/meetings/mtg_loc_none/messages", `{"content":" "}`, nil, 422, "validation_failed"},
		{"size, region", ada, "POST", foreign + "/messages", strings.Repeat(" ", large), nil, 413, "payload_too_large"},
		{"shape, region", ada, "POST", foreign + "/messages", `{"content":7}`, nil, 422, "validation_failed"},
		{"unknown parameter, region", ada, "GET", foreign + "?colour=red", nil, nil, 422, "validation_failed"},
		{"authentication, region", s.nobody(), "GET", foreign, nil, nil, 401, "unauthenticated"},
		{"active user, region", gone, "GET", foreign, nil, nil, 403, "forbidden"},
		{"region, membership", grace, "POST", foreign + "/messages", `{"content":"Hello"}`, nil, 421, "misdirected_region"},
		{"region, key", grace, "POST", foreign + "/join", nil, []string{"Idempotency-Key", "a b"}, 421, "misdirected_region"},
		{"membership, state", s.signIn("stranger"), "POST", ended + "/join", nil, nil, 404, "not_found"},
		{"membership, idempotency", s.signIn("stranger"), "POST", ended + "/end", nil, []string{"Idempotency-Key", "end"}, 404, "not_found"},
		{"role, state", vera, "POST", cancelled + "/messages", `{"content":"Hello"}`, nil, 403, "forbidden"},
		{"role, state of a step", grace, "POST", ended + "/end", nil, nil, 403, "forbidden"},
		{"idempotency, state", ada, "POST", cancelled + "/messages", `{"content":"Other"}`, []string{"Idempotency-Key", "used"}, 422, "idempotency_mismatch"},
		{"key, membership", ada, "POST", "/v1/meetings/mtg_loc_none/join", nil, []string{"Idempotency-Key", "a b"}, 422, "validation_failed"},
	} {
		a := c.who.do(c.method, c.path, c.body, c.header...)
		if a.Status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.faults, a.Status, a.Body, c.status, c.code)
		}
	}
	// An answer that is known goes before the state, which would refuse by now.
	if a := ada.do("POST", ended+"/end", nil, "Idempotency-Key", "end"); a.Status != 200 || a.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a repeated end: %d %s", a.Status, a.Body)
	}
}
