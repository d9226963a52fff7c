package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"connvo/domain"
	"connvo/realtime"
)

const (
	// livePath is the one connection that follows many queries.
	livePath = "/v1/live"
	// maxPath bounds a path that is followed.
	maxPath = 2048
)

type liveInput struct {
	LiveParams
	Q []string `query:"q,explode" maxItems:"100" maxLength:"2048" doc:"A path to follow, such as /v1/me, percent-encoded; may be repeated."`
}

type liveChange struct {
	ConnectionID string `path:"connectionId" maxLength:"64" doc:"What the connection's ready event has told."`
	Body         struct {
		Subscribe   []string `json:"subscribe,omitempty" maxItems:"100" maxLength:"2048" doc:"Paths to follow as long as the connection lasts; a feed with after goes on from there."`
		Unsubscribe []string `json:"unsubscribe,omitempty" maxItems:"100" maxLength:"2048" doc:"Paths to follow no longer."`
	}
}

type ticketRequest struct {
	Body struct {
		Path string `json:"path" minLength:"1" maxLength:"65536" doc:"The path of the stream with its parameters, such as /v1/me or /v1/live?q=%2Fv1%2Fme."`
	}
}

type ticketGrant struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expiresIn" doc:"Seconds within which the stream must be opened."`
}

func (s *Server) liveRoutes() {
	s.routes = append(s.routes, Route{Method: http.MethodGet, Path: livePath, LiveOnly: true})
	op := s.operation(route{method: http.MethodGet, path: livePath, id: "follow", tag: "Live", summary: "Many queries on one connection",
		about: "Asked with Accept: text/event-stream. ready comes first, then rounds: each is read in one transaction and holds every path that has changed. " +
			"Its id is the number up to which everything has been sent for every path of the URL. What is not final of a transcript is a result of its own, interim, before the items. A path that has ended with a problem is " +
			"no longer among them: open the URL without it, or follow it again with after."},
		reflect.TypeFor[liveRound](), "The data of each round.")
	ok := op.Responses["200"]
	ok.Content["text/event-stream"].Schema = ok.Content["application/json"].Schema
	delete(ok.Content, "application/json") // there is no plain answer
	delete(ok.Headers, "ETag")
	delete(op.Responses, "304")
	huma.Register(s.api, op, func(_ context.Context, in *liveInput) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			s.follow(w, r, in)
		}}, nil
	})
	act(s, route{method: http.MethodPatch, path: livePath + "/{connectionId}", id: "changeFollowed", tag: "Live",
		summary: "Follow more or fewer paths on an open connection",
		about:   "By the caller who opened it. Nothing happens unless every path can be followed. After a break the client asks again, feeds with after."}, s.changeFollowed)
	act(s, route{path: "/v1/stream-tickets", id: "createTicket", tag: "Live", status: http.StatusCreated, summary: "A ticket for one stream",
		about: "For an EventSource that cannot send a token: it opens one stream of the path, once, as its parameter ticket. Once used it is answered 204, which ends the EventSource; " +
			"after a break take a new one and pass lastEventId."}, s.createTicket)
}

// liveRound is what a round holds, for the OpenAPI document.
type liveRound struct {
	Commit  int64        `json:"commit"`
	Results []liveResult `json:"results"`
}

type liveResult struct {
	Q     string          `json:"q" doc:"The path as it was given."`
	Event string          `json:"event" enum:"snapshot,items,interim,problem"`
	Body  json.RawMessage `json:"body"`
}

// follow answers with a stream that follows many paths.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, in *liveInput) {
	resolves := callOf(r.Context()).resolves
	if resolves == nil && !wantsStream(r) {
		s.refuse(w, r, newProblem(http.StatusNotAcceptable, "this is a stream only: ask with Accept: text/event-stream"))
		return
	}
	// As they were sent: an empty one would be left out of in.Q.
	paths, err := s.resolveAll(r, r.URL.Query()["q"], "query.q")
	if err == nil && resolves == nil {
		err = s.misdirected(r)
	}
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case resolves != nil:
		resolves.Name = livePath
	default:
		s.serve(w, r, &in.LiveParams, realtime.Request{Paths: paths, Multiplexed: true})
	}
}

func (s *Server) changeFollowed(r *http.Request, c *call, in *liveChange) (nothing, error) {
	paths, err := s.resolveAll(r, in.Body.Subscribe, "body.subscribe")
	if err == nil {
		err = s.misdirectedChange(r, in.ConnectionID, paths)
	}
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, s.engine.Change(c.who, in.ConnectionID, paths, in.Body.Unsubscribe)
}

// resolveAll returns what the paths follow, each once, or everything that is
// wrong with them. Rights are not asked for: they are decided when the paths are
// read.
func (s *Server) resolveAll(r *http.Request, names []string, location string) ([]realtime.Path, error) {
	paths := make([]realtime.Path, 0, len(names))
	seen := make(map[string]bool, len(names))
	var wrong []fieldError
	for i, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		p, err := s.resolve(r, name)
		if isTooMany(err) {
			return nil, err
		}
		if err != nil {
			wrong = append(wrong, fieldError{Location: fmt.Sprintf("%s[%d]", location, i), Message: sentence(err)})
			continue
		}
		paths = append(paths, p)
	}
	if len(wrong) > 0 {
		return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", wrong...)
	}
	return paths, nil
}

// resolve returns what the path follows.
func (s *Server) resolve(r *http.Request, name string) (p realtime.Path, err error) {
	if len(name) > maxPath {
		return p, newProblem(http.StatusUnprocessableEntity, fmt.Sprintf("the path is longer than %d characters", maxPath))
	}
	u, err := parsePath(name)
	if err != nil {
		return p, err
	}
	if u.Path != livePath { // which would name others in turn
		if p, err = s.rehearse(r, u); err != nil {
			return p, err
		}
	}
	if p.Query == nil && p.Feed == nil {
		return p, newProblem(http.StatusNotAcceptable, "the path cannot be followed among others")
	}
	for _, own := range connectionParameters {
		if u.Query().Has(own) {
			return p, domain.FailField("query."+own, "is a parameter of the connection; a feed goes on with after")
		}
	}
	p.Name = name
	return p, nil
}

// parsePath reads the path of a live GET, with its parameters.
func parsePath(name string) (*url.URL, error) {
	u, err := url.ParseRequestURI(name)
	if err != nil || !strings.HasPrefix(name, apiPrefix) || strings.ContainsAny(u.Path, "\x00\r\n") {
		return nil, newProblem(http.StatusUnprocessableEntity, "is no path of the API, such as /v1/me")
	}
	return u, nil
}

// rehearse routes, parses and validates a live GET of the path as a request for
// it would be, and returns what it would follow.
func (s *Server) rehearse(r *http.Request, u *url.URL) (p realtime.Path, err error) {
	outer := callOf(r.Context())
	c := &call{id: outer.id, address: outer.address, who: outer.who, resolves: &p}
	inner := (&http.Request{
		Method: http.MethodGet, URL: u, RequestURI: u.RequestURI(), Host: r.Host, Header: http.Header{}, Body: http.NoBody,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
	}).WithContext(context.WithValue(r.Context(), callKey{}, c))
	handler, pattern := s.mux.Handler(inner)
	if pattern == "" {
		return p, unrouted(handler, &discarded{header: http.Header{}}, inner)
	}
	if !outer.counted {
		if err := s.limitFollowed(outer.who.User, pattern); err != nil {
			return p, err
		}
	}
	if err := checkQuery(u); err != nil {
		return p, err
	}
	answer := &discarded{header: http.Header{}}
	s.mux.ServeHTTP(answer, inner)
	if answer.status != 0 {
		return p, answer.problem()
	}
	return p, nil
}

// problem is the problem document that was answered.
func (d *discarded) problem() *problem {
	p := &problem{}
	if err := json.Unmarshal(d.body, p); err != nil || p.Status == 0 {
		return newProblem(http.StatusNotAcceptable, "the path cannot be followed")
	}
	seconds, _ := strconv.Atoi(d.header.Get("Retry-After")) // 0 where there is none
	p.Retry = time.Duration(seconds) * time.Second
	return p
}

// sentence is what is wrong with a path, for people.
func sentence(err error) string {
	p := problemOf(err)
	if len(p.Errors) > 0 {
		return p.Errors[0].Location + ": " + p.Errors[0].Message
	}
	return p.Detail
}
