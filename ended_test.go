package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/insights"
	"connvo/jobs"
)

// stage is the server as serve wires it, on a file that outlives it.
type stage struct {
	*service
	t         testing.TB
	db        *db.DB
	http      *httptest.Server
	committed chan struct{} // holds one: there was a commit
	id        domain.MeetingID
}

// clock is the time of day, as a test sets it.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newStage opens the file. The jobs do not run until they are started.
func newStage(t testing.TB, path string, now func() time.Time) *stage {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(t.Context(), db.Options{Path: path, Schema: schema, Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, db: d, committed: make(chan struct{}, 1)}
	d.OnCommit(func(db.ChangeSet) {
		select {
		case s.committed <- struct{}{}:
		default:
		}
	})
	c := &serveCommand{Listen: "127.0.0.1:0", Region: "loc", Demo: off, StreamAdmissions: 100}
	if s.service, err = c.wire(t.Context(), d, nil, nil, log, "http://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.http = httptest.NewServer(s.api)
	return s
}

// close ends the server; jobs that wait wait for the next.
func (s *stage) close() {
	s.t.Helper()
	s.http.Close()
	if err := s.service.close(); err != nil {
		s.t.Error(err)
	}
	if err := s.db.Close(); err != nil {
		s.t.Error(err)
	}
}

// do sends a request of the host's, or another's, and returns the answer's body.
func (s *stage) do(who, method, path, body string) string {
	s.t.Helper()
	var grant struct{ AccessToken string }
	if err := json.Unmarshal([]byte(s.send("", "POST", "/dev/token", fmt.Sprintf(`{"email":"%s@example.com"}`, who))), &grant); err != nil {
		s.t.Fatal(err)
	}
	return s.send(grant.AccessToken, method, path, body)
}

func (s *stage) send(token, method, path, body string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.http.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode > 299 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, b, err)
	}
	return string(b)
}

// begin makes an active meeting of ada's, to which grace is invited.
func (s *stage) begin() (path string) {
	s.t.Helper()
	var grace, m struct{ ID string }
	s.read(s.do("grace", "GET", "/v1/me", ""), &grace)
	s.read(s.do("ada", "POST", "/v1/meetings", fmt.Sprintf(`{"title":"Plan","participants":[{"userId":%q,"role":"participant"}]}`, grace.ID)), &m)
	s.id, path = domain.MeetingID(m.ID), "/v1/meetings/"+m.ID
	s.do("ada", "POST", path+"/start", "")
	return path
}

func (s *stage) read(body string, v any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
}

func (s *stage) write(change func(tx *db.WriteTx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), change); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) number(query string, args ...any) (n int64) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// await waits until the query answers the number.
func (s *stage) await(want int64, query string, args ...any) {
	s.t.Helper()
	late := time.After(patience)
	for {
		got := s.number(query, args...)
		if got == want {
			return
		}
		select {
		case <-s.committed:
		case <-late:
			s.t.Fatalf("%s %v: %d, want %d", query, args, got, want)
		}
	}
}

const waiting = `SELECT count(*) FROM jobs WHERE name = ?`

// The jobs of a meeting's end are committed with it: whoever is killed after that
// leaves them to the next, and however often they are done the same is there.
func TestWhatTheEndStartsSurvivesBeingKilledAndIsDoneOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connvo.db")
	s := newStage(t, path, nil)
	meeting := s.begin()
	var m struct{ ID string }
	s.read(s.do("ada", "POST", meeting+"/messages", `{"content":"Hello"}`), &m)
	s.do("ada", "PATCH", meeting+"/messages/"+m.ID, `{"content":"Hello, Grace"}`)
	s.do("ada", "POST", meeting+"/end", "")
	name := countMeeting + ":" + string(s.id)
	if n := s.number(waiting, name); n != 1 {
		t.Fatalf("%d jobs in the commit of the end", n)
	}
	before := s.do("grace", "GET", meeting+"/analytics", "")
	if !strings.Contains(before, `"messages":1,"edits":1`) {
		t.Error(before)
	}
	id := s.id
	s.close() // before any job has run

	s = newStage(t, path, nil)
	defer s.close()
	s.id = id
	if n := s.number(`SELECT count(*) FROM meeting_counts`); n != 0 {
		t.Errorf("%d counts before any job has run", n)
	}
	s.jobs.Start()
	s.await(0, waiting, name)
	s.await(0, waiting, writeInsights+":"+string(id))
	told := s.do("ada", "GET", meeting+"/insights", "")
	if !strings.Contains(told, `"meetingId":"`+string(id)) || s.number(`SELECT count(*) FROM insights`) != 1 { // grace was not there
		t.Error(told)
	}
	s.do("ada", "POST", meeting+"/insights/generate", "")
	s.await(0, `SELECT count(*) FROM jobs WHERE kind = ?`, insights.Renew)
	if again := s.do("ada", "GET", meeting+"/insights", ""); again != told {
		t.Errorf("%s\nand again %s", told, again)
	}
	for range 2 {
		if n := s.number(`SELECT count(*) FROM meeting_counts WHERE meeting_id = ? AND messages = 1 AND edits = 1`, id); n != 1 {
			t.Errorf("%d counts", n)
		}
		if after := s.do("grace", "GET", meeting+"/analytics", ""); after != before {
			t.Errorf("%s\nbefore the job %s", after, before)
		}
		s.do("ada", "POST", meeting+"/messages", `{"content":"After the end"}`)
		s.write(func(tx *db.WriteTx) error { // the job once more
			return jobs.Enqueue(tx, jobs.Job{Kind: countMeeting, Name: name, Payload: id})
		})
		s.await(0, waiting, name)
	}
}

// asks sets the clock so long after the beginning, and waits until the job that
// ends the meeting waits to ask again so long after it.
func (s *stage) asks(c *clock, began time.Time, at, again time.Duration) {
	s.t.Helper()
	c.set(began.Add(at))
	s.write(func(tx *db.WriteTx) error { // a commit by which the runner looks at the clock
		return jobs.Enqueue(tx, jobs.Job{Kind: expireDay, Payload: 0})
	})
	s.await(1, `SELECT count(*) FROM jobs WHERE name = ? AND run_at = ?`, endAbandoned+":"+string(s.id), began.Add(again).UnixMilli())
}

// A meeting is not looked after by a plan that it no longer has.
func TestAbandonedMeetingEndsByItsNewestPlan(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := &clock{at: began}
	s := newStage(t, filepath.Join(t.TempDir(), "connvo.db"), c.now)
	defer s.close()
	s.jobs.Start()
	meeting := s.begin()
	s.do("ada", "PATCH", meeting, `{"durationMs":86400000}`)
	s.asks(c, began, 12*time.Hour+30*time.Minute, 36*time.Hour)
	s.do("ada", "PATCH", meeting, `{"durationMs":60000}`) // which is the last that happens
	s.asks(c, began, 12*time.Hour+30*time.Minute, 24*time.Hour+30*time.Minute)
}

// A meeting that nobody ends is ended 12 hours after its planned end or the last
// thing that happened in it: a message, somebody who joined, or speech, of which
// the events know nothing. Its end is as any other.
func TestAbandonedMeetingEndsAsAnyOther(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := &clock{at: began}
	s := newStage(t, filepath.Join(t.TempDir(), "connvo.db"), c.now)
	defer s.close()
	s.jobs.Start()
	meeting := s.begin() // half an hour long
	name := endAbandoned + ":" + string(s.id)
	asks := func(at, again time.Duration) {
		t.Helper()
		s.asks(c, began, at, again)
	}
	const half = 30 * time.Minute
	asks(0, 12*time.Hour+half)
	c.set(began.Add(time.Hour))
	s.do("ada", "POST", meeting+"/messages", `{"content":"Hello"}`)
	asks(12*time.Hour+half, 13*time.Hour)
	s.do("grace", "POST", meeting+"/join", "")
	asks(13*time.Hour, 24*time.Hour+half)
	c.set(began.Add(20 * time.Hour))
	s.write(func(tx *db.WriteTx) error {
		return conversation.Speak(tx, s.id, conversation.Utterance{End: time.Second})
	})
	asks(24*time.Hour+half, 32*time.Hour)

	c.set(began.Add(32 * time.Hour))
	s.write(func(tx *db.WriteTx) error {
		if err := conversation.SetLull(tx, s.id, conversation.Lull{Since: began, Severity: conversation.Severe}); err != nil {
			return err
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: expireDay, Payload: 0})
	})
	s.await(1, `SELECT count(*) FROM meeting_counts WHERE meeting_id = ? AND messages = 1`, s.id)
	s.await(0, waiting, name)
	if state := s.do("ada", "GET", meeting+"/state", ""); !strings.Contains(state, `"active":false`) || !strings.Contains(state, `"lull":{"detected":false`) {
		t.Error(state)
	}
	if chat := s.do("ada", "GET", meeting+"/messages", ""); !strings.Contains(chat, "The meeting has ended.") {
		t.Error(chat)
	}
	if a := s.do("grace", "GET", meeting+"/analytics", ""); !strings.Contains(a, fmt.Sprint(`"durationMs":`, (32*time.Hour).Milliseconds())) {
		t.Error(a)
	}
}
