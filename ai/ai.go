// Package ai asks an OpenAI-compatible endpoint.
package ai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// OpenAI is the base URL of OpenAI itself.
const OpenAI = "https://api.openai.com/v1"

// The bounds of asking.
const (
	// brokenAfter failures in a row nothing is tried for brokenFor, in seconds.
	brokenAfter = 5
	brokenFor   = 30
	// maxAnswer is how much of an answer is read: words, with figures for each.
	maxAnswer = 1 << 20
	// askedAgain is the wait, in seconds, where the endpoint is asked too often and does
	// not say when to come again; it is waited for maxAsked at most.
	askedAgain = 5
	maxAsked   = 300
	// maxIdle is how many connections are kept, more than are used at a time.
	maxIdle = 16
)

// ErrRefused is that the endpoint has refused what it was sent, for good: to send
// it again is no use.
var ErrRefused = errors.New("refused for good")

// Later is that the endpoint is not to be asked before some time has passed,
// whatever about.
type Later struct {
	After time.Duration
	why   string
}

// Error says why.
func (l *Later) Error() string { return l.why }

// Endpoint says where to ask. It is not changed once it is used.
type Endpoint struct {
	// BaseURL is where the paths of the API begin, such as OpenAI, as CheckURL takes it.
	BaseURL string
	// Key is sent to the endpoint and nowhere else, and is in no error; "" where none
	// is needed.
	Key string
	// Second is the unit of waits, a second when 0; tests shorten it.
	Second time.Duration
}

// CheckURL refuses what is no base URL. Its error does not show it: a password may
// be in it.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("write an http or https URL without a name, a query or a fragment, such as " + OpenAI)
	}
	return nil
}

// client asks one path of an endpoint. It is safe for concurrent use.
type client struct {
	url     string
	key     string
	http    *http.Client
	breaker circuitbreaker.CircuitBreaker[any]
	second  time.Duration
}

func newClient(e Endpoint, path string) (*client, error) {
	if err := CheckURL(e.BaseURL); err != nil {
		return nil, err
	}
	second := cmp.Or(e.Second, time.Second)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxIdle
	return &client{
		url: strings.TrimRight(e.BaseURL, "/") + path,
		key: e.Key,
		http: &http.Client{
			Transport: transport,
			// The key, and what people say, are for no other place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThreshold(brokenAfter).WithSuccessThreshold(1).WithDelay(brokenFor * second).Build(),
		second:  second,
	}, nil
}

// post sends a body and decodes the JSON that is answered. ctx bounds all of it.
//
// Errors: *Later; ErrRefused; another for what may pass.
func (c *client) post(ctx context.Context, contentType string, body io.Reader, into any) error {
	if !c.breaker.TryAcquirePermit() {
		return &Later{max(c.breaker.RemainingDelay(), c.second), "not tried: the last attempts have all failed"}
	}
	err := c.send(ctx, contentType, body, into)
	switch {
	case err == nil, errors.Is(err, ErrRefused), errors.As(err, new(*Later)), errors.Is(ctx.Err(), context.Canceled):
		c.breaker.RecordSuccess() // it has answered, or it is not its fault
	default:
		c.breaker.RecordFailure()
	}
	return err
}

func (c *client) send(ctx context.Context, contentType string, body io.Reader, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return c.problem(answer, text)
	case len(text) > maxAnswer:
		return fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errors.New("its answer is not the JSON that is documented") // of which nothing is shown: it is what people have said
	}
	return nil
}

// problem returns the error that an answer stands for.
func (c *client) problem(answer *http.Response, text []byte) error {
	var body struct {
		Error struct{ Type, Code, Param any }
	}
	_ = json.Unmarshal(text, &body) // compatible endpoints have other errors
	what := fmt.Sprintf("it answers %d%s%s%s", answer.StatusCode,
		word("type", body.Error.Type), word("code", body.Error.Code), word("param", body.Error.Param))
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s", ErrRefused, what)
	case http.StatusTooManyRequests:
		wait := cmp.Or(c.waitOf(answer), askedAgain*c.second)
		if body.Error.Type == "insufficient_quota" {
			wait = maxAsked * c.second // until somebody has paid
		}
		return &Later{min(wait, maxAsked*c.second), what}
	case http.StatusServiceUnavailable:
		if wait := c.waitOf(answer); wait > 0 {
			return &Later{min(wait, maxAsked*c.second), what}
		}
	}
	return errors.New(what)
}

// waitOf returns how long the answer asks to wait, 0 where it does not say.
func (c *client) waitOf(answer *http.Response) time.Duration {
	if ms, err := strconv.ParseInt(answer.Header.Get("Retry-After-Ms"), 10, 32); err == nil && ms > 0 {
		return time.Duration(ms) * c.second / 1000
	}
	after := answer.Header.Get("Retry-After")
	if s, err := strconv.ParseInt(after, 10, 32); err == nil && s > 0 {
		return time.Duration(s) * c.second
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// wordPattern is what a part of an error is called for programs.
var wordPattern = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]{1,64}$`)

// word returns a part of an error that is for programs, "" for one that is not. The
// sentence for people is never shown: it may hold a part of the key, or of what was
// said.
func word(name string, value any) string {
	said, _ := value.(string)
	if !wordPattern.MatchString(said) {
		return ""
	}
	return ", " + name + " " + said
}
