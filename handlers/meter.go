package handlers

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connvo/auth"
	"connvo/domain"
	"connvo/telemetry"
)

// meter counts what is asked of the server and what it refuses. Its labels are
// the patterns of routes, classes of status and words of our own.
type meter struct {
	requests   func(took time.Duration, values ...string)
	streams    func(values ...string)
	delivered  func(took time.Duration, values ...string)
	limited    func(values ...string)
	credential func(values ...string)
	redirect   func(values ...string)
	crossSite  func(values ...string)
}

// newMeter registers the figures in m; nil for those that nobody asks for.
func newMeter(m *telemetry.Metrics) *meter {
	if m == nil {
		m = telemetry.New()
	}
	return &meter{
		requests:   m.Durations("connvo_http_request_duration_seconds", "How long requests took, live streams excepted.", "route", "class"),
		streams:    m.Counts("connvo_http_streams_ended_total", "Live streams that have ended.", "route"),
		delivered:  m.Durations("connvo_live_lag_seconds", "From the first commit that concerned a delivery to its being written to the connection."),
		limited:    m.Counts("connvo_http_rate_limited_total", "Requests that were one too many.", "route"),
		credential: m.Counts("connvo_credentials_refused_total", "Tokens, cookies, tickets and returns of browsers that were not believed.", "credential", "reason"),
		redirect:   m.Counts("connvo_redirects_refused_total", "Sign-ins that were to return to another site."),
		crossSite:  m.Counts("connvo_cross_site_refused_total", "Requests that a page of another site may not send."),
	}
}

// unknownRoute is the label of requests that no route takes.
const unknownRoute = "none"

// answered counts a request that was answered.
func (m *meter) answered(c *call, a *answer, took time.Duration) {
	route := c.route
	if route == "" {
		route = unknownRoute
	}
	if a.status == http.StatusTooManyRequests {
		m.limited(route)
	}
	if strings.HasPrefix(a.Header().Get("Content-Type"), "text/event-stream") {
		m.streams(route)
		return
	}
	m.requests(took, route, strconv.Itoa(a.status/100)+"xx")
}

// countRefused counts what a request has shown and was not believed for. Who shows
// nothing is counted as a request only.
func (s *Server) countRefused(r *http.Request, err error) {
	if !s.presents(r) {
		return
	}
	kind := "cookie"
	switch {
	case ticketOf(r) != "":
		kind = "ticket"
	case r.Header.Get("Authorization") != "":
		kind = "token"
	}
	s.meter.disbelieved(kind, err)
}

// disbelieved counts a credential of the kind, if err says that it was refused.
func (m *meter) disbelieved(kind string, err error) {
	switch of := domain.KindOf(err); {
	case errors.Is(err, errSpentTicket):
		m.credential(kind, "spent")
	case of == domain.Unauthenticated, of == domain.Forbidden:
		m.credential(kind, string(auth.ReasonOf(err)))
	}
}
