package handlers_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connvo/handlers"
)

// chunked hides the length of a body.
type chunked struct{ io.Reader }

func TestBodyLargerThanOneMiBIsRefused(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	title := func(size int) string {
		return `{"title":"` + strings.Repeat("x", size-len(`{"title":""}`)) + `"}`
	}
	before := s.rows()
	for name, c := range map[string]struct {
		body   any
		status int
		code   string
	}{
		"as large as it may be":          {title(handlers.MaxBody), 422, "validation_failed"},
		"as large as it may be, chunked": {chunked{strings.NewReader(title(handlers.MaxBody))}, 422, "validation_failed"},
		"a byte more":                    {title(handlers.MaxBody + 1), 413, "payload_too_large"},
		"a byte more, chunked":           {chunked{strings.NewReader(title(handlers.MaxBody + 1))}, 413, "payload_too_large"},
		"nothing, chunked":               {chunked{strings.NewReader("")}, 400, "validation_failed"},
	} {
		if a := ada.do("POST", "/v1/meetings", c.body); a.Status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %.200s", name, a.Status, a.Body)
		}
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
	if a := ada.do("POST", "/v1/meetings", chunked{strings.NewReader(`{"title":"Plan"}`)}); a.Status != 201 {
		t.Errorf("chunked: %d %s", a.Status, a.Body)
	}
}

// Over HTTP/2 a connection has other requests, and is not closed for a body that is too
// large.
func TestRefusedBodyLeavesOtherRequestsTheConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.signIn("ada")
	second := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	var opened atomic.Int64
	second.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	second.EnableHTTP2 = true
	second.StartTLS()
	t.Cleanup(second.Close)
	for _, c := range []struct {
		body   string
		status int
	}{{strings.Repeat(" ", handlers.MaxBody+1), 413}, {`{"title":"Plan"}`, 201}} {
		r := ada.request(t.Context(), "POST", "/v1/meetings", c.body)
		r.URL.Scheme, r.URL.Host = "https", second.Listener.Addr().String()
		a, err := second.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close() // its status is all that matters
		if a.StatusCode != c.status || a.ProtoMajor != 2 {
			t.Errorf("%s %d, want %d", a.Proto, a.StatusCode, c.status)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}

// TestBodyThatIsRefusedIsNotAwaited announces a large body and sends none of
// it: the refusal comes all the same, and the connection ends.
func TestBodyThatIsRefusedIsNotAwaited(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	r := s.raw(t, fmt.Sprintf("POST /v1/meetings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1099511627776\r\n\r\n", ada.Token))
	if r.StatusCode != http.StatusRequestEntityTooLarge || !r.Close {
		t.Errorf("%d, closes %v", r.StatusCode, r.Close)
	}
}

func TestBodyThatEndsEarlyHasNoEffect(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	before := s.rows()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := fmt.Fprintf(connection, "POST /v1/meetings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"+`{"title":"Plan"}`, ada.Token); err != nil {
		t.Fatal(err)
	}
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", r.StatusCode)
	}
	if after := s.rows(); after != before {
		t.Errorf("before: %s, after: %s", before, after)
	}
}

// raw sends the bytes on a connection of their own and returns the answer.
func (s *server) raw(t *testing.T, request string) *http.Response {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return r
}

// TestRefusedRequestWritesNothing sends what must be refused, many ways, and
// looks at the tables.
func TestRefusedRequestWritesNothing(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "observer")
	ada.must("POST", meeting+"/start", nil)
	ada.say(meeting, "Hello")
	before, commit := s.rows(), s.DB.Committed()
	for _, r := range []struct {
		who          *person
		method, path string
		body         any
	}{
		{ada, "POST", "/v1/meetings", `{"title":""}`},
		{ada, "POST", "/v1/meetings", `{"title":"Plan","participants":[{"userId":"usr_none","role":"observer"}]}`},
		{ada, "POST", "/v1/meetings", fmt.Sprintf(`{"title":"Plan","participants":[{"userId":%q,"role":"observer"},{"userId":%q,"role":"observer"}]}`, grace.ID, grace.ID)},
		{ada, "POST", "/v1/meetings", `{"title":"Plan","participants":[` + strings.Repeat(`{"userId":"u","role":"observer"},`, 100) + `{"userId":"u","role":"observer"}]}`},
		{ada, "POST", "/v1/meetings", `{"title":"P\u0000"}`},
		{ada, "POST", meeting + "/messages", `{"content":" "}`},
		{ada, "POST", meeting + "/messages", `{"content":"Hello","replyTo":"msg_00000000000"}`},
		{ada, "PATCH", "/v1/me", `{"displayName":" "}`},
		{ada, "PATCH", "/v1/me", `{"displayName":"A\u0000"}`},
		{grace, "POST", meeting + "/end", nil},
		{grace, "POST", meeting + "/messages", `{"content":"Hello"}`},
		{s.nobody(), "POST", "/dev/token", `{"email":"new@example.com","orgRole":"admin"}`},
		{s.nobody(), "POST", "/dev/token", `{"email":"not an address"}`},
	} {
		for _, key := range []string{"", "k"} {
			if a := r.who.do(r.method, r.path, r.body, "Idempotency-Key", key); a.Status < 400 || a.code() == "" {
				t.Errorf("%s %s %v: %d %s", r.method, r.path, r.body, a.Status, a.Body)
			}
		}
	}
	if after := s.rows(); after != before || s.DB.Committed() != commit {
		t.Errorf("before: %s, after: %s; commits %d to %d", before, after, commit, s.DB.Committed())
	}
}

func TestNullIsNoValue(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	for _, c := range []struct{ method, path, body, at string }{
		{"PATCH", meeting, `{"durationMs":null}`, "body.durationMs"}, // of scheduledAt it is one, see testdata/participants.txt
		{"PATCH", "/v1/me/profile", `{"bio":null}`, "body.bio"},
		{"PATCH", "/v1/me", `{"displayName":null}`, "body.displayName"},
		{"PATCH", meeting, `{"title":"x","kind":null}`, "body.kind"},
	} {
		a := ada.do(c.method, c.path, c.body)
		if a.Status != 422 || !strings.Contains(string(a.Body), c.at) {
			t.Errorf("%s %s: %d %s", c.path, c.body, a.Status, a.Body)
		}
	}
	ada.must("POST", meeting+"/messages", `{"content":"null"}`)
}
