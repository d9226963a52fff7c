package clients_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/r3labs/sse/v2"
)

// goClient follows with github.com/r3labs/sse/v2.
type goClient struct {
	t      *testing.T
	origin string
	token  string
}

func openGo(t *testing.T, origin string, who *person) client {
	c := goClient{t: t, origin: origin}
	if who != nil {
		c.token = who.Token
	}
	return c
}

// follow subscribes. What the library leaves to its user: to come again after
// the server has ended the stream, when it said, and not to take the piece of an
// event that a broken connection leaves for one: its data is not JSON, and its id
// would be where to go on from.
func (c goClient) follow(path string) *stream {
	st := newStream(c.t, "go "+path)
	transport := &http.Transport{}
	client := sse.NewClient(c.origin+path, sse.ClientMaxBufferSize(maxEvent))
	client.Connection = &http.Client{Transport: transport}
	client.ReconnectStrategy = once{}
	if c.token != "" {
		client.Headers["Authorization"] = "Bearer " + c.token
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer transport.CloseIdleConnections()
		for pause := time.Duration(0); ; pause = st.attempt(ctx, client) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}()
	c.t.Cleanup(func() { cancel(); <-done })
	return st
}

// attempt tells of one connection, and returns after which pause to come again.
func (st *stream) attempt(ctx context.Context, client *sse.Client) time.Duration {
	pause := 100*time.Millisecond + rand.N(100*time.Millisecond)
	_ = client.SubscribeWithContext(ctx, "", func(e *sse.Event) {
		if !json.Valid(e.Data) {
			return
		}
		if len(e.ID) > 0 {
			client.Headers["Last-Event-ID"] = string(e.ID)
		}
		if ms, err := strconv.Atoi(string(e.Retry)); err == nil {
			pause = time.Duration(ms) * time.Millisecond
		}
		st.tell(event{Name: string(e.Event), ID: string(e.ID), Data: string(e.Data)})
	}) // however it ended
	return pause
}

// once makes the library return after each break.
type once struct{}

// NextBackOff returns what means no further attempt.
func (once) NextBackOff() time.Duration { return -1 }

// Reset has nothing to do.
func (once) Reset() {}
