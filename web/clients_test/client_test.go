package clients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// client is a program of somebody's that follows live GETs.
type client interface {
	// follow opens the live GET of the path and comes again after each break.
	follow(path string) *stream
	// send sends a request as the same person from the same place, and returns the
	// status and the body of its answer.
	send(method, path string, body any) (int, string)
}

// opener makes a client of somebody who sees the server at origin. An EventSource
// is not signed in when who is nil.
type opener func(t *testing.T, origin string, who *person) client

// everyClient runs the test with each client, at the same time.
func everyClient(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		test(t, openGo)
	})
	everyEventSource(t, test)
}

// everyEventSource runs the test with each client that is an EventSource as the
// standard has it.
func everyEventSource(t *testing.T, test func(t *testing.T, open opener)) {
	for name, open := range map[string]opener{"node": openNode, "chromium": openChromium} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// openNode runs the package eventsource of npm in Node.
func openNode(t *testing.T, origin string, who *person) client {
	t.Helper()
	token := ""
	if who != nil {
		token = who.Token
	}
	return run(t, "node.mjs", origin, "MODULES="+module(t, "eventsource"), "TOKEN="+token)
}

// openChromium runs a page in Chromium.
func openChromium(t *testing.T, origin string, who *person) client {
	t.Helper()
	email := ""
	if who != nil {
		email = who.Email
	}
	return run(t, "chromium.mjs", origin, append(chromium(t), "ORIGIN="+origin, "EMAIL="+email)...)
}

// script is a client that is a script of this directory: it takes a command a
// line and tells of an event a line.
type script struct {
	t      *testing.T
	name   string
	origin string
	input  io.Writer

	mu      sync.Mutex // guards streams
	streams []*stream
}

// command is what a script is asked to do.
type command struct {
	Do     string `json:"do"` // follow or send
	Stream int    `json:"stream"`
	URL    string `json:"url"`
	Method string `json:"method,omitempty"`
	Body   any    `json:"body,omitempty"`
}

// run starts the script. It ends with the test.
func run(t *testing.T, name, origin string, environment ...string) *script {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // beyond the test's own, so that a browser can be closed
	node := exec.CommandContext(ctx, find(t, "", "node"), name)
	node.Env = append(os.Environ(), environment...)
	node.Cancel = func() error { return node.Process.Signal(syscall.SIGTERM) }
	node.WaitDelay = 5 * time.Second
	node.Stderr = os.Stderr
	input, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	c := &script{t: t, name: name, origin: origin, input: input}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(output)
	}()
	t.Cleanup(func() {
		defer cancel()
		_ = input.Close() // which ends it
		select {
		case <-read:
		case <-time.After(deadline):
			t.Errorf("%s does not end", name)
			cancel()
			<-read
		}
		if err := node.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return c
}

// read gives each event to its stream.
func (c *script) read(output io.Reader) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			c.t.Errorf("%s: %s: %v", c.name, lines.Text(), err)
			return
		}
		c.mu.Lock()
		st := c.streams[e.Stream]
		c.mu.Unlock()
		st.tell(e)
	}
}

// follow opens an EventSource.
func (c *script) follow(path string) *stream {
	c.t.Helper()
	return c.ask(command{Do: "follow", URL: c.origin + path})
}

// send sends a request by fetch.
func (c *script) send(method, path string, body any) (int, string) {
	c.t.Helper()
	e := c.ask(command{Do: "send", URL: c.origin + path, Method: method, Body: body}).next("answer")
	return e.State, e.Data
}

func (c *script) ask(what command) *stream {
	c.t.Helper()
	st := newStream(c.t, c.name+" "+what.URL)
	c.mu.Lock()
	what.Stream = len(c.streams)
	c.streams = append(c.streams, st)
	c.mu.Unlock()
	line, err := json.Marshal(what)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.input.Write(append(line, '\n')); err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
	return st
}
