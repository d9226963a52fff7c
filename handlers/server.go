// Package handlers is the HTTP API: what a request must be, and what it is
// answered.
package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/presence"
	"connvo/pressure"
	"connvo/realtime"
)

// Server answers every request. It is safe for concurrent use.
type Server struct {
	Config // as it was given, which nothing changes; BodyTimeout, LineTimeout and Linger are never 0

	tickets  *tickets
	presence *presence.Board
	exports  *exports
	pressure *pressure.Gauge
	intakes  intakes

	engine   *realtime.Engine
	api      huma.API
	mux      *http.ServeMux
	document []byte // the OpenAPI document
	routes   []Route
	audited  map[string]audit.Action // by the mux's pattern
	reads    *audit.Reads
	meter    *meter
	cross    *http.CrossOriginProtection
	draining atomic.Bool

	routeLimits map[string]routeLimit // of the routes of the API, by pattern
}

// New returns a server. Close it before the database.
func New(c Config) (*Server, error) {
	s := &Server{
		Config: c, tickets: newTickets(c.DB.Now), exports: newExports(c.Privacy), mux: http.NewServeMux(), cross: http.NewCrossOriginProtection(),
		pressure: pressure.New(c.DB.Now), intakes: intakes{of: map[domain.UserID]int{}},
		routeLimits: map[string]routeLimit{}, audited: map[string]audit.Action{}, reads: audit.NewReads(), meter: newMeter(c.Metrics),
	}
	if s.BodyTimeout == 0 {
		s.BodyTimeout = DefaultBodyTimeout
	}
	if s.LineTimeout == 0 {
		s.LineTimeout = DefaultLineTimeout
	}
	if s.Linger == 0 {
		s.Linger = DefaultLinger
	}
	s.api = newAPI(s.mux, c.Version)
	s.apiRoutes()
	s.presence = presence.NewBoard(c.DB.Now, presenceEvery, s.presenceChanged)
	if s.Dev != nil {
		s.devRoutes()
	}
	document, err := s.describe()
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	s.document = document
	s.machineRoutes()
	s.webhookRoutes()
	s.docsRoutes()
	s.engine = realtime.New(realtime.Config{
		DB: c.DB, Region: c.Regions.here(), Problem: s.streamProblem, Standing: c.Users.Standing, Log: c.Log, Second: c.Second, Admissions: c.StreamAdmissions, WriteTimeout: c.StreamTimeout,
		Delivered: func(lag time.Duration) {
			s.meter.delivered(lag)
			s.pressure.Delivered(lag)
		},
	})
	return s, nil
}

func (s *Server) apiRoutes() {
	s.sessionRoutes()
	s.loginRoutes()
	s.userRoutes()
	s.profileRoutes()
	s.settingsRoutes()
	s.meetingRoutes()
	s.participantRoutes()
	s.messageRoutes()
	s.noteRoutes()
	s.transcriptRoutes()
	s.audioRoutes()
	s.segmentRoutes()
	s.conversationRoutes()
	s.analyticsRoutes()
	s.insightRoutes()
	s.notificationRoutes()
	s.connectionRoutes()
	s.blockRoutes()
	s.liveRoutes()
	s.adminRoutes()
	s.auditRoutes()
	s.privacyRoutes()
	s.flagRoutes()
	s.jobRoutes()
	s.retentionRoutes()
	s.replicationRoutes()
	s.presenceRoutes()
}

// Routes returns the operations of the API, for the tests over all of them.
func (s *Server) Routes() []Route { return s.routes }

// Pressure returns the gauge of what is said, for its figures.
func (s *Server) Pressure() *pressure.Gauge { return s.pressure }

// Intakes returns how many requests are open that send lines.
func (s *Server) Intakes() int { return s.intakes.open() }

// Engine returns the engine of live queries, for its figures.
func (s *Server) Engine() *realtime.Engine { return s.engine }

// Drain ends every live stream and makes /readyz say so; plain requests are
// still answered.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.engine.Drain()
}

// Close ends what Drain has left.
func (s *Server) Close() {
	s.Drain()
	s.presence.Close()
	s.engine.Close()
}

// ServeHTTP answers a request: it gives it an id, a log entry and the headers
// that every answer has, and turns a panic into a problem.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c := &call{id: requestID(), address: s.address(r)}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	a := &answer{ResponseWriter: w, call: c}
	w.Header().Set("X-Request-Id", c.id)
	s.tellBrowser(w, r)
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.Log.Error("panic", "request", c.id, "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			if a.status == 0 {
				problemOf(fmt.Errorf("panic: %v", v)).write(a)
			}
		}
		s.meter.answered(c, a, time.Since(began))
		s.Log.Info("request", "request", c.id, "method", r.Method, "path", shown(r.URL.Path), "status", a.status,
			"ms", float64(time.Since(began).Microseconds())/1000, "user", string(c.who.User))
	}()
	// A deadline stays with the connection, so each request sets its own, before
	// anything is answered; a stream sets one for each event.
	_ = http.NewResponseController(a).SetWriteDeadline(began.Add(answerTimeout)) // where there are none, nothing is lost
	if r.ContentLength != 0 {
		// Who never sends the body is given up; also by net/http itself, which
		// reads what is left of it before it answers. One of lines sets another
		// deadline for each.
		_ = http.NewResponseController(a).SetReadDeadline(began.Add(s.BodyTimeout))
	}
	s.dispatch(a, r, c)
	s.noteWrong(r, c, a.status)
}

// dispatch finds the route and, under /v1, who asks; then the handler runs.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, c *call) {
	if s.preflight(w, r) {
		return
	}
	handler, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.refuse(w, r, unrouted(handler, w, r))
		return
	}
	c.route, c.audits = pattern, s.audited[pattern]
	if !s.admitPage(r, c) {
		s.meter.crossSite()
		// Anybody can say that they are one, and each is recorded.
		s.refuse(w, r, s.limitStranger(w, r, domain.Fail(domain.Forbidden, "a page of another site may not do this")))
		return
	}
	if err := s.prepare(w, r, c, pattern); errors.Is(err, errSpentTicket) {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	} else if err != nil {
		s.refuse(w, r, err)
		return
	}
	if takesLines(r, pattern) {
		s.takeLines(w, r, c)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// prepare asks what every operation of the API needs: who calls, whether they
// may now, and the body.
func (s *Server) prepare(w http.ResponseWriter, r *http.Request, c *call, pattern string) (err error) {
	switch {
	case strings.HasPrefix(r.URL.Path, apiPrefix):
		if err := s.authenticate(r, c); err != nil {
			s.countRefused(r, err)
			return s.limitStranger(w, r, err)
		}
		if c.counted = ticketOf(r) != ""; !c.counted {
			if err := s.limitUser(w.Header(), c.who.User, pattern); err != nil {
				return err
			}
		}
	case r.URL.Path == devTokenPath:
		if err := localOnly(r); err != nil {
			return err
		}
	default:
		return s.limitAddress(w, r, addressLimits[pattern])
	}
	if takesLines(r, pattern) {
		return checkQuery(r.URL)
	}
	if c.body, err = readBody(w, r, mediaOf(pattern)); err != nil {
		return err
	}
	withBody(r, c.body)
	return checkQuery(r.URL)
}

// apiPrefix is what the paths of the API begin with.
const apiPrefix = "/v1/"

// authenticate finds out who calls: by ticket, by header, which wins over the
// cookie, or by the cookie.
func (s *Server) authenticate(r *http.Request, c *call) (err error) {
	if id := ticketOf(r); id != "" {
		if !wantsStream(r) {
			return domain.Fail(domain.Unauthenticated, "a ticket opens a live stream only: ask with Accept: text/event-stream")
		}
		// Before the ticket, which only that region knows: here it would seem spent.
		if err := s.misdirected(r); err != nil {
			return err
		}
		c.who, err = s.tickets.redeem(id, targetOf(r.URL))
		return err
	}
	token, err := bearer(r)
	if err != nil {
		return err
	}
	if token != "" {
		if c.who, err = s.Auth.Authenticate(r.Context(), token); err != nil {
			return err
		}
		return s.noteFirstUse(r, c)
	}
	cookie, err := s.sessionCookie(r)
	if err != nil {
		return err
	}
	c.who, c.renew, err = s.Browsers.Authenticate(r.Context(), cookie)
	return err
}

// unrouted returns the problem of a request that no route takes: the mux's own
// answer tells 404 from 405 and knows the methods that exist.
func unrouted(handler http.Handler, w http.ResponseWriter, r *http.Request) *problem {
	probe := &discarded{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		return newProblem(http.StatusMethodNotAllowed, "the path does not take this method")
	}
	return newProblem(http.StatusNotFound, "there is no such path")
}

// refuse answers with the problem of err and logs what the client is not told.
// An EventSource that is told anything but 200 never comes again, so what passes
// is told in its stream.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, apiPrefix) && wantsStream(r) && s.engine.Refuse(r.Context(), w, err) {
		return
	}
	p := s.problem(r.Context(), err)
	s.noteRefusal(r, err, p)
	p.write(w)
}

// problem is problemOf, with an entry in the log where the server has failed, or has
// decided not to answer now.
func (s *Server) problem(ctx context.Context, err error) *problem {
	p := problemOf(err)
	if p.Status < http.StatusInternalServerError {
		return p
	}
	switch cause := failure(ctx, err); {
	case cause != nil:
		s.Log.Error("request failed", "request", callOf(ctx).id, "code", p.Code, "error", cause)
	case domain.KindOf(err) != domain.ShuttingDown: // which ends every stream there is
		s.Log.Info("request refused for now", "request", callOf(ctx).id, "code", p.Code, "reason", p.Detail)
	}
	return p
}

// failure returns why the server has failed, nil where it has not: to have no room, no
// such service, or to stop is a decision, which has no cause; and who has gone waits for
// nothing.
func failure(ctx context.Context, err error) error {
	if _, decided := errors.AsType[*problem](err); decided {
		return nil
	}
	cause := err
	if e, found := errors.AsType[*domain.Error](err); found && e.Kind != domain.Internal {
		if e.Cause == nil || ctx.Err() != nil {
			return nil
		}
		cause = e.Cause
	} else if found && e.Cause != nil {
		cause = e.Cause
	}
	if p, found := errors.AsType[*db.PanicError](cause); found {
		return p // which logs its stack
	}
	return cause
}
