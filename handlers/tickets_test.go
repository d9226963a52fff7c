package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ticket returns a ticket for the path.
func (p *person) ticket(path string) string {
	p.s.t.Helper()
	var grant struct {
		Ticket    string
		ExpiresIn int64
	}
	a := p.must("POST", "/v1/stream-tickets", map[string]any{"path": path})
	if a.into(p.s.t, &grant); a.Status != http.StatusCreated || len(grant.Ticket) < 20 || grant.ExpiresIn != 30 || a.Header.Get("Cache-Control") != "no-store" {
		p.s.t.Fatalf("%s: %d %v %s", path, a.Status, a.Header, a.Body)
	}
	return grant.Ticket
}

// with adds a parameter to the path.
func with(path, name, value string) string {
	if strings.Contains(path, "?") {
		return path + "&" + name + "=" + value
	}
	return path + "?" + name + "=" + value
}

// refuses asks for a stream without a token, which is answered with the status.
func (s *server) refuses(name, path string, status int, code string) {
	s.t.Helper()
	a := s.nobody().do("GET", path, nil, "Accept", "text/event-stream")
	if a.Status != status || a.code() != code {
		s.t.Errorf("%s: %d %q, want %d %s", name, a.Status, a.Body, status, code)
	}
}

func TestTicketOpensOneStream(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, names := pair(ada, grace)
	var tickets []string
	open := func(path, more string) *stream {
		t.Helper()
		ticket := grace.ticket(path)
		tickets = append(tickets, ticket)
		st := s.nobody().follow(with(path, "ticket", ticket) + more)
		st.ready()
		s.refuses("again", with(path, "ticket", ticket)+more, http.StatusNoContent, "")
		return st
	}
	var me struct{ ID string }
	if open("/v1/me", "&heartbeat=1").snapshot(&me); me.ID != string(grace.ID) {
		t.Errorf("%+v", me)
	}
	hello := s.number(`SELECT max(position) FROM messages`)
	last := ada.say(one, "Second")
	if items, at := open(one+"/messages?limit=1", "").items(); len(items) != 1 || at != last {
		t.Errorf("%+v up to %d", items, at)
	}
	again := open(one+"/messages", fmt.Sprintf("&lastEventId=%d&heartbeat=30", hello))
	if items, at := again.items(); fmt.Sprint(contents(items)) != "[Second]" || at != last {
		t.Errorf("%+v up to %d", items, at)
	}
	st := open(live(one, two+"/messages"), "")
	st.tells(names, 0, "one snapshot, two/messages items []")
	st.tells(names, ada.say(two, "Told")-1, "two/messages items [Told]")
	for _, ticket := range append(tickets, grace.Token) {
		if strings.Contains(s.Log.String(), ticket) {
			t.Errorf("the log holds %s", ticket)
		}
	}
}

func TestTicketThatOpensNothing(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ticket := ada.ticket(meeting)
	for name, path := range map[string]string{
		"another path":         meeting + "/messages?ticket=" + ticket,
		"another parameter":    meeting + "?state=active&ticket=" + ticket,
		"many paths":           live(meeting) + "&ticket=" + ticket,
		"another meeting":      meeting + "x?ticket=" + ticket,
		"in a path of many":    live(meeting+"?ticket="+ticket) + "&ticket=" + ticket,
		"with a position more": meeting + "?after=1&ticket=" + ticket,
	} {
		s.refuses(name, path, 403, "forbidden")
	}
	plain := s.nobody().do("GET", meeting+"?ticket="+ticket, nil)
	head := s.nobody().do("HEAD", meeting+"?ticket="+ticket, nil, "Accept", "text/event-stream")
	write := s.nobody().do("POST", meeting+"/start?ticket="+ticket, nil, "Accept", "text/event-stream")
	if plain.Status != 401 || head.Status != 401 || write.Status != 401 {
		t.Errorf("no stream: %d %d %d", plain.Status, head.Status, write.Status)
	}
	s.refuses("garbage", meeting+"?ticket=garbage", 401, "unauthenticated")
	s.refuses("empty", meeting+"?ticket=", 401, "unauthenticated")
	s.refuses("two", meeting+"?ticket=garbage&ticket="+ticket, 401, "unauthenticated")
	s.refuses("never given", meeting+"?ticket="+strings.Repeat("A", len(ticket)), 204, "")
	// For its own path it is good all the while.
	s.nobody().follow(meeting + "?ticket=" + ticket).ready()

	late := ada.ticket(meeting)
	s.Clock.Advance(30 * time.Second)
	s.refuses("expired", meeting+"?ticket="+late, 204, "")
	s.awaitStreams(1)
}

func TestTicketsAreForWhatCanBeFollowed(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for path, want := range badPaths {
		if strings.HasSuffix(path, "xx") && strings.Contains(path, "lastEventId") {
			want = "query.lastEventId" // only among others the length counts
		}
		a := ada.do("POST", "/v1/stream-tickets", map[string]any{"path": path})
		var p struct {
			Errors []struct{ Location, Message string }
		}
		a.into(t, &p)
		if path == "" {
			want = "" // what is shorter than any path is said in other words
		}
		if a.Status != 422 || a.code() != "validation_failed" || len(p.Errors) != 1 || p.Errors[0].Location != "body.path" || !strings.Contains(p.Errors[0].Message, want) {
			t.Errorf("%.60q: %d %s, want %s", path, a.Status, a.Body, want)
		}
	}
	for _, path := range []string{live("/v1/nothing"), live("/v1/live"), live("/v1/me") + "&colour=red"} {
		if a := ada.do("POST", "/v1/stream-tickets", map[string]any{"path": path}); a.Status != 422 || !strings.Contains(string(a.Body), "body.path") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.nobody().do("POST", "/v1/stream-tickets", `{"path":"/v1/me"}`); a.Status != 401 {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	// Rights are asked for when the stream begins.
	none := ada.ticket("/v1/meetings/mtg_loc_none")
	s.refuses("no meeting", "/v1/meetings/mtg_loc_none?ticket="+none, 404, "not_found")
}

// TestTicketOfSomebodyWhoIsGone takes away, after the ticket was given, what it
// was given for.
func TestTicketOfSomebodyWhoIsGone(t *testing.T) {
	s := newServer(t)
	gone, out, late := s.signIn("gone"), s.signIn("out"), s.signIn("late")
	ticket := gone.ticket("/v1/me")
	gone.deactivate()
	s.refuses("deactivated", "/v1/me?ticket="+ticket, 403, "forbidden")
	ticket = out.ticket("/v1/me")
	out.must("POST", logoutPath, nil)
	s.refuses("signed out", "/v1/me?ticket="+ticket, 401, "unauthenticated")
	s.Clock.Advance(12*time.Hour - 10*time.Second)
	ticket = late.ticket("/v1/me")
	s.Clock.Advance(20 * time.Second)
	s.refuses("the token has expired", "/v1/me?ticket="+ticket, 401, "unauthenticated")
	s.awaitStreams(0)
}

func TestTicketsOfAUserAreBounded(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	first := ada.ticket("/v1/me")
	for range 99 {
		ada.ticket("/v1/me")
	}
	full := func() {
		t.Helper()
		a := ada.do("POST", "/v1/stream-tickets", `{"path":"/v1/me"}`)
		if a.Status != 429 || a.code() != "rate_limited" || a.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
		}
	}
	full()
	grace.ticket("/v1/me")
	s.nobody().follow("/v1/me?ticket=" + first).ready()
	ada.ticket("/v1/me") // in place of the one that was used
	full()
	s.Clock.Advance(30 * time.Second)
	ada.ticket("/v1/me")
}

// TestSeveralTakeOneTicket lets one of them have it.
func TestSeveralTakeOneTicket(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	path := "/v1/me?ticket=" + ada.ticket("/v1/me")
	const several = 8
	statuses := make(chan int, several)
	for range several {
		r := s.nobody().request(t.Context(), "GET", path, nil, "Accept", "text/event-stream")
		go func() {
			answer, err := s.transport.RoundTrip(r)
			if err != nil {
				statuses <- 0
				return
			}
			_ = answer.Body.Close()
			statuses <- answer.StatusCode
		}()
	}
	got := map[int]int{}
	for range several {
		got[<-statuses]++
	}
	if got[200] != 1 || got[204] != several-1 {
		t.Errorf("%v", got)
	}
	s.awaitStreams(0)
}
