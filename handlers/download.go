package handlers

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// download registers a GET whose answer is a file, which is not live. send
// returns an error before it has written anything, which is answered as a
// problem; later the connection is cut, so that half a file does not pass for all
// of it.
func download[In any](s *Server, r route, media []string, send func(w http.ResponseWriter, r *http.Request, c *call, in *In) error) {
	r.method = http.MethodGet
	s.routes = append(s.routes, Route{Method: r.method, Path: r.path, Download: true})
	op := s.operation(r, reflect.TypeFor[string](), "")
	op.Parameters = nil
	ok := op.Responses["200"]
	ok.Headers, ok.Content = nil, map[string]*huma.MediaType{}
	for _, m := range media {
		ok.Content[m] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	huma.Register(s.api, op, func(_ context.Context, in *In) (*huma.StreamResponse, error) {
		return s.atHome(func(w http.ResponseWriter, request *http.Request) {
			c := callOf(request.Context())
			if c.resolves != nil || wantsStream(request) {
				s.refuse(w, request, newProblem(http.StatusNotAcceptable, "this is a file; it cannot be followed"))
				return
			}
			a := &answer{ResponseWriter: w, call: c}
			err := send(a, request, c, in)
			switch {
			case err == nil:
			case a.status == 0:
				s.refuse(w, request, err)
			default:
				s.Log.Warn("a download was cut", "request", c.id, "error", err)
				panic(http.ErrAbortHandler)
			}
		}), nil
	})
}
