package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/r3labs/sse/v2"
)

// The bounds of the commands that talk to a server.
const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 1 << 20
	maxEvent       = 16 << 20 // a round of many queries
	maxPause       = 30 * time.Second
)

// target is the server that a command talks to.
type target struct {
	URL string `env:"CONNVO_URL" default:"http://127.0.0.1:8080" help:"Where the server is."`
}

type tokenCommand struct {
	target
	Email string `required:"" help:"Who to be."`
	Name  string `help:"Their name; kept from before when left out."`
	Org   string `help:"Their organization."`
	Role  string `help:"Their role in the organization: admin or member."`
}

// Run prints an access token.
func (c *tokenCommand) Run(ctx context.Context, t terminal) error {
	token, err := c.token(ctx, map[string]string{"email": c.Email, "name": c.Name, "orgId": c.Org, "orgRole": c.Role})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, token)
	return err
}

// token asks the development identity provider of the server.
func (c target) token(ctx context.Context, who map[string]string) (string, error) {
	for k, v := range who {
		if v == "" {
			delete(who, k)
		}
	}
	body, err := json.Marshal(who)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/dev/token", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w; is the server running?", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return "", errors.New("the server has no development identity provider")
	}
	if answer.StatusCode != http.StatusOK {
		return "", refusal(answer)
	}
	var grant struct {
		AccessToken string `json:"accessToken"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&grant)
	return grant.AccessToken, err
}

// refusal is what a server has answered instead of a success.
func refusal(answer *http.Response) error {
	var p struct {
		Code, Detail string
		Errors       []struct{ Location, Message string }
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s", answer.Status)
	}
	text := fmt.Sprintf("%s (%d %s)", p.Detail, answer.StatusCode, p.Code)
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", e.Location, e.Message)
	}
	return errors.New(text)
}

type tailCommand struct {
	target
	Path  string `arg:"" help:"The path of the GET, such as /v1/meetings."`
	Token string `env:"CONNVO_TOKEN" help:"The access token."`
	As    string `help:"Be this person, by e-mail; development servers only."`
}

// errEnded is an answer after which coming again makes no sense.
var errEnded = errors.New("ended")

// Run prints what the server sends until it is interrupted, coming back after
// each break where it was.
func (c *tailCommand) Run(ctx context.Context, t terminal) error {
	if c.Token == "" && c.As == "" {
		return errors.New("say who you are: --as EMAIL on a development server, else --token or CONNVO_TOKEN")
	}
	if !strings.HasPrefix(c.Path, "/") {
		return errors.New("the path begins with /, such as /v1/meetings")
	}
	if c.As != "" {
		var err error
		if c.Token, err = c.token(ctx, map[string]string{"email": c.As}); err != nil {
			return err
		}
	}
	err := c.follow(ctx, t)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *tailCommand) follow(ctx context.Context, t terminal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := sse.NewClient(strings.TrimRight(c.URL, "/")+c.Path, sse.ClientMaxBufferSize(maxEvent))
	client.Headers["Authorization"] = "Bearer " + c.Token
	client.ReconnectStrategy = &pauses{ctx: ctx}
	client.ReconnectNotify = func(err error, pause time.Duration) {
		_, _ = fmt.Fprintf(t.err, "%v; again in %v\n", err, pause.Round(100*time.Millisecond)) // the terminal may be gone
	}
	client.ResponseValidator = func(_ *sse.Client, answer *http.Response) error {
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		defer func() { _ = answer.Body.Close() }()
		cancel(refusal(answer)) // a status other than 200 is for good
		return errEnded
	}
	err := client.SubscribeWithContext(ctx, "", func(e *sse.Event) { printEvent(t.out, e) })
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// printEvent prints one event on a line, what keeps the stream alive excepted.
func printEvent(w io.Writer, e *sse.Event) {
	if string(e.Event) == "heartbeat" {
		return
	}
	_, _ = fmt.Fprintf(w, "%-8s %s\n", e.Event, e.Data) // the terminal may be gone
}

// pauses are what passes between attempts to connect: a second, then more, each
// a little different, so that a crowd does not come back at once.
type pauses struct {
	ctx  context.Context
	last time.Duration
}

// noMore is the pause after which the client gives up.
const noMore time.Duration = -1

// NextBackOff returns the next pause, or noMore when the command has ended.
func (p *pauses) NextBackOff() time.Duration {
	if p.ctx.Err() != nil {
		return noMore
	}
	p.last = min(max(2*p.last, time.Second), maxPause)
	return p.last + rand.N(p.last/2)
}

// Reset begins anew.
func (p *pauses) Reset() { p.last = 0 }
