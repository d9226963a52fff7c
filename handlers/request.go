package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"connvo/audit"
	"connvo/auth"
	"connvo/domain"
	"connvo/realtime"
)

const (
	// MaxBody is the largest body of a request, in bytes.
	MaxBody = 1 << 20
	// DefaultBodyTimeout is what a client has to send a body.
	DefaultBodyTimeout = 10 * time.Second
	// answerTimeout ends an answer that is not taken.
	answerTimeout = 30 * time.Second
)

// call is what the server knows about a request before its handler runs.
type call struct {
	id      string // the request id
	address string // where the request came from
	route   string // the pattern of the mux, "" for none
	who     domain.Actor
	// renew keeps a stream of who open; nil where it ends with the token.
	renew *auth.Renewable
	body  []byte // the whole body as it was sent
	// cookieless says that a page of another origin asks.
	cookieless bool
	// counted says that the request was counted when its ticket was asked for.
	counted bool
	// audits is what the record calls the write that is asked for, or "".
	audits audit.Action
	// resolves takes what a path of a multiplexed stream follows; nil for a
	// request that came over the network.
	resolves *realtime.Path
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// bearer returns the access token of the request's header, "" when it has no
// such header.
func bearer(r *http.Request) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", domain.Fail(domain.Unauthenticated, "the Authorization header is not a bearer token")
	}
	if value = strings.TrimSpace(value); value == "" {
		return "", domain.Fail(domain.Unauthenticated, "the bearer token is empty")
	}
	return value, nil
}

// readBody reads the whole body, so that the same bytes can be compared with an
// earlier request, and checks its size, and that its type is one of media.
func readBody(w http.ResponseWriter, r *http.Request, media []string) ([]byte, error) {
	if r.ContentLength == 0 || r.Body == http.NoBody {
		return nil, nil
	}
	tooLarge := newProblem(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
	if r.ContentLength > MaxBody {
		if r.ProtoMajor == 1 { // that of HTTP/2 has other requests
			w.Header().Set("Connection", "close") // rather than read what is refused
		}
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err == nil {
		// The body's deadline would otherwise end a stream that has begun.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge
	case err != nil:
		return nil, domain.Because(domain.Malformed, err, "the body could not be read to its end")
	case len(body) == 0:
		return nil, nil
	}
	sent, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(media, sent) {
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be "+strings.Join(media, " or "))
	}
	return body, nil
}

// checkQuery refuses parameters that cannot be parsed, or that say two things.
func checkQuery(u *url.URL) error {
	if u.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return newProblem(http.StatusBadRequest, "the parameters of the URL cannot be parsed")
	}
	for name, all := range values {
		if len(all) > 1 && !(u.Path == livePath && name == "q") {
			return domain.FailField("query."+name, "is given %d times", len(all))
		}
	}
	return nil
}

// withBody gives the next reader the bytes that were read.
func withBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
}

// wantsStream reports whether the request subscribes to the query. HEAD does
// not: a stream without a body would hold its connection and say nothing.
func wantsStream(r *http.Request) bool {
	return r.Method == http.MethodGet && accepts(r, "text/event-stream", false)
}

// wantsJSON reports whether a JSON answer is acceptable.
func wantsJSON(r *http.Request) bool { return accepts(r, "application/json", true) }

// refusedWeight is the weight of what is not acceptable, RFC 9110, section 12.4.2.
var refusedWeight = regexp.MustCompile(`(^|;)\s*[qQ]=0(\.0*)?\s*(;|$)`)

// accepts reports whether the Accept header names the media type, or, where
// that counts, covers it with a wildcard. No header accepts everything.
func accepts(r *http.Request, media string, wildcards bool) bool {
	headers := r.Header.Values("Accept")
	if len(headers) == 0 {
		return wildcards
	}
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if refusedWeight.MatchString(parameters) {
			continue
		}
		if name == media || (wildcards && (name == "*/*" || name == "application/*" || name == "application/problem+json")) {
			return true
		}
	}
	return false
}

// peer returns where the connection came from.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
