package handlers_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"connvo/db"
)

// parts are the paths under a meeting that can be followed.
var parts = []string{"", "/participants", "/events", "/messages"}

// followAll opens a stream of each path and reads its beginning.
func (p *person) followAll(meeting string, paths ...string) map[string]*stream {
	p.s.t.Helper()
	all := map[string]*stream{}
	for _, path := range paths {
		st := p.follow(meeting + path + "?heartbeat=1")
		st.ready()
		st.any() // a snapshot or the newest items
		all[path] = st
	}
	return all
}

// joined returns a meeting that is active, with both in it and a message.
func joined(host, guest *person) (meeting string) {
	host.s.t.Helper()
	meeting = host.plan("Plan", guest, "participant")
	host.must("POST", meeting+"/start", nil)
	guest.must("POST", meeting+"/join", nil)
	host.say(meeting, "Hello")
	return meeting
}

func idOf(meeting string) string { return strings.TrimPrefix(meeting, "/v1/meetings/") }

func TestWhoLeavesIsToldNothingMore(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	streams := grace.followAll(meeting, parts...)
	grace.must("POST", meeting+"/leave", nil)
	ada.say(meeting, "They are gone")
	e := streams["/messages"].endsWith("forbidden")
	if len(e.Retry) != 0 {
		t.Errorf("a retry: %+v", e)
	}
	// A member still, they see the rest.
	var m struct{ Viewer struct{ Status string } }
	if streams[""].snapshot(&m); m.Viewer.Status != "left" {
		t.Errorf("%+v", m)
	}
	var seen []string
	for len(seen) < 2 {
		items, _ := streams["/events"].items()
		for _, i := range items {
			seen = append(seen, i.Type)
		}
	}
	if fmt.Sprint(seen) != "[participants.left messages.posted]" {
		t.Errorf("events %v", seen)
	}
	// The end of the meeting gives the chat back.
	ada.must("POST", meeting+"/end", nil)
	st := grace.follow(meeting + "/messages")
	st.ready()
	if items, _ := st.items(); fmt.Sprint(contents(items)) != "[Hello They are gone]" {
		t.Errorf("%v", items)
	}
}

func TestWhoIsRemovedIsToldNothingMore(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	streams := grace.followAll(meeting, parts...)
	list := grace.followAll("/v1/meetings", "")[""]
	s.exec(`DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`, idOf(meeting), grace.ID)
	ada.say(meeting, "They are gone")
	for path, st := range streams {
		if e := st.endsWith("not_found"); len(e.Retry) != 0 || strings.Contains(string(e.Data), "gone") {
			t.Errorf("%s: %+v", path, e)
		}
	}
	var page struct{ Items []any }
	if list.snapshot(&page); len(page.Items) != 0 {
		t.Errorf("the list: %v", page.Items)
	}
	for _, path := range parts {
		if a := grace.do("GET", meeting+path, nil, "Accept", "text/event-stream", "Last-Event-ID", "1"); a.Status != 404 || a.code() != "not_found" {
			t.Errorf("%s, coming again: %d %s", path, a.Status, a.Body)
		}
	}
}

func TestWhoIsDeactivatedIsToldNothingMore(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	streams := grace.followAll(meeting, parts...)
	for _, path := range []string{"/v1/me", "/v1/meetings", "/v1/users/" + string(ada.ID)} {
		streams[path] = grace.followAll(path, "")[""]
	}
	grace.deactivate()
	ada.say(meeting, "They are gone")
	ada.must("PATCH", "/v1/me", `{"displayName":"New"}`)
	for path, st := range streams {
		if e := st.endsWith("forbidden"); len(e.Retry) != 0 {
			t.Errorf("%s: %+v", path, e)
		}
	}
	a := grace.do("GET", "/v1/me", nil, "Accept", "text/event-stream")
	if a.Status != 403 || a.code() != "forbidden" {
		t.Errorf("coming again: %d %s", a.Status, a.Body)
	}
}

// TestNothingCommittedAfterALossIsSent takes the right away amid a stream of
// messages, and compares their numbers with that of the loss.
func TestNothingCommittedAfterALossIsSent(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	for _, loss := range []struct{ query, code string }{
		{`DELETE FROM participants WHERE meeting_id = ?1 AND user_id = ?2`, "not_found"},
		{`UPDATE participants SET status = 'left' WHERE meeting_id = ?1 AND user_id = ?2`, "forbidden"},
		{`UPDATE users SET active = iif(?1 = '', 1, 0) WHERE id = ?2`, "forbidden"},
	} {
		meeting := joined(ada, grace)
		st := grace.follow(meeting + "/messages?after=0")
		st.ready()
		// Others go on reading the same feed, and what they read is shared.
		for range 20 {
			go ada.follow(meeting + "/messages?after=0").drain()
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					ada.say(meeting, fmt.Sprint(n))
				}
			}
		}()
		st.items()
		var lost int64
		err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(loss.query, idOf(meeting), grace.ID)
			lost = tx.Number()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for {
			e := st.any()
			if e == nil {
				t.Fatalf("%s: ended without a problem", loss.query)
			}
			if string(e.Event) == "problem" {
				if !strings.Contains(string(e.Data), `"`+loss.code+`"`) {
					t.Errorf("%s: %s", loss.query, e.Data)
				}
				break
			}
			if last := st.id(e); last > lost {
				t.Errorf("%s: an item of %d, the right was lost at %d", loss.query, last, lost)
			}
		}
		if e := st.any(); e != nil {
			t.Errorf("%s: %s after the problem", loss.query, e.Event)
		}
		close(stop)
		<-stopped
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.say(meeting, "Hello")
	streams := ada.followAll(meeting, parts...)
	s.Clock.Advance(11 * time.Hour)
	again := s.signIn("ada")
	at := again.say(meeting, "In time")
	if _, last := streams["/messages"].items(); last != at {
		t.Errorf("the last id is %d, want %d", last, at)
	}
	streams["/events"].items()
	fresh := again.followAll(meeting, "/messages")["/messages"]
	s.Clock.Advance(time.Hour + time.Second)
	at = again.say(meeting, "Too late")
	for path, st := range streams {
		if e := st.endsWith("unauthenticated"); len(e.Retry) != 0 {
			t.Errorf("%s: %+v", path, e)
		}
	}
	if items, last := fresh.items(); last != at || len(items) != 1 {
		t.Errorf("the stream of the new token: %v", items)
	}
}

func TestDrainingServerEndsStreamsAndSaysWhenToComeAgain(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.say(meeting, "Hello")
	streams := ada.followAll(meeting, parts...)
	s.API.Drain()
	retries := map[string]bool{}
	check := func(st *stream) {
		t.Helper()
		e := st.endsWith("shutting_down")
		if ms, err := strconv.Atoi(string(e.Retry)); err != nil || ms < 1000 || ms > 10_000 {
			t.Errorf("retry %q", e.Retry)
		}
		retries[string(e.Retry)] = true
	}
	for _, st := range streams {
		check(st)
	}
	// Who connects meanwhile is told the same, with 200, so that an EventSource
	// comes again.
	for _, path := range parts {
		check(ada.follow(meeting + path))
	}
	if len(retries) < 4 {
		t.Errorf("all would come at once: %v", retries)
	}
	// What is wrong for good has its status all the same.
	if a := s.nobody().do("GET", meeting, nil, "Accept", "text/event-stream"); a.Status != 401 {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
}

// TestStreamOutlivesWhatItMayLose follows a meeting through its life: what a
// member may always see goes on to the end.
func TestStreamOutlivesWhatItMayLose(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	st := grace.follow(meeting + "?heartbeat=1")
	st.ready()
	state := func(want string) {
		t.Helper()
		var m struct{ State string }
		if st.snapshot(&m); m.State != want {
			t.Fatalf("%s, want %s", m.State, want)
		}
	}
	state("scheduled")
	chat := grace.follow(meeting + "/messages?heartbeat=1")
	chat.ready()
	ada.must("POST", meeting+"/start", nil)
	state("active")
	chat.endsWith("forbidden") // while it is active, one must have joined
	grace.must("POST", meeting+"/join", nil)
	state("active")
	ada.must("POST", meeting+"/end", nil)
	state("concluded")
	st.quietUntil(s.DB.Committed())
}
