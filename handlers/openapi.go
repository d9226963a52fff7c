package handlers

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// settle sets what huma has for the whole process. A member whose name differs in case
// from the one that is known is refused: decoding would take the value of
// {"title":"","TITLE":""} that validation has not looked at. And an array is never null.
var settle = sync.OnceFunc(func() { huma.ValidateStrictCasing, huma.DefaultArrayNullable = true, false })

// newAPI returns the huma API on the mux: it parses, validates and describes;
// everything else is ours.
func newAPI(mux *http.ServeMux, version string) huma.API {
	settle()
	jsonFormat := huma.DefaultJSONFormat
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "connvo",
				Version: version,
				Description: "Meetings, matched and live. Every GET under /v1 can be followed: asked with Accept: text/event-stream " +
					"it is a stream of server-sent events (ready, snapshot or items, heartbeat, problem; of a transcript also interim) with the same answer, kept current. " +
					"How often you may ask is told by RateLimit-Policy and RateLimit, and by Retry-After where it was too often (429). " +
					"A meeting of another region, whose label its id has, is answered 307 with where it is, or 421 misdirected_region where that is not known. " +
					"On a development server sign in on the first page, or authorize with what connvo token prints.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{asProblem},
	})
}

// problemResponse describes what a refused request is answered with.
func (s *Server) problemResponse() *huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	members := s.api.OpenAPI().Components.Schemas.Map()["Problem"].Properties
	for name, m := range problemMembers {
		members[name] = &huma.Schema{Type: m.kind, Description: m.about}
	}
	return &huma.Response{
		Description: "A problem document; its code says what went wrong.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// describe returns the OpenAPI document, without the schemas of huma's own
// errors, which nobody is sent.
func (s *Server) describe() ([]byte, error) {
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		delete(s.api.OpenAPI().Components.Schemas.Map(), name)
	}
	return json.Marshal(s.api.OpenAPI())
}

// operation describes a route. live, when not empty, says how it is followed.
func (s *Server) operation(r route, out reflect.Type, live string) huma.Operation {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	s.limitRoute(r.method+" "+r.path, r.limit)
	registry := s.api.OpenAPI().Components.Schemas
	ok := &huma.Response{Description: http.StatusText(r.status), Headers: map[string]*huma.Header{}}
	if r.status != http.StatusNoContent {
		ok.Content = map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(out, true, r.id+"Answer")}}
	}
	op := huma.Operation{
		OperationID:     r.id,
		Method:          r.method,
		Path:            r.path,
		Summary:         r.summary,
		Description:     r.about,
		Tags:            []string{r.tag},
		DefaultStatus:   r.status,
		MaxBodyBytes:    -1, // readBody has bounded it
		BodyReadTimeout: -1,
		Security:        []map[string][]string{{"bearer": {}}},
		Responses: map[string]*huma.Response{
			strconv.Itoa(r.status): ok,
			"default":              s.problemResponse(),
		},
	}
	if live != "" {
		ok.Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: live}}
		ok.Headers["ETag"] = header("Names this answer; send it as If-None-Match to be told 304 while it is current.")
		op.Responses["204"] = &huma.Response{Description: "The ticket was used or has lapsed. It ends an EventSource for good."}
		op.Responses["304"] = &huma.Response{Description: "The answer is the one that If-None-Match names."}
		op.Parameters = []*huma.Param{
			headerParam("If-None-Match", "The ETag of an answer that is held already.", 1024),
			headerParam("Last-Event-ID", "Where a live stream goes on.", 64),
		}
		return op
	}
	ok.Headers["Connvo-Commit"] = header("The number of the write; a stream whose heartbeat has a commit as great has considered it.")
	ok.Headers["Idempotency-Replayed"] = header("true when this is the answer of an earlier request with the same key.")
	if r.status == http.StatusCreated {
		ok.Headers["Location"] = header("The path of what was made.")
	}
	ok.Headers["Preference-Applied"] = header("durability=replicated when the replica holds the write.")
	op.Parameters = []*huma.Param{
		headerParam("Idempotency-Key", "Makes the request safe to repeat for 24 hours: 1 to 255 visible characters.", 255),
		headerParam("Prefer", "With durability=replicated the answer comes when the replica holds the write, too; 503 with applied: true where that takes too long. Not applied where there is no replica.", 255),
	}
	return op
}

func header(about string) *huma.Header {
	return &huma.Param{Description: about, Schema: &huma.Schema{Type: huma.TypeString}}
}

func headerParam(name, about string, maxLength int) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: about, Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &maxLength}}
}
