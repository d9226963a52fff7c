package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/r3labs/sse/v2"

	"connvo/domain"
)

// The bounds of the commands that talk to a server.
const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 1 << 20
	maxEvent       = 16 << 20    // a round of many queries
	minPause       = time.Second // between attempts to connect
	maxPause       = 30 * time.Second
)

// target is the server that a command talks to.
type target struct {
	URL string `env:"CONNVO_URL" default:"http://127.0.0.1:8080" help:"Where the server is."`
}

// affiliation is where somebody belongs whom the development identity provider makes a
// token for.
type affiliation struct {
	Org  string `env:"CONNVO_ORG" help:"Their organization; none when left out, even if they had one."`
	Role string `env:"CONNVO_ROLE" help:"Their role in the organization, admin or member; none when left out."`
}

func (a affiliation) check() error {
	switch {
	case a.Role != "" && a.Role != domain.OrgAdmin && a.Role != domain.OrgMember:
		return fmt.Errorf("--role %q: %s or %s", a.Role, domain.OrgAdmin, domain.OrgMember)
	case a.Role != "" && a.Org == "":
		return errors.New("--role: needs --org, the organization that it is a role in")
	}
	return nil
}

type tokenCommand struct {
	target
	affiliation
	Email string `required:"" env:"CONNVO_EMAIL" help:"Who to be."`
	Name  string `env:"CONNVO_NAME" help:"Their name; kept from before when left out."`
}

// at returns the address of a path of the server.
func (c target) at(path string) (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", fmt.Errorf("--url %q: write it like http://127.0.0.1:8080", c.URL)
	}
	return strings.TrimRight(c.URL, "/") + path, nil
}

// unreachable names the server where err says only how it could not be reached.
func (c target) unreachable(err error) error {
	if e, found := errors.AsType[*url.Error](err); found {
		return fmt.Errorf("no answer from %s: %w", c.URL, e.Err)
	}
	return err
}

// Run prints an access token.
func (c *tokenCommand) Run(ctx context.Context, t terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	token, err := c.token(ctx, map[string]string{"--email": c.Email, "--name": c.Name, "--org": c.Org, "--role": c.Role})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, token)
	return err
}

// tokenMembers are what the flags are called in a request for a token.
var tokenMembers = map[string]string{"--email": "email", "--as": "email", "--name": "name", "--org": "orgId", "--role": "orgRole"}

// token asks the development identity provider of the server; who is by flag, and
// so is what the server refuses.
func (c target) token(ctx context.Context, who map[string]string) (string, error) {
	sent, flags := map[string]string{}, map[string]string{}
	for flag, value := range who {
		if value != "" {
			sent[tokenMembers[flag]], flags["body."+tokenMembers[flag]] = value, flag
		}
	}
	address, err := c.at("/dev/token")
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w; start a server with connvo serve, or say by --url where one is", c.unreachable(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return "", errors.New("the server has no development identity provider")
	}
	if answer.StatusCode != http.StatusOK {
		return "", refusal(answer, flags)
	}
	var grant struct {
		AccessToken string `json:"accessToken"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&grant)
	return grant.AccessToken, err
}

// refusal is what a server has answered instead of a success. flags are what the
// parts of the request are called here; nil where nothing has another name.
func refusal(answer *http.Response, flags map[string]string) error {
	return problem(answer.Body, flags, fmt.Errorf("the server answered %s", answer.Status))
}

// problem returns the problem document in the body as an error, or other when
// there is none.
func problem(body io.Reader, flags map[string]string, other error) error {
	var p struct {
		Status       int
		Code, Detail string
		Errors       []struct{ Location, Message string }
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&p); err != nil || p.Code == "" {
		return other
	}
	text := fmt.Sprintf("%s (%d %s)", p.Detail, p.Status, p.Code)
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", cmp.Or(flags[e.Location], e.Location), e.Message)
	}
	return errors.New(text)
}

type tailCommand struct {
	target
	affiliation
	Path  string `arg:"" help:"The path of the GET, such as /v1/meetings."`
	Token string `env:"CONNVO_TOKEN" help:"The access token."`
	As    string `env:"CONNVO_AS" help:"Be this person, by e-mail; development servers only."`
}

// Run prints what the server sends until it is interrupted, coming back after
// each break where it was.
func (c *tailCommand) Run(ctx context.Context, t terminal) error {
	if c.Token == "" && c.As == "" {
		return errors.New("say who you are: --as EMAIL on a development server, else --token or CONNVO_TOKEN")
	}
	if err := c.check(); err != nil {
		return err
	}
	if !strings.HasPrefix(c.Path, "/") {
		return errors.New("the path begins with /, such as /v1/meetings")
	}
	address, err := c.at(c.Path)
	if err != nil {
		return err
	}
	if c.As != "" {
		if c.Token, err = c.token(ctx, map[string]string{"--as": c.As, "--org": c.Org, "--role": c.Role}); err != nil {
			return err
		}
	}
	err = c.follow(ctx, t, &following{address: address, token: c.Token, out: t.out})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// follow connects, and again after each break, until ctx ends or coming again
// makes no sense.
func (c *tailCommand) follow(ctx context.Context, t terminal, f *following) error {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		f.begun, f.retry = false, 0
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if last, found := errors.AsType[forGood](err); found {
			return last.error
		}
		if f.begun {
			pause = minPause
		}
		// A little different for each, so that a crowd does not come back at once.
		wait := max(f.retry, pause+rand.N(pause/2))
		_, _ = fmt.Fprintf(t.err, "%v; again in %v\n", c.unreachable(err), wait.Round(100*time.Millisecond)) // the terminal may be gone
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// forGood is an answer after which coming again makes no sense.
type forGood struct{ error }

var errEnded = errors.New("the stream has ended")

// following is one live GET, over all its connections.
type following struct {
	address, token string
	out            io.Writer

	reached string        // the id of the last event
	begun   bool          // the connection has brought an event
	retry   time.Duration // what the server wants to pass before the next one
	problem error         // what the server has ended the stream with
}

// connect prints what one connection brings, and returns why it ended.
func (f *following) connect(ctx context.Context) error {
	client := sse.NewClient(f.address, sse.ClientMaxBufferSize(maxEvent))
	client.Headers["Authorization"] = "Bearer " + f.token
	if f.reached != "" {
		client.Headers["Last-Event-ID"] = f.reached
	}
	client.ReconnectStrategy = once{}
	client.ResponseValidator = func(_ *sse.Client, answer *http.Response) error {
		err := streamOf(answer)
		if err != nil {
			_ = answer.Body.Close()
		}
		return err
	}
	f.problem = errEnded
	if err := client.SubscribeWithContext(ctx, "", f.take); err != nil {
		return err
	}
	return f.problem
}

// streamOf refuses an answer that is no stream. Servers and proxies that are
// busy or just starting are worth another attempt.
func streamOf(answer *http.Response) error {
	switch media := answer.Header.Get("Content-Type"); {
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode >= http.StatusInternalServerError:
		return refusal(answer, nil)
	case answer.StatusCode != http.StatusOK:
		return forGood{refusal(answer, nil)}
	case !strings.HasPrefix(media, "text/event-stream"):
		return forGood{fmt.Errorf("the path is not live: it answers %s", media)}
	}
	return nil
}

// take prints one event on a line, what keeps the stream alive excepted.
func (f *following) take(e *sse.Event) {
	if !json.Valid(e.Data) {
		return // the connection broke within it; it comes again
	}
	f.begun = true
	if len(e.ID) > 0 {
		f.reached = string(e.ID)
	}
	switch string(e.Event) {
	case "heartbeat":
		return
	case "problem":
		f.ended(e)
	}
	_, _ = fmt.Fprintf(f.out, "%-8s %s\n", e.Event, e.Data) // the terminal may be gone
}

// ended notes the problem that a stream ends with, and whether it passes.
func (f *following) ended(e *sse.Event) {
	f.problem = problem(bytes.NewReader(e.Data), nil, errEnded)
	if ms, err := strconv.Atoi(string(e.Retry)); err == nil {
		f.retry = time.Duration(ms) * time.Millisecond
		return
	}
	f.problem = forGood{f.problem}
}

// once makes the client of a stream return after each break.
type once struct{}

// NextBackOff returns what means no further attempt.
func (once) NextBackOff() time.Duration { return -1 }

// Reset has nothing to do.
func (once) Reset() {}
