// Package workostest starts the official emulator of WorkOS for tests, in the
// npm package workos.
package workostest

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// program is what Node runs.
//
//go:embed emulator.mjs
var program string

// Person is somebody whom the emulator knows. Who signs in without a login_hint
// is the first.
type Person struct {
	Email         string `json:"email"`
	FirstName     string `json:"first_name,omitempty"`
	LastName      string `json:"last_name,omitempty"`
	EmailVerified bool   `json:"email_verified"`
}

// Emulator is a running emulator, behind a proxy that stands for the network.
// It is safe for concurrent use.
//
// It differs from WorkOS: a refresh gives a new session id, errors have code
// instead of error, tokens live for an hour, and webhooks are signed with
// seconds where WorkOS has milliseconds.
type Emulator struct {
	URL    string // the proxy: what to configure as the API
	Issuer string // the iss of its tokens, which is its own address
	Key    string // an API key that it takes

	t      testing.TB
	input  io.Writer
	output *bufio.Reader
	client *http.Client

	mu        sync.Mutex // guards what follows
	counts    map[string]int
	intercept http.HandlerFunc
}

// Start starts an emulator with these people, which ends with the test. Without
// Node or the package the test is skipped, but fails where CI is set: there
// everything must be tested.
func Start(t testing.TB, people ...Person) *Emulator {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, err)
	}
	_, here, _, _ := runtime.Caller(0)
	tools := filepath.Join(filepath.Dir(here), "..", "..", ".tools")
	if _, err := os.Stat(filepath.Join(tools, "node_modules", "workos", "package.json")); err != nil {
		missing(t, err)
	}
	seed, err := json.Marshal(map[string]any{"users": people})
	if err != nil {
		t.Fatal(err)
	}
	e := &Emulator{t: t, counts: map[string]int{}, client: &http.Client{
		Transport: &http.Transport{},
		// A test looks at where it is sent.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	e.run(exec.Command(node, "--input-type=module", "--eval", program, "--", string(seed)), tools)
	e.proxy()
	return e
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v; make clients installs it", err)
	}
	t.Skipf("%v; make clients installs it", err)
}

// run starts the emulator, which ends when its input does: also when the test
// is killed.
func (e *Emulator) run(c *exec.Cmd, dir string) {
	e.t.Helper()
	c.Dir, c.Stderr = dir, e.t.Output()
	input, err := c.StdinPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.input, e.output = input, bufio.NewReader(output)
	e.t.Cleanup(func() {
		if err := input.Close(); err != nil {
			e.t.Errorf("the emulator's input: %v", err)
		}
		if err := c.Wait(); err != nil {
			e.t.Errorf("the emulator: %v", err)
		}
	})
	var started struct{ URL, Key string }
	line, err := e.output.ReadBytes('\n')
	if err != nil {
		e.t.Fatalf("the emulator has not started: %v", err)
	}
	if err := json.Unmarshal(line, &started); err != nil {
		e.t.Fatalf("the emulator says %q: %v", line, err)
	}
	e.Issuer, e.Key = started.URL, started.Key
}

// proxy lets requests through, counts them, and breaks what it is asked to.
func (e *Emulator) proxy() {
	e.t.Helper()
	target, err := url.Parse(e.Issuer)
	if err != nil {
		e.t.Fatal(err)
	}
	transport := &http.Transport{}
	through := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: transport,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.counts[r.URL.Path]++
		intercept := e.intercept
		e.mu.Unlock()
		if intercept != nil {
			intercept(&passed{ResponseWriter: w, through: func(w http.ResponseWriter) { through.ServeHTTP(w, r) }}, r)
			return
		}
		through.ServeHTTP(w, r)
	}))
	e.URL = server.URL
	e.t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
		e.client.CloseIdleConnections()
	})
}

// passed is an answer that Pass and Lose can fetch.
type passed struct {
	http.ResponseWriter
	through func(http.ResponseWriter)
}

// Intercept answers every request from now on by f, which may let it through
// with Pass; nil lets all through.
func (e *Emulator) Intercept(f http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.intercept = f
}

// Pass lets a request that was intercepted through to the emulator.
func Pass(w http.ResponseWriter) {
	p := w.(*passed)
	p.through(p.ResponseWriter)
}

// Lose lets a request that was intercepted through to the emulator, whose answer
// is lost.
func Lose(w http.ResponseWriter) {
	w.(*passed).through(httptest.NewRecorder())
	panic(http.ErrAbortHandler)
}

// Down is for Intercept: the connection breaks before there is an answer.
func Down(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Count returns how many requests there were to the path, also those that did
// not get through.
func (e *Emulator) Count(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[path]
}

// Advance sets the clock of the emulator's tokens ahead, by whole milliseconds.
// It is not for concurrent use.
func (e *Emulator) Advance(d time.Duration) {
	e.t.Helper()
	if _, err := fmt.Fprintln(e.input, d.Milliseconds()); err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.output.ReadString('\n'); err != nil {
		e.t.Fatal(err)
	}
}

// Call sends a request to the emulator's API with the key, past the proxy, and
// returns the status. The answer is decoded into answer unless that is nil.
func (e *Emulator) Call(method, path string, body, answer any) int {
	e.t.Helper()
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			e.t.Fatal(err)
		}
		sent = bytes.NewReader(b)
	}
	q, err := http.NewRequestWithContext(e.t.Context(), method, e.Issuer+path, sent)
	if err != nil {
		e.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+e.Key)
	q.Header.Set("Content-Type", "application/json")
	a, err := e.client.Do(q)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }() // it was only read
	got, err := io.ReadAll(a.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(got, answer); err != nil {
			e.t.Fatalf("%s %s: %d %q: %v", method, path, a.StatusCode, got, err)
		}
	}
	return a.StatusCode
}
