package clients_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestRoundsOverBreaks follows five paths on one connection, over every kind of
// break.
func TestRoundsOverBreaks(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		one, two := ada.plan(), ada.plan()
		ada.say(one, "before")
		b := openBoard(open(t, n.URL, ada), one+"/messages?after=0", two+"/messages", one+"/events?after=0", one, "/v1/me")
		b.ready(false)
		b.shows(ada)
		ada.say(one, "on its way")
		b.hurry(s)
		ada.say(two, "away")
		b.back()
		b.shows(ada)
		for i, text := range []string{"\nid: ", `"results":[{`, "]}\n"} {
			n.cutAfter(text)
			ada.say(one, fmt.Sprint("cut ", i))
			ada.say(two, fmt.Sprint("away ", i))
			ada.rename(fmt.Sprint("Ada ", i))
			b.back()
			b.shows(ada)
		}

		// More than fits into one round: what follows the first is cut.
		n.down()
		n.cutAfter(inSecondEvent)
		ada.burst(one)
		ada.say(two, "after the burst")
		n.up()
		b.back()
		b.back()
		b.shows(ada)

		const each = 40
		answers := make(chan struct{}, 2*each)
		var all sync.WaitGroup
		for _, meeting := range []string{one, two} {
			all.Go(func() { postStubbornly(s, ada, meeting, meeting[len(meeting)-4:], each, answers) })
		}
		for range each {
			await(t, "an answer", answers)
		}
		s.kill()
		s.start()
		all.Wait()
		b.back()
		b.shows(ada)
	})
}

// TestFollowedPathsChange adds a path to an open connection and takes it away. A
// break ends what was added: the client adds it again, from where it was.
func TestFollowedPathsChange(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		meeting := ada.plan()
		feed := meeting + "/messages?after="
		ada.say(meeting, "one")
		c := open(t, n.URL, ada)
		b := openBoard(c, "/v1/me")
		first := b.ready(false)
		change := func(connection, what string, paths ...string) {
			t.Helper()
			if status, answer := c.send("PATCH", "/v1/live/"+connection, map[string]any{what: paths}); status != 204 {
				t.Fatalf("%d %s", status, answer)
			}
		}
		change(first, "subscribe", feed+"0", meeting)
		b.paths = append(b.paths, feed+"0", meeting)
		b.shows(ada)
		last := ada.say(meeting, "two")
		b.shows(ada)

		n.cut()
		ada.say(meeting, "three")
		second := b.ready(true)
		if status, _ := c.send("PATCH", "/v1/live/"+first, map[string]any{"subscribe": []string{meeting}}); status != 404 {
			t.Errorf("the connection that is gone: %d", status)
		}
		feed += fmt.Sprint(last)
		change(second, "subscribe", feed)
		b.paths = []string{"/v1/me", feed}
		b.shows(ada)
		change(second, "unsubscribe", feed)
		ada.say(meeting, "four")
		b.paths = []string{"/v1/me"}
		ada.rename("Ada")
		b.shows(ada)
		if got := b.items[feed]; len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
}

// TestTicketOpensAStreamOnce follows without being signed in.
func TestTicketOpensAStreamOnce(t *testing.T) {
	t.Parallel()
	everyEventSource(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		meeting := ada.plan()
		feed := meeting + "/messages?after=0"
		ada.say(meeting, "one")
		c := open(t, n.URL, nil)
		c.send("GET", "/healthz", nil) // once the browser has started, which may take longer than a ticket is good
		first := feed + "&ticket=" + ada.ticket(feed)
		st := c.follow(first)
		st.ready(false)
		st.says("one")
		c.follow(first).closes()
		last := ada.say(meeting, "two")
		st.says("two")
		n.cut()
		ada.say(meeting, "three")
		st.closes() // it has come again by itself, with the ticket that is spent
		if got := n.count(first); got != 3 {
			t.Errorf("the ticket was shown %d times", got)
		}
		again := c.follow(fmt.Sprintf("%s&lastEventId=%d&ticket=%s", feed, last, ada.ticket(feed)))
		again.ready(true)
		again.says("three")
		round := "/v1/live?q=" + url.QueryEscape(feed)
		b := board{stream: c.follow(round + "&ticket=" + ada.ticket(round)), paths: []string{feed}}
		b.ready(false)
		b.shows(ada)
		c.follow(feed + "&ticket=nonsense").closes()
		c.follow(feed).closes()
	})
}

// ticket returns a ticket for a stream of the path.
func (p *person) ticket(path string) string {
	p.s.t.Helper()
	var grant struct{ Ticket string }
	p.must("POST", "/v1/stream-tickets", map[string]string{"path": path}, &grant)
	return grant.Ticket
}

// board is what a client holds of the paths that it follows on one connection.
type board struct {
	*stream
	paths     []string
	snapshots map[string]string
	items     map[string][]string // by path, as they came
	last      map[string]int64    // position, by path
	commit    int64               // of the last round
}

func openBoard(c client, paths ...string) *board {
	query := make([]string, len(paths))
	for i, path := range paths {
		query[i] = "q=" + url.QueryEscape(path)
	}
	return &board{stream: c.follow("/v1/live?" + strings.Join(query, "&")), paths: paths}
}

// ready reads the first event of a connection and returns the connection's id.
func (b *board) ready(resumed bool) string {
	b.t.Helper()
	e := b.any()
	for ; e.Name != "ready"; e = b.any() {
		b.note(e)
	}
	var body struct {
		Resumed      bool
		ConnectionID string
	}
	if decode(b.t, []byte(e.Data), &body); body.Resumed != resumed {
		b.t.Fatalf("%s: %s", b.name, e.Data)
	}
	return body.ConnectionID
}

// back reads until the stream has resumed.
func (b *board) back() {
	b.t.Helper()
	b.ready(true)
}

// shows reads rounds until what the client holds is what a person sees by plain
// requests.
func (b *board) shows(p *person) {
	b.t.Helper()
	want := map[string]string{}
	for _, path := range b.paths {
		want[path] = p.see(path)
	}
	defer func() {
		if !b.t.Failed() {
			return
		}
		for path, text := range b.held() {
			b.t.Logf("%s: %s, want %s", path, brief(strings.Split(text, "\n")), brief(strings.Split(want[path], "\n")))
		}
	}()
	for !maps.Equal(want, b.held()) {
		b.note(b.any())
	}
}

func (b *board) held() map[string]string {
	all := map[string]string{}
	for _, path := range b.paths {
		if snapshot, found := b.snapshots[path]; found {
			all[path] = snapshot
		} else if items, found := b.items[path]; found {
			all[path] = strings.Join(items, "\n")
		}
	}
	return all
}

// note takes an event. Items must follow those before, on every path, over all
// connections.
func (b *board) note(e event) {
	b.t.Helper()
	if e.Name != "round" {
		b.take(e)
		return
	}
	var round struct {
		Commit  int64
		Results []struct {
			Q, Event string
			Body     json.RawMessage
		}
	}
	decode(b.t, []byte(e.Data), &round)
	if b.commit > round.Commit {
		b.t.Fatalf("%s: after the round of %d: %s", b.name, b.commit, e.Data)
	}
	if id, err := strconv.ParseInt(e.ID, 10, 64); e.ID != "" && (err != nil || id > round.Commit) {
		b.t.Fatalf("%s: id %q of %s", b.name, e.ID, e.Data)
	}
	if b.commit = round.Commit; b.items == nil {
		b.snapshots, b.items, b.last = map[string]string{}, map[string][]string{}, map[string]int64{}
	}
	for _, result := range round.Results {
		switch {
		case !slices.Contains(b.paths, result.Q):
			b.t.Fatalf("%s: nobody follows %s", b.name, result.Q)
		case result.Event == "snapshot":
			b.snapshots[result.Q] = string(result.Body)
		case result.Event == "items":
			b.add(result.Q, result.Body)
		default:
			b.t.Fatalf("%s: %s", b.name, e.Data)
		}
	}
}

func (b *board) add(path string, body json.RawMessage) {
	b.t.Helper()
	b.items[path] = append(b.items[path], itemsOf(b.t, body, func(position int64) {
		if position <= b.last[path] {
			b.t.Fatalf("%s: %s: %d after %d", b.name, path, position, b.last[path])
		}
		b.last[path] = position
	})...)
}

// see returns what a plain request for the path is answered: of a feed all items,
// a line each.
func (p *person) see(path string) string {
	p.s.t.Helper()
	name, query, _ := strings.Cut(path, "?")
	if !strings.HasSuffix(name, "s") {
		var body json.RawMessage
		p.must("GET", path, nil, &body)
		return string(body)
	}
	var all []string
	after := cmp.Or(strings.TrimPrefix(query, "after="), "0")
	for more := true; more; {
		var page struct {
			Last int64
			More bool
		}
		var body json.RawMessage
		p.must("GET", fmt.Sprintf("%s?limit=200&after=%s", name, after), nil, &body)
		decode(p.s.t, body, &page)
		all = append(all, itemsOf(p.s.t, body, func(int64) {})...)
		after, more = fmt.Sprint(page.Last), page.More
	}
	return strings.Join(all, "\n")
}

// itemsOf returns the items of a body, and calls position with that of each.
func itemsOf(t *testing.T, body []byte, position func(int64)) (all []string) {
	t.Helper()
	var list struct{ Items []json.RawMessage }
	decode(t, body, &list)
	for _, item := range list.Items {
		var place struct{ Position int64 }
		decode(t, item, &place)
		position(place.Position)
		all = append(all, string(item))
	}
	return all
}
