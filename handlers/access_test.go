package handlers_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

// access is who may do what, as the contract's access matrix says, in meetings
// that are scheduled, active, concluded and cancelled. A rule names those whom
// the caller must be one of, else they are answered 403, and what they are
// answered then; an exception follows a comma. Above every rule: nobody 401,
// who is deactivated 403, and, but for everyone, who is no member 404.
var access = map[string][4]string{
	"GET /v1/me":                   always("everyone 200"),
	"PATCH /v1/me":                 always("everyone 200"),
	"GET /v1/notifications":        always("everyone 200"),
	"GET /v1/notifications/unread": always("everyone 200"),
	"POST /v1/notifications/read":  always("everyone 204"),

	"GET /v1/users/{userId}":         always("everyone 200"),
	"GET /v1/users/{userId}/profile": always("everyone 200"), // whom settings refuse is in testdata/profiles.txt
	"GET /v1/users":                  always("everyone 200"),
	"GET /v1/interests":              always("everyone 200"),
	"GET /v1/me/profile":             always("everyone 200"),
	"PATCH /v1/me/profile":           always("everyone 200"),
	"GET /v1/me/settings":            always("everyone 200"),
	"PATCH /v1/me/settings":          always("everyone 200"),
	"GET /v1/me/interests":           always("everyone 200"),
	"PUT /v1/me/interests":           always("everyone 200"),
	"GET /v1/me/onboarding":          always("everyone 200"),
	"PUT /v1/me/onboarding":          always("everyone 200"),

	"GET /v1/meetings":                  always("everyone 200"),
	"POST /v1/meetings":                 always("everyone 201"),
	"GET /v1/connections":               always("everyone 200"),
	"POST /v1/connections":              always("everyone 201"),
	"POST /v1/connections/{id}/accept":  always("everyone 200"), // those of the caller, see related; who of the two is in connections_test.go
	"POST /v1/connections/{id}/decline": always("everyone 204"),
	"DELETE /v1/connections/{id}":       always("everyone 403 forbidden"), // a request that the caller has received
	"GET /v1/blocks":                    always("everyone 200"),
	"POST /v1/blocks":                   always("everyone 201"),
	"DELETE /v1/blocks/{userId}":        always("everyone 204"),

	"GET /v1/live":                  always("everyone 200"),
	"PATCH /v1/live/{connectionId}": always("everyone 404 not_found"), // the caller's own is in multiplex_test.go
	"POST /v1/stream-tickets":       always("everyone 201"),
	"GET /v1/admin/streams":         always("admins 200"),
	"GET /v1/admin/replication":     always("admins 200"),
	"GET /v1/admin/audit":           always("admins 200"),
	"GET /v1/admin/audit/export":    always("admins 200"),

	"GET /v1/me/export":                  always("everyone 200"),
	"DELETE /v1/me":                      always("everyone 202"),
	"POST /v1/users/{userId}/deactivate": always("org-admins 204"),
	"POST /v1/users/{userId}/activate":   always("org-admins 204"),
	"GET /v1/admin/retention":            always("admins 200"),
	"PUT /v1/admin/retention":            always("admins 200"),

	"GET /v1/flags":                     always("everyone 200"),
	"GET /v1/admin/flags":               always("admins 200"),
	"GET /v1/admin/flags/{key}":         always("admins 200"),
	"PUT /v1/admin/flags/{key}":         always("admins 200"),
	"DELETE /v1/admin/flags/{key}":      always("admins 200"),
	"GET /v1/admin/jobs":                always("admins 200"),
	"POST /v1/admin/jobs/{jobId}/retry": always("admins 200"),

	"GET /v1/meetings/{meetingId}":              always("members 200"),
	"GET /v1/meetings/{meetingId}/participants": always("members 200"),
	"GET /v1/meetings/{meetingId}/invitations":  always("managers 200"),
	"GET /v1/meetings/{meetingId}/events":       always("members 200"),

	"PATCH /v1/meetings/{meetingId}":                        {"managers 200", "managers 200", "managers 409 conflict", "managers 409 conflict"},
	"POST /v1/meetings/{meetingId}/participants":            {"managers 201", "managers 201", "managers 409 conflict", "managers 409 conflict"},
	"PATCH /v1/meetings/{meetingId}/participants/{userId}":  {"managers 200", "managers 200", "managers 200", "managers 409 conflict"},
	"DELETE /v1/meetings/{meetingId}/participants/{userId}": {"managers 204", "managers 204", "managers 204", "managers 409 conflict"},
	"POST /v1/meetings/{meetingId}/transfer":                {"hosts 200", "hosts 200", "hosts 200", "hosts 409 conflict"},

	"POST /v1/meetings/{meetingId}/cancel": {"managers 200", "managers 409 conflict", "managers 409 conflict", "managers 409 conflict"},
	"POST /v1/meetings/{meetingId}/start":  {"managers 200", "managers 409 conflict", "managers 409 conflict", "managers 409 conflict"},
	"POST /v1/meetings/{meetingId}/end":    {"managers 409 conflict", "managers 200", "managers 409 conflict", "managers 409 conflict"},
	"POST /v1/meetings/{meetingId}/join":   {"members 409 conflict", "members 200", "members 409 conflict", "members 409 conflict"},
	"POST /v1/meetings/{meetingId}/leave":  {"members 409 conflict", "members 200, invited 409 conflict", "members 409 conflict", "members 409 conflict"},

	"GET /v1/meetings/{meetingId}/state":     {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/analytics": {"members 409 conflict", "joined 409 conflict", "members 200", "members 409 conflict"},
	"POST /v1/meetings/{meetingId}/rating":   {"attended 409 conflict", "attended 409 conflict", "attended 204", "attended 409 conflict"},

	"GET /v1/meetings/{meetingId}/insights":           {"members 409 conflict", "joined 409 conflict", "members 200", "members 409 conflict"},
	"POST /v1/meetings/{meetingId}/insights/generate": {"attended 409 conflict", "attended 409 conflict", "attended 202", "attended 409 conflict"},
	"GET /v1/insights":                                always("everyone 200"),
	"POST /v1/insights/{insightId}/feedback":          always("everyone 204"), // the caller's own, see meetingOf; others' are in testdata/insights.txt
	"DELETE /v1/insights/{insightId}":                 always("everyone 204"),

	"GET /v1/meetings/{meetingId}/messages":                 {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/notes":                    {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/notes/ops":                {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/notes/versions/{version}": {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/notes/search":             {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/notes/export":             {"members 200", "joined 200", "members 200", "members 200"},
	"POST /v1/meetings/{meetingId}/notes/ops":               {"writers 200", "joined-writers 200", "writers 200", "writers 409 meeting_not_active"},
	"POST /v1/meetings/{meetingId}/notes/rollback":          {"hosts 200", "joined-hosts 200", "hosts 200", "hosts 409 meeting_not_active"},
	"PUT /v1/meetings/{meetingId}/notes/lock":               {"hosts 200", "joined-hosts 200", "hosts 200", "hosts 409 meeting_not_active"},

	"GET /v1/meetings/{meetingId}/messages/search": {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/presence":        {"members 200", "joined 200", "members 409 meeting_not_active", "members 409 meeting_not_active"},
	"PUT /v1/meetings/{meetingId}/presence":        {"members 204", "joined 204", "members 409 meeting_not_active", "members 409 meeting_not_active"},

	"GET /v1/meetings/{meetingId}/transcripts":        {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/transcripts/search": {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/transcripts/stats":  {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/transcripts/export": {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/segments":           {"members 200", "joined 200", "members 200", "members 200"},
	"GET /v1/meetings/{meetingId}/speakers":           {"members 200", "joined 200", "members 200", "members 200"},
	"POST /v1/meetings/{meetingId}/transcripts":       {"writers 409 meeting_not_active", "joined-writers 200", "writers 409 meeting_not_active", "writers 409 meeting_not_active"},
	"POST /v1/meetings/{meetingId}/audio":             {"writers 409 meeting_not_active", "joined-writers 202", "writers 409 meeting_not_active", "writers 409 meeting_not_active"},
	"DELETE /v1/meetings/{meetingId}/transcripts":     {"hosts 409 conflict", "joined-hosts 409 conflict", "hosts 202", "hosts 202"},
	"PUT /v1/meetings/{meetingId}/speakers/{label}":   {"writers 409 meeting_not_active", "joined-writers 200", "writers 200", "writers 409 meeting_not_active"}, // themselves; whom else is in testdata/transcripts.txt

	"POST /v1/meetings/{meetingId}/messages":               {"writers 201", "joined-writers 201", "writers 201", "writers 409 meeting_not_active"},
	"PATCH /v1/meetings/{meetingId}/messages/{messageId}":  {"writers 200", "joined-writers 200", "writers 200", "writers 409 meeting_not_active"},
	"DELETE /v1/meetings/{meetingId}/messages/{messageId}": {"writers 204", "joined-writers 204", "writers 204", "writers 409 meeting_not_active"},
}

func always(rule string) [4]string { return [4]string{rule, rule, rule, rule} }

// bodies are what the writes are sent with.
var bodies = map[string]string{
	"PATCH /v1/me":                                         `{"displayName":"Me"}`,
	"PATCH /v1/me/profile":                                 `{"bio":"Mathematics, and tea."}`,
	"PATCH /v1/me/settings":                                `{"emailNotifications":false}`,
	"PUT /v1/me/interests":                                 `{"interests":["music"]}`,
	"PUT /v1/me/onboarding":                                `{"displayName":"Me","profile":{},"interests":[]}`,
	"POST /v1/notifications/read":                          `{"upTo":1}`,
	"POST /v1/connections":                                 `{"userId":"$guest"}`,
	"POST /v1/blocks":                                      `{"userId":"$guest"}`,
	"POST /v1/meetings":                                    `{"title":"Mine"}`,
	"PATCH /v1/meetings/{meetingId}":                       `{"title":"Changed"}`,
	"POST /v1/meetings/{meetingId}/participants":           `{"email":"somebody@example.org","role":"participant"}`,
	"PATCH /v1/meetings/{meetingId}/participants/{userId}": `{"role":"participant"}`,
	"POST /v1/meetings/{meetingId}/transfer":               `{"userId":"$guest"}`,
	"PUT /v1/admin/flags/{key}":                            `{"enabled":true,"percentage":50,"organizations":[],"users":[],"reason":"a trial"}`,
	"PUT /v1/admin/retention":                              `{"messagesDays":30,"transcriptsDays":60}`,
	"PATCH /v1/live/{connectionId}":                        `{"subscribe":["/v1/me"]}`,
	"PUT /v1/meetings/{meetingId}/presence":                `{"typing":true}`,
	"POST /v1/stream-tickets":                              `{"path":"/v1/me"}`,
	"POST /v1/meetings/{meetingId}/rating":                 `{"rating":4}`,
	"POST /v1/insights/{insightId}/feedback":               `{"helpful":true}`,
	"POST /v1/meetings/{meetingId}/messages":               `{"content":"Hello"}`,
	"POST /v1/meetings/{meetingId}/transcripts":            `{"chunks":[{"text":"Hello","confidence":1,"startMs":0,"endMs":900}]}`,
	"POST /v1/meetings/{meetingId}/audio":                  string(wav(time.Second)),
	"PUT /v1/meetings/{meetingId}/speakers/{label}":        `{"userId":"$caller"}`,
	"POST /v1/meetings/{meetingId}/notes/ops":              `{"clientId":"$client","baseVersion":0,"edits":[{"clientSeq":1,"ops":[{"insert":"Hello"}]}]}`,
	"POST /v1/meetings/{meetingId}/notes/rollback":         `{"version":0,"reason":"a mistake"}`,
	"PUT /v1/meetings/{meetingId}/notes/lock":              `{"locked":true}`,
	"PATCH /v1/meetings/{meetingId}/messages/{messageId}":  `{"content":"Changed"}`,
}

// queries are the parameters that requests need.
var queries = map[string]string{"DELETE /v1/admin/flags/{key}": "?reason=over", "GET /v1/users": "?org=mine"}

// callerKind is what somebody is in a meeting, with no role when no member.
type callerKind struct{ name, role, status string }

var callerKinds = []callerKind{
	{name: "nobody"},
	{name: "stranger"},
	{name: "removed"}, // was a member
	{name: "colleague"},
	{name: "admin"}, // of the meeting's organization, which opens no meeting
	{name: "foreign admin"},
	{name: "deactivated", role: "host", status: "joined"},
	{"invited", "participant", "invited"},
	{"invited observer", "observer", "invited"},
	{"observer", "observer", "joined"},
	{"participant", "participant", "joined"},
	{"left", "participant", "left"},
	{"left observer", "observer", "left"},
	{"invited cohost", "cohost", "invited"},
	{"cohost", "cohost", "joined"},
	{"invited host", "host", "invited"},
	{"host", "host", "joined"},
	{"left host", "host", "left"},
}

// is reports whether a rule's word names the caller.
func (k callerKind) is(word string) bool {
	manages, writes, joined := k.role == "host" || k.role == "cohost", k.role != "observer", k.status == "joined"
	return map[string]bool{
		"everyone": true, "admins": strings.HasSuffix(k.name, "admin"), "org-admins": k.name == "admin", "members": true, "managers": manages, "hosts": k.role == "host", "joined": joined, "writers": writes,
		"joined-writers": joined && writes, "joined-hosts": joined && k.role == "host", "invited": k.status == "invited", "attended": joined || k.status == "left",
	}[word]
}

// answered is the status and the code that the rule gives the caller.
func (k callerKind) answered(rule string) (status int, code string) {
	switch {
	case k.name == "nobody":
		return 401, "unauthenticated"
	case k.name == "deactivated":
		return 403, "forbidden"
	case k.role == "" && !strings.HasPrefix(rule, "everyone ") && !strings.HasPrefix(rule, "admins ") && !strings.HasPrefix(rule, "org-admins "):
		return 404, "not_found"
	}
	rule, exception, _ := strings.Cut(rule, ", ")
	word, what, _ := strings.Cut(rule, " ")
	if !k.is(word) {
		return 403, "forbidden"
	}
	if exempt, instead, found := strings.Cut(exception, " "); found && k.is(exempt) {
		what = instead
	}
	number, code, _ := strings.Cut(what, " ")
	status, _ = strconv.Atoi(number) // a rule that names none fails every case
	return status, code
}

func TestEveryRouteIsOpenToWhomTheMatrixNames(t *testing.T) {
	s := newServer(t)
	organizer, guest := s.signInAs("organizer", "org_1", domain.OrgMember), s.signIn("guest")
	callers := map[string]*person{"nobody": s.nobody()}
	for _, k := range callerKinds[1:] {
		callers[k.name] = s.signIn(strings.ReplaceAll(k.name, " ", "-"))
	}
	callers["deactivated"].deactivate()
	callers["colleague"] = s.signInAs("colleague", "org_1", domain.OrgMember)
	callers["admin"] = s.signInAs("admin", "org_1", domain.OrgAdmin)
	callers["foreign admin"] = s.signInAs("foreign-admin", "org_2", domain.OrgAdmin)
	known := map[string]bool{}
	spare := map[string]string{}
	for _, r := range s.API.Routes() {
		name := r.Method + " " + r.Path
		known[name] = true
		rules, found := access[name]
		if !found {
			t.Errorf("%s: add it to the access table", name)
			continue
		}
		for i, state := range []string{"scheduled", "active", "concluded", "cancelled"} {
			if i > 0 && rules[i] == rules[0] && !strings.Contains(r.Path, "{meetingId}") {
				continue // it is the same request
			}
			for _, k := range callerKinds {
				c := accessCase{name: name, state: state, kind: k, caller: callers[k.name], method: r.Method, liveOnly: r.LiveOnly, download: r.Download}
				c.path, c.guest = organizer.meetingOf(r.Path, state, k, callers[k.name], guest, spare), guest
				c.status, c.code = k.answered(rules[i])
				if status := c.check(t); r.Method != http.MethodGet && status < 300 {
					delete(spare, state+k.name) // it is changed
				}
			}
		}
	}
	for name := range access {
		if !known[name] {
			t.Errorf("%s: there is no such route; take it from the access table", name)
		}
	}
}

// meetingOf returns the route's path for a meeting in the state, with the guest, the
// caller and a message of theirs in it. spare are meetings that nothing was done in yet,
// by state and kind of caller.
func (p *person) meetingOf(route, state string, k callerKind, caller, guest *person, spare map[string]string) string {
	if strings.HasSuffix(route, "/deactivate") || strings.HasSuffix(route, "/activate") {
		p.s.exec(`UPDATE users SET active = 1 WHERE email LIKE 'pawn%'`)
		route = strings.ReplaceAll(route, "{userId}", string(p.s.signInAs("pawn", "org_1", domain.OrgMember).ID))
	}
	route = strings.ReplaceAll(route, "/participants/{userId}", "/participants/"+string(guest.ID))
	if strings.HasSuffix(route, "/search") {
		route += "?q=hello"
	}
	if strings.Contains(route, "{jobId}") {
		route = strings.ReplaceAll(route, "{jobId}", p.s.deadJob(map[bool]string{true: "org_2", false: "org_1"}[k.name == "foreign admin"]))
	}
	if strings.HasPrefix(route, "/v1/connections") || strings.HasPrefix(route, "/v1/blocks") {
		return p.related(route, caller)
	}
	if strings.Contains(route, "{insightId}") {
		route = strings.ReplaceAll(route, "{insightId}", p.insightsOf(caller))
	}
	route = strings.NewReplacer("{userId}", string(p.ID), "{connectionId}", "none", "{key}", "insights", "{label}", "Speaker%201").Replace(route)
	if !strings.Contains(route, "{meetingId}") {
		return route
	}
	id := spare[state+k.name]
	if id == "" {
		id = p.meetingIn(state, k, caller, guest)
		spare[state+k.name] = id
	}
	if strings.Contains(route, "{messageId}") {
		var m struct{ ID string }
		p.s.exec(`UPDATE meetings SET state = 'scheduled' WHERE id = ?`, id)
		p.must("POST", "/v1/meetings/"+id+"/messages", `{"content":"Hello"}`).into(p.s.t, &m)
		p.s.exec(`UPDATE messages SET user_id = ? WHERE meeting_id = ?`, caller.ID, id)
		p.s.exec(`UPDATE meetings SET state = ?2 WHERE id = ?1`, id, state)
		route = strings.ReplaceAll(route, "{messageId}", m.ID)
	}
	if strings.Contains(route, "{version}") {
		p.s.exec(`UPDATE meetings SET state = 'scheduled' WHERE id = ?`, id)
		version := p.notesOf("/v1/meetings/"+id).write(1, "Hello")
		p.s.exec(`UPDATE meetings SET state = ?2 WHERE id = ?1`, id, state)
		route = strings.ReplaceAll(route, "{version}", strconv.FormatInt(version, 10))
		delete(spare, state+k.name) // its notes are
	}
	return strings.ReplaceAll(route, "{meetingId}", id)
}

// meetingIn makes a meeting in the state with the guest and the caller in it.
func (p *person) meetingIn(state string, k callerKind, caller, guest *person) string {
	id := strings.TrimPrefix(p.plan("Plan", guest, "observer"), "/v1/meetings/")
	p.s.exec(`UPDATE meetings SET state = ?2, ended_at = CASE ?2 WHEN 'concluded' THEN created_at END WHERE id = ?1`, id, state)
	if k.role != "" {
		p.s.exec(`INSERT INTO participants (meeting_id, user_id, meeting_state, role, status) VALUES (?, ?, ?, ?, ?)`, id, caller.ID, state, k.role, k.status)
	}
	if k.name == "removed" {
		p.s.exec(`INSERT INTO participants (meeting_id, user_id, meeting_state, role, status) VALUES (?, ?, ?, 'cohost', 'joined')`, id, caller.ID, state)
		p.s.exec(`DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`, id, caller.ID)
	}
	return id
}

// insightsOf makes insights of the caller, and returns their id.
func (p *person) insightsOf(caller *person) string {
	if caller.ID == "" {
		return "ins_none"
	}
	p.s.exec(`DELETE FROM insights`)
	p.s.exec(`INSERT INTO insights (user_id, meeting_id, id, created_at, generated_by, heard, material) SELECT ?, id, 'ins_1', 0, 'local', 0, x'' FROM meetings LIMIT 1`, caller.ID)
	return "ins_1"
}

// stay undoes that the person has asked to be erased.
func (p *person) stay() {
	p.s.exec(`UPDATE users SET active = 1 WHERE id = ?`, p.ID)
	p.s.exec(`DELETE FROM ended_sessions`)
	p.s.exec(`DELETE FROM erased_subjects`)
	p.s.exec(`DELETE FROM erasures`)
}

// related makes the caller somebody whom p has asked to connect, or who blocks p,
// and nothing else to anybody, and returns the route's path for it.
func (p *person) related(route string, caller *person) string {
	p.s.exec(`DELETE FROM connections`)
	p.s.exec(`DELETE FROM blocks`)
	const id = "con_1"
	switch {
	case caller.ID == "":
	case strings.HasPrefix(route, "/v1/connections/"):
		p.s.exec(`INSERT INTO connections (user_id, other_id, id, status, direction, created_at, message)
			VALUES (?1, ?2, ?3, 'pending', 'sent', 0, ''), (?2, ?1, ?3, 'pending', 'received', 0, '')`, p.ID, caller.ID, id)
	case strings.HasPrefix(route, "/v1/blocks/"):
		p.s.exec(`INSERT INTO blocks (user_id, other_id, mine, created_at) VALUES (?1, ?2, 1, 0), (?2, ?1, 0, 0)`, caller.ID, p.ID)
	}
	return strings.NewReplacer("{id}", id, "{userId}", string(p.ID)).Replace(route)
}

// accessCase is one request of one caller, and what it must be answered with.
type accessCase struct {
	name, state  string
	kind         callerKind
	caller       *person
	guest        *person // an observer
	method, path string
	liveOnly     bool
	download     bool
	status       int
	code         string
}

// check makes the request and returns the status of its answer.
func (c accessCase) check(t *testing.T) int {
	t.Helper()
	var body any
	if b, found := bodies[c.name]; found {
		meeting, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/v1/meetings/"), "/")
		body = strings.NewReplacer("$guest", string(c.guest.ID), "$caller", string(c.caller.ID), "$client", meeting).Replace(b)
	}
	a := c.caller.do(c.method, c.path+queries[c.name], body)
	if c.liveOnly && c.status == http.StatusOK {
		if a.code() != "not_acceptable" {
			t.Errorf("%s, not live: %d %s", c.name, a.Status, a.Body)
		}
	} else if a.Status != c.status || a.code() != c.code {
		t.Errorf("%s, %s, %s: %d %s, want %d %s", c.name, c.state, c.kind.name, a.Status, a.Body, c.status, c.code)
	}
	if c.name == "DELETE /v1/me" && a.Status == http.StatusAccepted {
		c.caller.stay()
	}
	if c.method != http.MethodGet {
		return a.Status
	}
	// The live GET is open to the same people.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := c.caller.s.transport.RoundTrip(c.caller.request(ctx, c.method, c.path+queries[c.name], nil, "Accept", "text/event-stream"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close() // its status is all that matters
	live := response.Header.Get("Content-Type") == "text/event-stream"
	if c.download && response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusForbidden {
		c.status = http.StatusNotAcceptable
	}
	if response.StatusCode != c.status || live != (c.status == 200) {
		t.Errorf("%s live, %s, %s: %d %v, want %d", c.name, c.state, c.kind.name, response.StatusCode, response.Header, c.status)
	}
	return a.Status
}
