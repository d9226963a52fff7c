package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"connvo/db"
	"connvo/domain"
	"connvo/idempotency"
	"connvo/realtime"
)

// problem is an RFC 9457 problem document. Its code is what clients decide by.
type problem struct {
	Title  string        `json:"title" doc:"The status, in words."`
	Status int           `json:"status" doc:"The HTTP status."`
	Code   string        `json:"code" doc:"What went wrong, for programs."`
	Detail string        `json:"detail,omitempty" doc:"What went wrong, for people."`
	Errors []fieldError  `json:"errors,omitempty" doc:"The values that are wrong."`
	Retry  time.Duration `json:"-"` // when to try again, 0 for no advice
	// members are what a program needs to go on, of those in problemMembers.
	members map[string]any
	// fields are of the header of the answer, by name; nil for none but those of every problem.
	fields map[string]string
}

// problemMembers are what a problem document may have beside the members of
// problem.
var problemMembers = map[string]problemMember{
	"expectedClientSeq": {huma.TypeInteger, "The edit of notes that should come next."},
	"version":           {huma.TypeInteger, "The version of the notes up to which the client must read before it sends again."},
	"applied":           {huma.TypeBoolean, "The write is done and durable here; only what was asked beyond that has failed."},
	"commit":            {huma.TypeInteger, "The number of the write that is applied."},
	"region":            {huma.TypeString, "The label of the region where it is, as the ids of its meetings have it."},
}

// problemMember is one of them, as the document of the API describes it.
type problemMember struct{ kind, about string }

// MarshalJSON writes the document, and the members beside the others.
func (p *problem) MarshalJSON() ([]byte, error) {
	type plain problem
	body, err := json.Marshal((*plain)(p))
	if err != nil || len(p.members) == 0 {
		return body, err
	}
	more, err := json.Marshal(p.members)
	return append(append(body[:len(body)-1], ','), more[1:]...), err
}

// fieldError is one value that is wrong.
type fieldError struct {
	Location string `json:"location" doc:"Where it is, such as body.title or query.limit."`
	Message  string `json:"message"`
}

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// meanings is the status and the code of each kind of failure.
var meanings = map[domain.Kind]struct {
	status int
	code   string
}{
	domain.Internal:         {http.StatusInternalServerError, "internal"},
	domain.Malformed:        {http.StatusBadRequest, "validation_failed"},
	domain.Invalid:          {http.StatusUnprocessableEntity, "validation_failed"},
	domain.Unauthenticated:  {http.StatusUnauthorized, "unauthenticated"},
	domain.Forbidden:        {http.StatusForbidden, "forbidden"},
	domain.NotFound:         {http.StatusNotFound, "not_found"},
	domain.Conflict:         {http.StatusConflict, "conflict"},
	domain.MeetingNotActive: {http.StatusConflict, "meeting_not_active"},
	domain.RateLimited:      {http.StatusTooManyRequests, "rate_limited"},
	domain.Unavailable:      {http.StatusServiceUnavailable, "unavailable"},
	domain.ShuttingDown:     {http.StatusServiceUnavailable, "shutting_down"},
}

// codes is the code of a status that no domain error stands behind.
var codes = map[int]string{
	http.StatusBadRequest:            "validation_failed",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "not_found",
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusNotAcceptable:         "not_acceptable",
	http.StatusPreconditionFailed:    "precondition_failed",
	http.StatusRequestTimeout:        "validation_failed",
	http.StatusRequestEntityTooLarge: "payload_too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusMisdirectedRequest:    "misdirected_region",
	http.StatusUnprocessableEntity:   "validation_failed",
}

// retryAfter is the advice where the server cannot answer now.
const retryAfter = time.Second

// newProblem returns the problem of a status.
func newProblem(status int, detail string, wrong ...fieldError) *problem {
	code, found := codes[status]
	if !found {
		code = "internal"
	}
	return &problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Errors: wrong}
}

// problemOf describes an error to the client. What is no domain error is a
// defect, of which the client learns nothing.
func problemOf(err error) *problem {
	if p, found := errors.AsType[*problem](err); found {
		return p
	}
	if errors.Is(err, idempotency.ErrMismatch) {
		p := newProblem(http.StatusUnprocessableEntity, "the idempotency key was used for another request")
		p.Code = "idempotency_mismatch"
		return p
	}
	e, found := errors.AsType[*domain.Error](err)
	if u, stored := errors.AsType[*db.UnconfirmedError](err); stored && found {
		return applied(u.Commit, e.Detail)
	}
	if !found {
		return newProblem(http.StatusInternalServerError, "the server failed; the request id names the entry in its log")
	}
	m := meanings[e.Kind]
	p := &problem{Title: http.StatusText(m.status), Status: m.status, Code: m.code, Detail: e.Detail, members: membersOf(e)}
	if e.Kind == domain.Internal {
		p.Detail = "the server failed; the request id names the entry in its log"
	}
	if e.Field != "" {
		p.Errors = []fieldError{{Location: e.Field, Message: e.Detail}}
		p.Detail = "validation failed"
	}
	if e.Kind == domain.Unavailable || e.Kind == domain.RateLimited {
		p.Retry = retryAfter
	}
	return p
}

func membersOf(e *domain.Error) map[string]any {
	members := make(map[string]any, len(e.Members))
	for name, n := range e.Members {
		members[name] = n
	}
	return members
}

// streamProblem is problem for a live stream.
func (s *Server) streamProblem(ctx context.Context, err error) realtime.Problem {
	p := s.problem(ctx, err)
	if p.Status == http.StatusTooManyRequests {
		s.meter.limited(callOf(ctx).route) // the answer, a stream, does not show it
	}
	body, _ := json.Marshal(p) // strings and numbers always encode
	passes := p.Status == http.StatusTooManyRequests || p.Status >= http.StatusInternalServerError
	return realtime.Problem{Status: p.Status, Body: body, Passes: passes}
}

// ContentType is what huma sends the document as.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// header sets what belongs to the problem, beside the type of its document.
func (p *problem) header(set func(name, value string)) {
	set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		set("WWW-Authenticate", "Bearer")
	}
	for name, value := range p.fields {
		set(name, value)
	}
	if p.Retry > 0 {
		set("Retry-After", strconv.Itoa(max(1, int(p.Retry.Seconds()))))
	}
}

// write sends the problem document.
func (p *problem) write(w http.ResponseWriter) {
	body, _ := json.Marshal(p) // strings and numbers always encode
	h := w.Header()
	p.header(h.Set)
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// asProblem turns huma's own errors, which are about parsing and validation,
// into ours, and sets the headers of those that huma sends. The values that were
// sent are left out.
func asProblem(hc huma.Context, _ string, v any) (any, error) {
	var p *problem
	switch e := v.(type) {
	case *problem:
		p = e
	case *huma.ErrorModel:
		p = newProblem(e.Status, e.Detail)
		for _, wrong := range e.Errors {
			p.Errors = append(p.Errors, fieldError{Location: wrong.Location, Message: wrong.Message})
		}
	default:
		return v, nil
	}
	p.header(hc.SetHeader)
	return p, nil
}
