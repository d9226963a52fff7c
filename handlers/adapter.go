package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"connvo/audit"
	"connvo/domain"
	"connvo/ratelimit"
	"connvo/realtime"
)

// route is one operation of the API.
type route struct {
	method  string // GET when ""
	path    string
	id      string // the operation's name in the OpenAPI document
	summary string
	about   string
	tag     string
	status  int // of the answer, 200 when 0
	// shared says that all who may see the answer are answered the same, but for
	// what its own method returns: it is read once for all of them.
	shared bool
	// every is how often the answer of a live query that comes from memory is
	// asked for; 0 for one that comes from the database.
	every time.Duration
	// limit is what its requests are counted by, beside ratelimit.API.
	limit ratelimit.Policy
	// audits is what the record calls the deed; "" for what is recorded only when
	// it is refused.
	audits audit.Action
	// clears is the member of a PATCH's body that null takes away; "" where none can be.
	clears string
	// rung says that Engine.Ring tells when it has changed: it is asked for then,
	// not sooner than every after the last time.
	rung bool
}

// Route is an operation as the tests over all of them see it.
type Route struct {
	Method, Path string
	Feed         bool // an append-only collection
	Memory       bool // it changes nothing in the database, and what it answers does not come from there alone
	LiveOnly     bool // there is no plain answer
	Download     bool // there is no live answer
}

// get registers a query. It is live too: what is kept of a subscription is the
// parsed input and the call.
func get[In, Out any](s *Server, r route, ask func(ctx context.Context, who domain.Actor, in *In) (Out, error)) {
	r.method = http.MethodGet
	s.routes = append(s.routes, Route{Method: r.method, Path: r.path, Memory: r.every > 0})
	huma.Register(s.api, s.operation(r, reflect.TypeFor[Out](), "Live: a snapshot event with this answer first, then whenever it changes."),
		func(ctx context.Context, in *In) (*huma.StreamResponse, error) {
			who := callOf(ctx).who
			query := func(ctx context.Context) (realtime.Answer, error) {
				out, err := ask(ctx, who, in)
				if err != nil {
					return realtime.Answer{}, err
				}
				return encode(out)
			}
			return s.answerGet(in, followed{query: query, shared: r.shared, every: r.every, rung: r.rung}), nil
		})
}

// owned is an answer of which a part is the caller's alone: the last members of
// its JSON, which own returns in a struct of their own.
type owned interface{ own() any }

// encode returns the JSON of an answer, and how much of it is the caller's alone.
func encode(out any) (a realtime.Answer, err error) {
	if a.Body, err = json.Marshal(out); err != nil {
		return a, err
	}
	o, found := out.(owned)
	if !found {
		return a, nil
	}
	own, err := json.Marshal(o.own())
	if err != nil {
		return a, err
	}
	own = own[1:] // without the brace that opens it
	if a.Own = len(own); !bytes.HasSuffix(a.Body, own) {
		return a, errors.New("what is the caller's own does not stand last in the answer")
	}
	return a, nil
}

// followed is how a GET is answered, plain and live.
type followed struct {
	query  realtime.Query
	feed   *realtime.Feed // nil for a query
	shared bool
	every  time.Duration
	rung   bool
}

// feedItem is an item on the wire that knows its place in its feed.
type feedItem interface {
	key() string     // names it within its feed
	position() int64 // of its last change: what after compares with
	order() int64    // what before compares with
}

// feedBody is the answer of a feed.
type feedBody[Item any] struct {
	Items []Item `json:"items"`
	First int64  `json:"first" doc:"What to pass as before for the page before; 0 when there is none."`
	Last  int64  `json:"last" doc:"What to pass as after next, also when the page is empty."`
	More  bool   `json:"more" doc:"There are more: after the last with after, else before the first. A page may have few items or none and say so, where a filter leaves out almost everything: go on in the same way."`
	// Truncated is left out where it is false.
	Truncated bool `json:"truncated,omitempty" doc:"What is older than it is kept is gone, and there was some after the position asked for: throw away what you hold, and begin anew. The items event that tells live of such a part has it too."`
}

// feed registers an append-only collection.
func feed[In any, Item feedItem](s *Server, r route, ask func(ctx context.Context, who domain.Actor, in *In, span domain.Span) (domain.Part[Item], error)) {
	r.method = http.MethodGet
	s.routes = append(s.routes, Route{Method: r.method, Path: r.path, Feed: true})
	huma.Register(s.api, s.operation(r, reflect.TypeFor[feedBody[Item]](), "Live: items events, each change once; an item that was changed comes again with the same id and a greater position."),
		func(ctx context.Context, in *In) (*huma.StreamResponse, error) {
			who := callOf(ctx).who
			span, err := any(in).(interface{ feed() *FeedParams }).feed().span()
			if err != nil {
				return nil, problemOf(err)
			}
			query := func(ctx context.Context) (realtime.Answer, error) {
				part, err := ask(ctx, who, in, span)
				if err != nil {
					return realtime.Answer{}, err
				}
				return encode(pageOf(part, span))
			}
			live := &realtime.Feed{Aside: asideOf(in), After: span.After, Limit: span.Limit, Read: func(ctx context.Context, span domain.Span) (realtime.Part, error) {
				part, err := ask(ctx, who, in, span)
				if err != nil {
					return realtime.Part{}, err
				}
				items, err := encodeItems(part.Items)
				return realtime.Part{Items: items, More: part.More, Looked: part.Looked, Gone: part.Gone}, err
			}}
			return s.answerGet(in, followed{query: query, feed: live, shared: r.shared}), nil
		})
}

// asideOf returns what a feed tells beside its items, nil for most feeds.
func asideOf(in any) *realtime.Aside {
	if f, found := in.(interface{ aside() *realtime.Aside }); found {
		return f.aside()
	}
	return nil
}

func pageOf[Item feedItem](part domain.Part[Item], span domain.Span) feedBody[Item] {
	page := feedBody[Item]{Items: part.Items, More: part.More, Truncated: span.Truncated(part.Gone)}
	if span.After != nil {
		page.Last = *span.After
	}
	for i, item := range part.Items {
		if i == 0 {
			page.First = item.order()
		}
		page.Last = max(page.Last, item.position())
	}
	switch {
	case part.Looked == 0:
	case span.After != nil:
		page.Last = part.Looked
	default:
		page.First = part.Looked
	}
	if page.Truncated && !page.More {
		page.Last = max(page.Last, part.Gone) // whoever goes on from here has missed nothing more
	}
	return page
}

func encodeItems[Item feedItem](items []Item) ([]realtime.Item, error) {
	encoded := make([]realtime.Item, len(items))
	for i, item := range items {
		data, err := json.Marshal(item)
		if err != nil {
			return nil, err
		}
		encoded[i] = realtime.Item{Key: item.key(), Position: item.position(), Data: data}
		if final, found := any(item).(interface{ ends() (string, bool) }); found {
			encoded[i].Ends, encoded[i].Once = final.ends()
		}
	}
	return encoded, nil
}

// answerGet answers a GET whose input is valid, plain or live.
func (s *Server) answerGet(in any, f followed) *huma.StreamResponse {
	return s.atHome(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		if !wantsStream(r) && c.resolves == nil {
			s.answerPlain(w, r, f.query)
			return
		}
		p, err := f.path(r.URL)
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case c.resolves != nil:
			*c.resolves = p
		default:
			s.serve(w, r, any(in).(interface{ live() *LiveParams }).live(), realtime.Request{Paths: []realtime.Path{p}})
		}
	})
}

// path returns what a live GET of the URL follows.
func (f followed) path(u *url.URL) (p realtime.Path, err error) {
	if f.feed != nil && u.Query().Has("before") {
		return p, domain.FailField("query.before", "a page of the past does not change; ask for it without following it")
	}
	p = realtime.Path{Name: u.Path, About: u.Path, Query: f.query, Every: f.every, Rung: f.rung}
	if f.feed != nil {
		p.Query, p.Feed = nil, f.feed
	}
	if f.shared {
		p.Topic = topicName(u, f.feed != nil)
	}
	return p, nil
}

// connectionParameters are about the connection, not about what is asked for.
var connectionParameters = []string{"heartbeat", "lastEventId", "ticket"}

// topicName is what all have in common who are answered the same: the path and
// the parameters that say what is asked for, not where in a feed they are.
func topicName(u *url.URL, feed bool) string {
	parameters := u.Query()
	for _, own := range connectionParameters {
		parameters.Del(own)
	}
	if feed {
		for _, own := range []string{"after", "before", "limit"} {
			parameters.Del(own)
		}
	}
	return u.Path + "?" + parameters.Encode()
}

// serve answers with a live stream.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, params *LiveParams, request realtime.Request) {
	c := callOf(r.Context())
	request.Actor, request.Heartbeat = c.who, params.Heartbeat
	if c.renew != nil {
		request.Renew = c.renew.Renew
	}
	if id := r.Header.Values("Last-Event-ID"); len(id) > 0 {
		request.LastEventID = &id[0]
	} else if params.LastEventID.set {
		request.LastEventID = &params.LastEventID.value
	}
	asked := audit.StreamOpened
	request.Refused = func(p realtime.Path, err error) { s.noteRefusedPath(r, asked, p, err) }
	request.Opened = func(follows []realtime.Path) error {
		asked = audit.StreamChanged // what is refused from now on was added
		return s.noteStream(r, audit.StreamOpened, audit.Allowed, follows)
	}
	request.Added = func(added []realtime.Path) error {
		return s.noteStream(r, audit.StreamChanged, audit.Allowed, added)
	}
	if err := s.engine.Serve(r.Context(), w, request); err != nil {
		s.refuse(w, r, err)
	}
}

// answerPlain runs the query once.
func (s *Server) answerPlain(w http.ResponseWriter, r *http.Request, query realtime.Query) {
	if !wantsJSON(r) {
		s.refuse(w, r, newProblem(http.StatusNotAcceptable, "the answer is application/json, or text/event-stream"))
		return
	}
	a, err := query(r.Context())
	if err == nil {
		err = s.noteRead(r)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	body, tag := a.Body, tagOf(a.Body)
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept, Authorization, Cookie")
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
