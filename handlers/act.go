package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// act registers an operation that changes nothing in the database.
func act[In, Out any](s *Server, r route, do func(*http.Request, *call, *In) (Out, error)) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	if _, silent := any(*new(Out)).(nothing); silent {
		r.status = http.StatusNoContent
	}
	s.routes = append(s.routes, Route{Method: r.method, Path: r.path, Memory: true})
	op := s.operation(r, reflect.TypeFor[Out](), "")
	op.Parameters = nil
	op.Responses[strconv.Itoa(r.status)].Headers = nil
	huma.Register(s.api, op, func(_ context.Context, in *In) (*huma.StreamResponse, error) {
		return s.atHome(func(w http.ResponseWriter, request *http.Request) {
			out, err := do(request, callOf(request.Context()), in)
			if err != nil {
				s.refuse(w, request, err)
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			if r.status == http.StatusNoContent {
				w.WriteHeader(r.status)
				return
			}
			body, _ := json.Marshal(out) // strings and numbers always encode
			writeJSON(w, r.status, body)
		}), nil
	})
}
