package handlers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connvo/handlers"
)

// object is a part of the OpenAPI document.
type object = map[string]any

// document returns the OpenAPI document that the server publishes.
func (s *server) document() (d object) {
	s.t.Helper()
	a := s.nobody().must("GET", "/openapi.json", nil)
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		s.t.Errorf("Content-Type %q", got)
	}
	a.into(s.t, &d)
	return d
}

// part returns what is at the path within v, nil when there is nothing.
func part(v any, path ...string) any {
	for _, name := range path {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

// signingIn are the operations by which somebody becomes a caller.
var signingIn = []string{"GET /auth/login", "GET /auth/callback", "POST /auth/logout", "POST /dev/token"}

func TestEveryRouteIsInTheDocumentAndNothingElse(t *testing.T) {
	s := newServer(t)
	d := s.document()
	if v, _ := d["openapi"].(string); !strings.HasPrefix(v, "3.1") {
		t.Errorf("OpenAPI %v", d["openapi"])
	}
	routes := map[string]bool{}
	for _, r := range s.API.Routes() {
		routes[r.Method+" "+r.Path] = true
		op := part(d, "paths", r.Path, strings.ToLower(r.Method))
		if op == nil {
			t.Errorf("%s %s is not in the document", r.Method, r.Path)
			continue
		}
		checkOperation(t, r, op)
		if live := part(op, "responses", "200", "content", "text/event-stream") != nil; live != (r.Method == http.MethodGet && !r.Download) {
			t.Errorf("%s %s: live %v", r.Method, r.Path, live)
		}
	}
	for _, name := range signingIn {
		method, path, _ := strings.Cut(name, " ")
		op := part(d, "paths", path, strings.ToLower(method))
		if part(op, "summary") == nil || part(op, "responses", "default", "content", "application/problem+json", "schema") == nil {
			t.Errorf("%s is not in the document: %v", name, op)
		}
	}
	ids := map[any]bool{}
	for path, item := range d["paths"].(object) {
		for method, op := range item.(object) {
			name := strings.ToUpper(method) + " " + path
			if !routes[name] && !slices.Contains(signingIn, name) {
				t.Errorf("%s is in the document and no route", name)
			}
			if id := part(op, "operationId"); id == nil || ids[id] {
				t.Errorf("%s: the operation id %v", name, id)
			} else {
				ids[id] = true
			}
		}
	}
}

// checkOperation looks for what every operation tells.
func checkOperation(t *testing.T, r handlers.Route, op any) {
	t.Helper()
	name := r.Method + " " + r.Path
	for _, member := range []string{"summary", "description", "operationId", "tags", "security", "responses"} {
		if part(op, member) == nil {
			t.Errorf("%s has no %s", name, member)
		}
	}
	if part(op, "responses", "default", "content", "application/problem+json", "schema") == nil {
		t.Errorf("%s does not describe its problems", name)
	}
	if part(op, "security") == nil || len(part(op, "security").([]any)) == 0 {
		t.Errorf("%s needs no token", name)
	}
	parameters := map[any]bool{}
	list, _ := part(op, "parameters").([]any)
	for _, p := range list {
		parameters[fmt.Sprint(part(p, "in"), " ", part(p, "name"))] = true
	}
	want := []string{"header Idempotency-Key"}
	switch {
	case r.Download, r.Method != http.MethodGet && r.Memory:
		want = nil // what changes nothing may be repeated
	case r.Method == http.MethodGet:
		want = []string{"query heartbeat", "query lastEventId", "header Last-Event-ID", "header If-None-Match"}
	}
	for _, p := range want {
		if !parameters[p] {
			t.Errorf("%s has no parameter %s", name, p)
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if in, found := strings.CutPrefix(segment, "{"); found && !parameters["path "+strings.TrimSuffix(in, "}")] {
			t.Errorf("%s has no parameter %s", name, segment)
		}
	}
}

func TestEverythingThatIsSentHasAMaximum(t *testing.T) {
	s := newServer(t)
	d := s.document()
	checked := 0
	for path, item := range d["paths"].(object) {
		for method, op := range item.(object) {
			name := strings.ToUpper(method) + " " + path
			list, _ := part(op, "parameters").([]any)
			for _, p := range list {
				checked += bounded(t, d, fmt.Sprint(name, " ", part(p, "name")), part(p, "schema"))
			}
			if body := part(op, "requestBody", "content", "application/json", "schema"); body != nil {
				checked += bounded(t, d, name+" body", body)
			}
		}
	}
	if checked < 40 {
		t.Errorf("%d values were found, which are not all", checked)
	}
}

// bounded checks the schema and those in it, and returns how many there were.
func bounded(t *testing.T, d object, name string, schema any) (checked int) {
	t.Helper()
	if ref, found := part(schema, "$ref").(string); found {
		return bounded(t, d, name, part(d, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	kinds := []any{part(schema, "type")}
	if several, ok := kinds[0].([]any); ok {
		kinds = several
	}
	for _, kind := range kinds {
		switch kind {
		case "string":
			known := part(schema, "enum") != nil || part(schema, "format") == "date-time"
			if part(schema, "maxLength") == nil && !known {
				t.Errorf("%s: a string without a maximum", name)
			}
		case "integer", "number":
			if part(schema, "maximum") == nil || part(schema, "minimum") == nil {
				t.Errorf("%s: a number without bounds", name)
			}
		case "array":
			if part(schema, "maxItems") == nil {
				t.Errorf("%s: an array without a maximum", name)
			}
			checked += bounded(t, d, name+"[]", part(schema, "items"))
		case "object":
			if part(schema, "additionalProperties") != false {
				t.Errorf("%s: an object that takes any member", name)
			}
			members, _ := part(schema, "properties").(object)
			for member, inner := range members {
				checked += bounded(t, d, name+"."+member, inner)
			}
		case "boolean", "null":
		default:
			t.Errorf("%s: the type %v", name, kind)
		}
	}
	return checked + 1
}

// TestAnswersAreAsTheDocumentSays compares the members of real answers with the
// schemas that describe them.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	s := newServer(t)
	d := s.document()
	ada := s.signInAs("ada", "org_1", "admin")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/start", nil)
	ada.must("POST", meeting+"/participants", `{"email":"somebody@example.org","role":"observer"}`)
	var m struct{ ID string }
	ada.must("POST", meeting+"/messages", `{"content":"Hello","attachments":[{"url":"https://example.com/a.png","name":"a","contentType":"image/png","sizeBytes":1}]}`).into(t, &m)
	ada.must("POST", meeting+"/messages", `{"content":"Hello","replyTo":"`+m.ID+`"}`)
	ada.must("PATCH", meeting+"/messages/"+m.ID, `{"content":"Hello again"}`)
	version := ada.notesOf(meeting).write(1, "Hello")
	ada.must("POST", meeting+"/notes/rollback", `{"version":0,"reason":"a mistake"}`)
	ada.notesOf(meeting).write(2, "Hello")
	ada.asks(s.signIn("grace"))
	ada.must("POST", "/v1/blocks", `{"userId":"`+string(s.signIn("mallory").ID)+`"}`)
	s.deadJob("org_1")
	ada.must("PUT", "/v1/admin/flags/insights", `{"enabled":true,"percentage":5,"organizations":["org_1"],"users":["usr_1"],"reason":"a trial"}`)
	ada.must("PUT", meeting+"/presence", `{"typing":true,"cursor":{"version":1,"anchor":2,"head":3}}`)
	ended := ada.plan("Ended")
	ada.must("POST", ended+"/start", nil)
	s.exec(`INSERT INTO speaking SELECT id, ?, 0, 1000, 3, 0, '[1000]' FROM meetings`, ada.ID)
	ada.must("POST", ended+"/messages", `{"content":"We decided to go. I will go tomorrow."}`)
	ada.must("POST", ended+"/end", nil)
	s.reflect(ended)
	for _, r := range s.API.Routes() {
		if r.Method != http.MethodGet || r.LiveOnly || r.Download {
			continue
		}
		path := strings.NewReplacer("/v1/meetings/{meetingId}/analytics", ended+"/analytics", "/v1/meetings/{meetingId}/insights", ended+"/insights", "/v1/meetings/{meetingId}", meeting, "{userId}", string(ada.ID), "{key}", "insights", "{version}", fmt.Sprint(version)).Replace(r.Path)
		if strings.HasSuffix(path, "/search") {
			path += "?q=hello"
		}
		path += queries["GET "+r.Path]
		var body any
		ada.must("GET", path, nil).into(t, &body)
		described(t, d, r.Path, part(d, "paths", r.Path, "get", "responses", "200", "content", "application/json", "schema"), body)
	}
	var body any
	ada.do("GET", "/v1/nothing", nil).into(t, &body)
	described(t, d, "problem", object{"$ref": "#/components/schemas/Problem"}, body)
}

// described checks that the value has the members that the schema says, and no
// others.
func described(t *testing.T, d object, name string, schema, value any) {
	t.Helper()
	if ref, found := part(schema, "$ref").(string); found {
		described(t, d, name, part(d, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), value)
		return
	}
	switch v := value.(type) {
	case object:
		members, _ := part(schema, "properties").(object)
		for member, inner := range v {
			if others := part(schema, "additionalProperties"); others != nil && others != false {
				if part(others, "type") != nil { // else any member may be there
					described(t, d, name+".*", others, inner)
				}
				continue
			}
			if members[member] == nil {
				t.Errorf("%s.%s is not described", name, member)
				continue
			}
			described(t, d, name+"."+member, members[member], inner)
		}
		required, _ := part(schema, "required").([]any)
		for _, member := range required {
			if _, found := v[member.(string)]; !found {
				t.Errorf("%s.%s is required and missing", name, member)
			}
		}
	case []any:
		for _, inner := range v {
			described(t, d, name+"[]", part(schema, "items"), inner)
		}
	case nil:
		if !strings.Contains(fmt.Sprint(part(schema, "type")), "null") {
			t.Errorf("%s is null, which its type %v does not say", name, part(schema, "type"))
		}
	case string:
		if !strings.Contains(fmt.Sprint(part(schema, "type")), "string") {
			t.Errorf("%s is a string, which its type %v does not say", name, part(schema, "type"))
		}
	}
}

// TestArraysAreNeverNull reads everything there is to read where there is little, and
// looks for a null that the document calls an array.
func TestArraysAreNeverNull(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.document()
	organizer, host, guest := s.signIn("organizer"), s.signInAs("host", "org_1", "admin"), s.signIn("guest")
	kind := callerKind{"host", "host", "joined"}
	arrays, spare := 0, map[string]string{}
	for _, r := range s.API.Routes() {
		if r.Method != http.MethodGet || r.LiveOnly || r.Download {
			continue
		}
		schema := part(d, "paths", r.Path, "get", "responses", "200", "content", "application/json", "schema")
		for _, state := range []string{"active", "concluded"} {
			path := organizer.meetingOf(r.Path, state, kind, host, guest, spare) + queries[r.Method+" "+r.Path]
			a := host.do("GET", path, nil)
			if a.Status != http.StatusOK {
				continue
			}
			var v any
			a.into(t, &v)
			for _, at := range nulls(d, schema, v, r.Path, &arrays) {
				t.Errorf("%s is null: %s", at, a.Body)
			}
		}
	}
	if arrays < 40 {
		t.Errorf("only %d arrays were seen", arrays)
	}
}

// nulls returns where in v there is none of the arrays that the schema has.
func nulls(document, schema, v any, at string, arrays *int) (found []string) {
	if ref, ok := part(schema, "$ref").(string); ok {
		schema = part(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	switch part(schema, "type") {
	case "array":
		*arrays++
		items, ok := v.([]any)
		if !ok {
			return []string{at}
		}
		for _, one := range items {
			found = append(found, nulls(document, part(schema, "items"), one, at+"[]", arrays)...)
		}
	case "object":
		members, _ := v.(object)
		for name, one := range members {
			found = append(found, nulls(document, part(schema, "properties", name), one, at+"."+name, arrays)...)
		}
	}
	return found
}
