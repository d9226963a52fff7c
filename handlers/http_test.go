package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestAnswerHasAStrongTag(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	for _, path := range []string{"/v1/me", "/v1/users/" + string(ada.ID), "/v1/meetings", meeting, meeting + "/participants", meeting + "/events", meeting + "/messages"} {
		first := ada.must("GET", path, nil)
		tag := first.Header.Get("ETag")
		if len(tag) < 10 || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) {
			t.Errorf("%s: tag %s", path, tag)
		}
		if again := ada.must("GET", path, nil); again.Header.Get("ETag") != tag || string(again.Body) != string(first.Body) {
			t.Errorf("%s: the tag of the same answer is %s and %s", path, tag, again.Header.Get("ETag"))
		}
		if vary := first.Header.Get("Vary"); !strings.Contains(vary, "Authorization") || !strings.Contains(vary, "Accept") {
			t.Errorf("%s: Vary %q", path, vary)
		}
		for header, status := range map[string]int{
			tag:                              304,
			"W/" + tag:                       304,
			`"other", ` + tag + ` , "third"`: 304,
			`"other",W/` + tag:               304,
			"*":                              304,
			`"other"`:                        200,
			strings.Trim(tag, `"`):           200,
			"":                               200,
		} {
			a := ada.do("GET", path, nil, "If-None-Match", header)
			if a.Status != status || a.Header.Get("ETag") != tag || (status == 304 && (len(a.Body) > 0 || a.Header.Get("Content-Type") != "")) {
				t.Errorf("%s, If-None-Match %s: %d %v %s", path, header, a.Status, a.Header, a.Body)
			}
		}
	}
	// Who may not read is not told 304.
	if a := s.signIn("eve").do("GET", meeting, nil, "If-None-Match", "*"); a.Status != http.StatusNotFound {
		t.Errorf("a stranger: %d", a.Status)
	}
}

func TestTagChangesWithTheAnswer(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	tag := ada.must("GET", meeting, nil).Header.Get("ETag")
	ada.must("POST", meeting+"/start", nil)
	if a := ada.do("GET", meeting, nil, "If-None-Match", tag); a.Status != http.StatusOK || a.Header.Get("ETag") == tag {
		t.Errorf("%d %s", a.Status, a.Header.Get("ETag"))
	}
}

func TestCommitAscendsAndCoversItsWrite(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	last := s.DB.Committed()
	for i := range 20 {
		content := fmt.Sprint("message ", i)
		a := ada.must("POST", meeting+"/messages", map[string]any{"content": content})
		commit, err := strconv.ParseInt(a.Header.Get("Connvo-Commit"), 10, 64)
		if err != nil || commit <= last {
			t.Fatalf("Connvo-Commit %q after %d", a.Header.Get("Connvo-Commit"), last)
		}
		last = commit
		// A GET after the answer sees the write.
		var page struct{ Items []item }
		ada.must("GET", meeting+"/messages?limit=1", nil).into(t, &page)
		if len(page.Items) != 1 || page.Items[0].Content != content || page.Items[0].Position > commit {
			t.Fatalf("%d: %+v", commit, page.Items)
		}
	}
	// What changes nothing is covered by the number of what it has read.
	a := ada.must("PATCH", "/v1/me", `{}`)
	if got := a.Header.Get("Connvo-Commit"); got != fmt.Sprint(last) {
		t.Errorf("Connvo-Commit %s, want %d", got, last)
	}
}

func TestConcurrentWritesHaveNumbersOfTheirOwn(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	const many = 40
	commits := make([]string, many)
	var wg sync.WaitGroup
	for i := range many {
		r := ada.request(t.Context(), "POST", "/v1/meetings", `{"title":"Plan"}`)
		wg.Go(func() {
			a, err := s.send(r)
			if err != nil || a.Status != http.StatusCreated {
				t.Errorf("%d %s %v", a.Status, a.Body, err)
				return
			}
			commits[i] = a.Header.Get("Connvo-Commit")
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, c := range commits {
		if seen[c] {
			t.Errorf("%s is the number of two writes", c)
		}
		seen[c] = true
	}
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	seen := map[string]bool{}
	for _, path := range []string{"/v1/me", "/v1/me", "/v1/nothing", "/healthz", "/readyz", "/openapi.json", "/docs", "/", "/v1/me?limit=1", "/assets/none"} {
		a := ada.do("GET", path, nil, "X-Request-Id", "mine")
		<-s.finished // the log is written after the answer
		id := a.Header.Get("X-Request-Id")
		if len(id) < 16 || seen[id] {
			t.Errorf("%s: request id %q", path, id)
		}
		seen[id] = true
		if !strings.Contains(s.Log.String(), "request="+id) {
			t.Errorf("%s: the log does not have %s", path, id)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
}

// TestFailureTellsNothingOfItsCause takes the database away from a running
// server, and tables from another one.
func TestFailureTellsNothingOfItsCause(t *testing.T) {
	check := func(name string, a answer, status int, code string) {
		t.Helper()
		var p map[string]any
		if a.Status != status || a.code() != code || json.Unmarshal(a.Body, &p) != nil {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		for _, word := range []string{"sql", "SQL", "connvo.db", "goroutine", ".go", "panic", "/tmp", "no such table"} {
			if strings.Contains(string(a.Body), word) {
				t.Errorf("%s: the answer has %q: %s", name, word, a.Body)
			}
		}
		for member := range p {
			if !strings.Contains("type title status code detail instance errors", member) {
				t.Errorf("%s: the member %s", name, member)
			}
		}
	}
	t.Run("closed", func(t *testing.T) {
		s := newServer(t)
		ada := s.signIn("ada")
		meeting := ada.plan("Plan")
		if err := s.DB.Close(); err != nil {
			t.Fatal(err)
		}
		for _, a := range []answer{
			ada.do("GET", "/v1/me", nil), ada.do("GET", meeting+"/messages", nil), ada.do("POST", "/v1/meetings", `{"title":"Plan"}`),
			ada.do("POST", "/dev/token", `{"email":"ada@example.com"}`), s.nobody().do("GET", "/readyz", nil),
		} {
			check("closed", a, 503, "unavailable")
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After in %v", a.Header)
			}
		}
		if a := s.nobody().do("GET", "/healthz", nil); a.Status != http.StatusOK {
			t.Errorf("healthz: %d", a.Status)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		s := newServer(t)
		ada := s.signIn("ada")
		meeting := ada.plan("Plan")
		s.exec(`ALTER TABLE messages RENAME TO elsewhere`)
		check("read", ada.do("GET", meeting+"/messages", nil), 500, "internal")
		check("write", ada.do("POST", meeting+"/messages", `{"content":"Hello"}`), 500, "internal")
		check("write with a key", ada.do("POST", meeting+"/messages", `{"content":"Hello"}`, "Idempotency-Key", "k"), 500, "internal")
		if log := s.Log.String(); !strings.Contains(log, "no such table") {
			t.Errorf("the log does not have the cause: %s", log)
		}
		s.exec(`ALTER TABLE elsewhere RENAME TO messages`)
		if a := ada.do("POST", meeting+"/messages", `{"content":"Hello"}`, "Idempotency-Key", "k"); a.Status != http.StatusCreated {
			t.Errorf("repaired: %d %s", a.Status, a.Body)
		}
	})
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	for _, path := range []string{"/v1/me", meeting, meeting + "/messages", "/healthz", "/readyz", "/openapi.json", "/docs", "/", "/v1/nothing", "/v1/meetings/mtg_loc_none"} {
		get, head := ada.do("GET", path, nil), ada.do("HEAD", path, nil)
		if head.Status != get.Status || len(head.Body) != 0 {
			t.Errorf("%s: HEAD %d with %d bytes, GET %d", path, head.Status, len(head.Body), get.Status)
		}
		for _, name := range []string{"Content-Type", "ETag", "Content-Length", "Cache-Control"} {
			if head.Header.Get(name) != get.Header.Get(name) {
				t.Errorf("%s: %s is %q for HEAD, %q for GET", path, name, head.Header.Get(name), get.Header.Get(name))
			}
		}
	}
}

// TestHeadIsNeverLive asks for the head of a stream: an answer without a body
// that goes on for ever would keep its connection from the next request.
func TestHeadIsNeverLive(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for accept, status := range map[string]int{"text/event-stream": 406, "text/event-stream, application/json": 200} {
		a := ada.do("HEAD", "/v1/me", nil, "Accept", accept)
		if a.Status != status || a.Header.Get("Content-Type") == "text/event-stream" {
			t.Errorf("%s: %d %v", accept, a.Status, a.Header)
		}
		ada.must("GET", "/v1/me", nil)
	}
	if n := s.API.Engine().Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

func TestReadyUntilItDrains(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.nobody().do("GET", path, nil); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", path, a.Status, a.Header)
		}
	}
	s.API.Drain()
	if a := s.nobody().do("GET", "/readyz", nil); a.Status != http.StatusServiceUnavailable || a.code() != "shutting_down" {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
	if a := s.nobody().do("GET", "/healthz", nil); a.Status != http.StatusOK {
		t.Errorf("healthz: %d", a.Status)
	}
	// What still comes is still answered.
	ada.must("GET", "/v1/me", nil)
	ada.must("POST", "/v1/meetings", `{"title":"Last"}`)
}
