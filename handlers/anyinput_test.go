package handlers_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"
)

// odd are values that programs trip over.
var odd = []any{
	nil, true, 0, -1, 1.5, 1e308, int64(1) << 53, []any{}, map[string]any{}, "", " ", "\x00", "null", "-1", "1e309", "9223372036854775808",
	"😁", strings.Repeat("x", 70_000), "\u202e", "../..", "%00", "' OR 1=1 --", `"*`, "a AND", "{", "\r\nX-Header: y",
	"2026-13-40T99:99:99Z", "9999-12-31T23:59:59.999999999+23:59", "usr_", "mtg_loc_00000000000000000000000000", "mtg_fra_00000000000000000000000000",
}

// internals are words of what no answer may tell.
var internals = regexp.MustCompile(`(?i)sqlite|goroutine|constraint failed|\.go:\d|no such table|SELECT .* FROM`)

// Whatever is sent, by whomever, is answered as the document says, and never because
// something here is broken.
func TestWhateverIsSentIsAnswered(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace, boss := s.signIn("ada"), s.signIn("grace"), s.signInAs("boss", "org_acme", "admin")
	ask := &asking{document: s.API.Document(), ids: []string{string(ada.ID), string(grace.ID), string(boss.ID)}, people: []*person{ada, ada, grace, boss, s.nobody()}}
	ask.names = slices.Sorted(maps.Keys(ask.document.Paths))
	rapid.Check(t, func(t *rapid.T) {
		ask.t = t
		meeting := ada.plan("Plan")
		ada.do("POST", meeting+"/participants", map[string]any{"userId": grace.ID}) // whom she may have blocked by now
		ask.meeting = strings.TrimPrefix(meeting, "/v1/meetings/")
		if rapid.Bool().Draw(t, "active") {
			ada.must("POST", meeting+"/start", nil)
		}
		for range 20 {
			ask.something(s)
		}
	})
	if log := s.Log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("something broke: %.2000s", log[strings.Index(log, "level=ERROR"):])
	}
}

// asking makes requests of what the document says that there is.
type asking struct {
	t        *rapid.T
	document *huma.OpenAPI
	names    []string // of the paths
	ids      []string // of people
	meeting  string
	people   []*person
}

// something sends a request and looks at its answer. The contract of the server
// compares that with the document.
func (ask *asking) something(s *server) {
	path := rapid.SampledFrom(ask.names).Draw(ask.t, "path")
	item := ask.document.Paths[path]
	ops := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}
	maps.DeleteFunc(ops, func(_ string, op *huma.Operation) bool { return op == nil })
	method := rapid.SampledFrom(slices.Sorted(maps.Keys(ops))).Draw(ask.t, "method")
	if method+" "+path == "DELETE /v1/me" || strings.HasSuffix(path, "/deactivate") || path == "/auth/logout" {
		return // who asks could ask nothing any more
	}
	op, query, header := ops[method], url.Values{}, []string{}
	for _, p := range op.Parameters {
		switch v := ask.value(p.Schema, 0); {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(ask.id(p.Name, v)))
		case rapid.Bool().Draw(ask.t, p.Name):
			continue
		case p.In == "query":
			query.Add(p.Name, plainly(v))
		case !strings.ContainsFunc(plainly(v), func(r rune) bool { return r < ' ' || r > '~' }) && len(plainly(v)) < 2000:
			header = append(header, p.Name, plainly(v))
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if len(path) > 4000 {
		return // it is refused before there is a handler
	}
	who := rapid.SampledFrom(ask.people).Draw(ask.t, "who")
	a := who.do(method, path, ask.body(op), header...)
	if a.Status == http.StatusInternalServerError || a.Status > http.StatusServiceUnavailable || internals.Match(a.Body) {
		ask.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
}

// id is what stands for a parameter of a path: mostly something that there is.
func (ask *asking) id(name string, v any) string {
	switch which := rapid.IntRange(0, 9).Draw(ask.t, "id"); {
	case which < 8 && name == "meetingId":
		return ask.meeting
	case which < 8:
		return rapid.SampledFrom(append(ask.ids, ask.meeting, "1", "insights")).Draw(ask.t, name)
	default:
		return "x" + plainly(v) // an empty one is another path
	}
}

// body is a body for the operation, nil where it has none.
func (ask *asking) body(op *huma.Operation) any {
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		return nil
	}
	encoded, err := json.Marshal(ask.value(op.RequestBody.Content["application/json"].Schema, 0))
	if err != nil {
		ask.t.Fatal(err)
	}
	if rapid.IntRange(0, 19).Draw(ask.t, "cut") == 0 {
		encoded = encoded[:len(encoded)/2]
	}
	return string(encoded)
}

// value is a value of the schema, or now and then anything else.
func (ask *asking) value(schema *huma.Schema, depth int) any {
	if schema != nil && schema.Ref != "" {
		schema = ask.document.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	if schema == nil || rapid.IntRange(0, 9).Draw(ask.t, "odd") == 0 {
		return rapid.SampledFrom(odd).Draw(ask.t, "value")
	}
	if len(schema.Enum) > 0 {
		return rapid.SampledFrom(schema.Enum).Draw(ask.t, "value")
	}
	switch schema.Type {
	case huma.TypeObject:
		o := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			if slices.Contains(schema.Required, name) || rapid.Bool().Draw(ask.t, name) {
				o[name] = ask.value(schema.Properties[name], depth+1)
			}
		}
		return o
	case huma.TypeArray:
		list := make([]any, rapid.IntRange(0, 3-min(depth, 2)).Draw(ask.t, "length"))
		for i := range list {
			list[i] = ask.value(schema.Items, depth+1)
		}
		return list
	case huma.TypeInteger, huma.TypeNumber:
		return rapid.Int64Range(-1, 1000).Draw(ask.t, "number")
	case huma.TypeBoolean:
		return rapid.Bool().Draw(ask.t, "value")
	default:
		return rapid.SampledFrom(append(ask.ids, "ada@example.com", "hello you", "en", "2026-11-24T10:00:00Z", "https://example.com/a")).Draw(ask.t, "value")
	}
}

// plainly is a value in a URL or a header.
func plainly(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	encoded, _ := json.Marshal(v) // all that value makes can be encoded
	return string(encoded)
}
