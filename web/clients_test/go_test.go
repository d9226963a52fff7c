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
	who    *person
}

func openGo(t *testing.T, origin string, who *person) client {
	return goClient{t: t, origin: origin, who: who}
}

// send sends a request past the network, which is not what is tested.
func (c goClient) send(method, path string, body any) (int, string) {
	c.t.Helper()
	status, answer, err := c.who.do(method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return status, string(answer)
}

// follow subscribes. What the library leaves to its user: to come again when the
// server has ended the stream, after as long as it said, and not to take the piece
// of an event that a broken connection leaves for one. That has an id, which the
// library would go on from, and lose what the rest of the event brought; hence a
// client for each connection.
func (c goClient) follow(path string) *stream {
	st := newStream(c.t, "go "+path)
	transport := &http.Transport{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer transport.CloseIdleConnections()
		for reached := ""; ctx.Err() == nil; {
			client := sse.NewClient(c.origin+path, sse.ClientMaxBufferSize(maxEvent))
			client.Connection = &http.Client{Transport: transport}
			client.ReconnectStrategy = once{}
			client.Headers["Authorization"] = "Bearer " + c.who.Token
			if reached != "" {
				client.Headers["Last-Event-ID"] = reached
			}
			var pause time.Duration
			reached, pause = st.connect(ctx, client, reached)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}()
	c.t.Cleanup(func() { cancel(); <-done })
	return st
}

// connect tells of one connection. It returns the id that was reached and after
// which pause to come again.
func (st *stream) connect(ctx context.Context, client *sse.Client, reached string) (string, time.Duration) {
	pause := 100*time.Millisecond + rand.N(100*time.Millisecond)
	_ = client.SubscribeWithContext(ctx, "", func(e *sse.Event) {
		if !json.Valid(e.Data) {
			return
		}
		if len(e.ID) > 0 {
			reached = string(e.ID)
		}
		if ms, err := strconv.Atoi(string(e.Retry)); err == nil {
			pause = time.Duration(ms) * time.Millisecond
		}
		st.tell(event{Name: string(e.Event), ID: string(e.ID), Data: string(e.Data)})
	}) // however it ended
	return reached, pause
}

// once makes the library return after each break.
type once struct{}

// NextBackOff returns what means no further attempt.
func (once) NextBackOff() time.Duration { return -1 }

// Reset has nothing to do.
func (once) Reset() {}
