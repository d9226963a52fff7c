package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/db"
)

// TestStreamOnTheWire looks at the bytes, which a client library interprets.
func TestStreamOnTheWire(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := s.transport.RoundTrip(ada.request(ctx, "GET", "/v1/me?heartbeat=1", nil, "Accept", "text/event-stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Etag": "", "X-Content-Type-Options": "nosniff"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	lines := bufio.NewScanner(r.Body)
	event := func() (names []string, values map[string]string) {
		values = map[string]string{}
		for lines.Scan() && lines.Text() != "" {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			names, values[name] = append(names, name), value
		}
		return names, values
	}
	plain := ada.must("GET", "/v1/me", nil)
	var at int64 // what the snapshot was read at; the record of who opens streams is written meanwhile
	for _, want := range []struct{ event, fields string }{
		{"ready", "event data"}, {"snapshot", "event id data"}, {"heartbeat", "event data"}, {"heartbeat", "event data"},
	} {
		names, values := event()
		if values["event"] != want.event || strings.Join(names, " ") != want.fields {
			t.Fatalf("%v %v, want %s", names, values, want.event)
		}
		switch want.event {
		case "snapshot":
			at, err = strconv.ParseInt(values["id"], 10, 64)
			if err != nil || at > s.DB.Committed() || values["data"] != string(plain.Body) {
				t.Errorf("%v, and the plain answer %s", values, plain.Body)
			}
		case "heartbeat":
			var beat struct {
				At     time.Time
				Commit int64
			}
			if err := json.Unmarshal([]byte(values["data"]), &beat); err != nil || beat.Commit < at || beat.Commit > s.DB.Committed() || beat.At.IsZero() {
				t.Errorf("%v, error %v", values, err)
			}
		}
	}
}

func TestHeartbeatPassesTheNumberOfAWrite(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	st := ada.follow("/v1/me?heartbeat=1")
	st.ready()
	st.snapshot(new(any))
	runs := s.API.Engine().Stats().Runs
	for range 5 {
		grace.plan("Elsewhere")
		st.quietUntil(s.DB.Committed())
	}
	if got := s.API.Engine().Stats().Runs; got != runs {
		t.Errorf("what happened elsewhere made %d runs", got-runs)
	}
}

func TestItemsArriveOnceAndInOrderUnderConcurrentPosting(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	begun := ada.say(meeting, "Before")
	const writers, each = 8, 25
	var watching sync.WaitGroup
	got := make([][]item, 6)
	last := make(chan int64)
	for i := range got {
		st := []*person{ada, grace}[i%2].follow(fmt.Sprintf("%s/messages?after=%d", meeting, begun))
		st.ready()
		watching.Go(func() {
			var all []item
			for {
				items, at := st.items()
				all = append(all, items...)
				if items[len(items)-1].Content == "last" {
					got[i] = all
					last <- at
					return
				}
			}
		})
	}
	var posting sync.WaitGroup
	for w := range writers {
		posting.Go(func() {
			for n := range each {
				ada.say(meeting, fmt.Sprintf("%d-%d", w, n))
			}
		})
	}
	posting.Wait()
	end := ada.say(meeting, "last")
	for range got {
		if at := <-last; at != end {
			t.Errorf("the last id is %d, want %d", at, end)
		}
	}
	watching.Wait()
	var page struct{ Items []item }
	ada.must("GET", fmt.Sprintf("%s/messages?limit=200&after=%d", meeting, begun), nil).into(t, &page)
	var rest struct{ Items []item }
	ada.must("GET", fmt.Sprintf("%s/messages?limit=200&after=%d", meeting, page.Items[len(page.Items)-1].Position), nil).into(t, &rest)
	want := fmt.Sprint(append(page.Items, rest.Items...))
	for i, items := range got {
		if len(items) != writers*each+1 || fmt.Sprint(items) != want {
			t.Errorf("watcher %d got %d items, want %d: %v", i, len(items), writers*each+1, items)
		}
	}
}

// TestChangesAreJoinedWhenTheyComeFast changes something as fast as it goes.
// What is sent is at most ten events a second, and the last one is the truth;
// also on a row that the caller's rights rest on.
func TestChangesAreJoinedWhenTheyComeFast(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	joinsChanges(t, grace, "card", ada.follow("/v1/users/"+string(grace.ID)+"?heartbeat=30"))
	joinsChanges(t, grace, "me", grace.follow("/v1/me?heartbeat=30"))
}

// joinsChanges gives who a hundred names and reads what st tells of them.
func joinsChanges(t *testing.T, who *person, name string, st *stream) {
	t.Helper()
	st.ready()
	defer st.close()
	var card struct{ DisplayName string }
	st.snapshot(&card)
	began := time.Now()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for i := range 100 {
			who.do("PATCH", "/v1/me", map[string]any{"displayName": fmt.Sprint(name, " ", i)})
		}
	}()
	snapshots, at := 0, int64(0)
	for last := false; !last; last = card.DisplayName == name+" 99" {
		id := st.snapshot(&card)
		if snapshots++; id <= at {
			t.Errorf("id %d after %d", id, at)
		}
		at = id
	}
	<-changed
	if most := int(time.Since(began)/(100*time.Millisecond)) + 2; snapshots > most {
		t.Errorf("%d snapshots in %v", snapshots, time.Since(began))
	}
}

func TestMoreThanAPageOfItemsComesInSeveralEvents(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	id := strings.TrimPrefix(meeting, "/v1/meetings/")
	const many = 450
	position := s.sayMany(ada, id, many) - many
	st := ada.follow(meeting + "/messages?after=0&heartbeat=30")
	st.ready()
	for _, size := range []int{200, 200, 50} {
		items, last := st.items()
		if len(items) != size || last != items[size-1].Position {
			t.Fatalf("%d items up to %d, want %d", len(items), last, size)
		}
		for _, item := range items {
			if position++; item.Position != position {
				t.Fatalf("position %d, want %d", item.Position, position)
			}
		}
	}
}

// sayMany posts messages beneath the API, in one transaction, and returns the
// position of the last.
func (s *server) sayMany(author *person, meeting string, many int) (last int64) {
	s.t.Helper()
	err := s.DB.Write(s.t.Context(), func(tx *db.WriteTx) error {
		for range many {
			last = tx.Next()
			_, err := tx.Exec(`INSERT INTO messages (seq, meeting_id, thread, position, user_id, created_at, attachments, content) VALUES (?1, ?2, ?1, ?1, ?3, 0, '', 'message')`, last, meeting, author.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return last
}

func TestWhatItemsHoldArrivesAsItIs(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	st := ada.follow(meeting + "/messages")
	st.ready()
	for _, content := range []string{"a\nb", "a\r\nb\rc", "x\n\nevent: problem\nid: 1\ndata: {}\n\n", "a\u2028b\u2029c", "<script>&amp;", "日本語 👋", `"\`, "\ufeffbom"} {
		ada.say(meeting, content)
		if items, _ := st.items(); len(items) != 1 || items[0].Content != content {
			t.Errorf("%q arrived as %+v", content, items)
		}
	}
}

func TestStreamsOfAUserAreBounded(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	const most = 100
	var first *stream
	for i := range most {
		st := ada.follow("/v1/me")
		if i == 0 {
			first = st
		}
		st.ready()
	}
	refused := ada.follow("/v1/me")
	if e := refused.endsWith("rate_limited"); len(e.Retry) == 0 {
		t.Errorf("no retry: %+v", e)
	}
	grace.follow("/v1/me").ready() // somebody else is not concerned
	ada.must("GET", "/v1/me", nil)
	first.close()
	s.awaitStreams(most)
	ada.follow("/v1/me").ready()
}

func TestClosedStreamIsForgotten(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for range 10 {
		st := ada.follow("/v1/me")
		st.ready()
		st.close()
	}
	s.awaitStreams(0)
}

// TestFailureEndsAStreamAndPasses takes away a table that a stream reads.
func TestFailureEndsAStreamAndPasses(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	st := ada.follow(meeting + "/messages?heartbeat=1")
	st.ready()
	ada.say(meeting, "Hello")
	st.items()
	s.exec(`ALTER TABLE messages RENAME TO elsewhere`)
	s.exec(`UPDATE participants SET status = 'joined' WHERE user_id = ?`, ada.ID) // what the stream depends on
	e := st.endsWith("internal")
	if len(e.Retry) == 0 || strings.Contains(string(e.Data), "messages") {
		t.Errorf("retry %q, %s", e.Retry, e.Data)
	}
	if log := s.Log.String(); !strings.Contains(log, "no such table") {
		t.Errorf("the log does not say why: %s", log)
	}
	if e := ada.follow(meeting + "/messages").endsWith("internal"); len(e.Retry) == 0 {
		t.Errorf("connecting again: %+v", e)
	}
	if a := ada.do("GET", meeting+"/messages", nil); a.Status != http.StatusInternalServerError {
		t.Errorf("plain: %d", a.Status)
	}
}

// TestStreamThatCannotBeginNowIsToldToComeAgain signs nobody in, because the
// database is closed: an EventSource that was answered 503 would never return.
func TestStreamThatCannotBeginNowIsToldToComeAgain(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	if err := s.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if e := ada.follow("/v1/me").endsWith("unavailable"); len(e.Retry) == 0 {
		t.Errorf("%+v", e)
	}
	if a := ada.do("GET", "/v1/me", nil); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("plain: %d %v", a.Status, a.Header)
	}
}

// TestPageOfThePastIsNotFollowed asks for a page that cannot change.
func TestPageOfThePastIsNotFollowed(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("T")
	a := ada.do("GET", meeting+"/messages?before=5", nil, "Accept", "text/event-stream")
	if a.Status != 422 || a.code() != "validation_failed" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
