package handlers_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// comparedAnswers is how many answers of one route with one status are compared with
// the document in a test: those after them are of the same kind.
const comparedAnswers = 50

// contract compares what is answered with what the document says of it. The zero value
// is to use.
type contract struct {
	mu       sync.Mutex // guards the rest, and the document
	mux      *http.ServeMux
	ops      map[string]*huma.Operation
	compared map[string]int
}

// check fails the test when the answer is not as the document of the server says.
func (c *contract) check(s *server, r *http.Request, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mux == nil {
		c.read(s.API.Document())
	}
	_, pattern := c.mux.Handler(r)
	op := c.ops[pattern]
	if op == nil || r.Method == http.MethodHead {
		return
	}
	which := pattern + " " + strconv.Itoa(a.Status)
	if c.compared[which]++; c.compared[which] > comparedAnswers {
		return
	}
	if wrong := compareAnswer(s.API.Document().Components.Schemas, op, a); wrong != "" {
		s.t.Errorf("%s is not as the document says: %s\n%.2000s", which, wrong, a.Body)
	}
}

// read takes the operations of the document.
func (c *contract) read(doc *huma.OpenAPI) {
	c.mux, c.ops, c.compared = http.NewServeMux(), map[string]*huma.Operation{}, map[string]int{}
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			if op != nil {
				c.ops[method+" "+path] = op
				c.mux.HandleFunc(method+" "+path, http.NotFound)
			}
		}
	}
}

// compareAnswer tells what of the answer is not as it is described, "" for nothing.
func compareAnswer(schemas huma.Registry, op *huma.Operation, a answer) (wrong string) {
	described := op.Responses[strconv.Itoa(a.Status)]
	if described == nil && (a.Status >= 300 || len(op.Responses) == 1) {
		described = op.Responses["default"]
	}
	switch {
	case described == nil:
		return "a status that it does not know"
	case a.Status == http.StatusNotModified, a.Status == http.StatusNoContent, a.Status < 400 && a.Status >= 300:
		return ""
	}
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return "its Content-Type: " + err.Error()
	}
	media := described.Content[kind]
	if media == nil {
		return "a type that it does not know, " + kind
	}
	if media.Schema == nil || (kind != "application/json" && kind != "application/problem+json") {
		return ""
	}
	var body any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return err.Error()
	}
	var found huma.ValidateResult
	huma.Validate(schemas, media.Schema, huma.NewPathBuffer([]byte{}, 0), huma.ModeReadFromServer, body, &found)
	for _, err := range found.Errors {
		wrong += err.Error() + "; "
	}
	return wrong
}
