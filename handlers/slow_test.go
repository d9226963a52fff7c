package handlers_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connvo/handlers"
)

// bodyTime is what a client of hasty has to send a body.
const bodyTime = 300 * time.Millisecond

// hasty returns a server that waits for no body.
func hasty(t *testing.T) *server {
	t.Helper()
	return startServer(t, false, func(c *handlers.Config) { c.BodyTimeout = bodyTime })
}

// TestBodyThatNeverComesIsGivenUp announces bodies and sends none. Every answer
// comes nevertheless, also where nobody reads the body, and the connection ends.
func TestBodyThatNeverComesIsGivenUp(t *testing.T) {
	s := hasty(t)
	token := s.signIn("ada").Token
	for name, test := range map[string]struct {
		head   string
		status int
	}{
		"healthz":          {"GET /healthz HTTP/1.1\r\nContent-Length: 100", 200},
		"no such path":     {"POST /v1/nothing HTTP/1.1\r\nContent-Length: 100", 404},
		"wrong method":     {"PUT /v1/me HTTP/1.1\r\nContent-Length: 100", 405},
		"signed out":       {"POST /v1/meetings HTTP/1.1\r\nContent-Length: 100", 401},
		"signed in":        {"POST /v1/meetings HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 100", 400},
		"chunks":           {"POST /v1/meetings HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token + "\r\nTransfer-Encoding: chunked", 400},
		"a form":           {"POST /dev/login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100", 400},
		"a token":          {"POST /dev/token HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100", 400},
		"a GET of the API": {"GET /v1/me HTTP/1.1\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 100", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := strings.TrimPrefix(s.URL, "http://")
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "%s\r\nHost: %s\r\n\r\n", test.head, strings.Replace(host, "[::1]", "localhost", 1)); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.StatusCode != test.status {
				t.Errorf("status %d, want %d", answer.StatusCode, test.status)
			}
		})
	}
}

// TestStreamOutlivesTheTimeForItsBody opens a stream by a request with a body.
func TestStreamOutlivesTheTimeForItsBody(t *testing.T) {
	s := hasty(t)
	ada := s.signIn("ada")
	r := ada.request(t.Context(), "GET", "/v1/me?heartbeat=1", "{}", "Accept", "text/event-stream")
	answer, err := s.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	until := time.Now().Add(2 * bodyTime)
	lines := bufio.NewScanner(answer.Body)
	for time.Now().Before(until) {
		if !lines.Scan() {
			t.Fatalf("the stream has ended: %v", lines.Err())
		}
	}
}

// TestParametersThatSayTwoThings are refused, like those that say nothing.
func TestParametersThatSayTwoThings(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for path, status := range map[string]int{
		"/v1/meetings?limit=1&limit=2": 422,
		"/v1/meetings?limit=%zz":       400,
		"/v1/meetings?a;b=1":           400,
	} {
		if a := ada.do("GET", path, nil); a.Status != status || a.code() != "validation_failed" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := ada.do("GET", "/v1/me", nil, "Accept", "text/event-stream;q=0.0, application/json"); a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a stream that is not acceptable: %v", a.Header)
	}
}
