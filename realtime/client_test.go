package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"
)

// client is an application that follows paths of a world on one connection at a
// time, and comes again after a break with what it has reached.
type client struct {
	world *world
	paths []Path           // of the URL
	later []Path           // asked for on every connection once it is open
	feeds map[string]*feed // by path
	query map[string]int   // by path

	stream *stream
	id     string              // the last it has seen
	told   map[string]*history // what it has been told of its feeds
	shown  map[string]string   // and of its queries
}

// history is what a client has been told of a feed.
type history struct {
	begins  bool  // the newest page has come, or none is wanted
	from    int64 // what follows is everything beyond it
	got     []int64
	lasting bool
}

// roundRead is a round as clients read it.
type roundRead struct {
	Commit  int64
	Results []struct {
		Q, Event string
		Body     json.RawMessage
	}
}

// last is the position that was told last.
func (h *history) last() int64 {
	if len(h.got) == 0 {
		return h.from
	}
	return h.got[len(h.got)-1]
}

// positions are those of the items of a body. Parsing all of it takes longer than
// everything else.
func positions(t *rapid.T, body []byte) (all []int64) {
	for _, rest := range bytes.Split(body, []byte(`"p":`))[1:] {
		digits, _, _ := bytes.Cut(rest, []byte(","))
		n, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// connect begins a connection: anew, or from what was reached.
func (c *client) connect() {
	e := c.world.engine
	c.stream = &stream{engine: e, multiplexed: true, settled: true, bell: newBell(), names: map[string]struct{}{}}
	c.stream.open(c.paths)
	if position, known := ParsePosition(c.id); known {
		for _, sub := range c.stream.subs {
			sub.resume(position, true, true)
		}
	} else {
		c.told = map[string]*history{}
	}
	for _, p := range c.later {
		delete(c.told, p.Name)
		c.stream.subs = append(c.stream.subs, e.subscribe(p, c.stream.bell, false))
	}
	for _, sub := range c.stream.subs {
		if _, told := c.told[sub.path.Name]; sub.path.Feed != nil && !told {
			c.told[sub.path.Name] = &history{begins: sub.paged, from: sub.cursor, lasting: sub.lasting}
		}
	}
	c.shown = map[string]string{}
}

// turn sends what is new and reports whether there was anything; what is lost
// does not reach the client.
func (c *client) turn(t *rapid.T, lost bool) bool {
	if c.stream.dirtiness(time.Now()) == clean {
		return false
	}
	found := c.look()
	for _, e := range c.stream.round(found, nil) {
		if !lost {
			c.receive(t, e)
		}
	}
	return true
}

// look is stream.look on a world: what others have read, else a run of its own.
func (c *client) look() turn {
	if t, ok := c.stream.takeAll(); ok {
		return t
	}
	w := c.world
	w.compareAll()
	t := turn{commit: w.now().commit, ran: true}
	t.updates = c.stream.askDirty(context.Background(), t.commit)
	for _, u := range t.updates {
		if !u.ran {
			continue
		}
		if f, found := c.feeds[u.sub.path.Name]; found {
			u.deps = w.deps(f.row)
		} else {
			u.deps = w.deps(firstQuery + uint64(c.query[u.sub.path.Name]))
		}
		u.sub.learn(w.engine.hub, u)
	}
	return t
}

// receive is what an application does with a round, and what it may rely on.
func (c *client) receive(t *rapid.T, e event) {
	var body roundRead
	if err := json.Unmarshal(e.data, &body); err != nil {
		t.Fatal(err)
	}
	for _, r := range body.Results {
		if r.Event == "snapshot" {
			c.shown[r.Q] = string(r.Body)
			if want := c.world.at(body.Commit).answers[c.query[r.Q]]; string(r.Body) != want {
				t.Fatalf("%s shows %d bytes at %d, it has %d", r.Q, len(r.Body), body.Commit, len(want))
			}
			continue
		}
		h := c.told[r.Q]
		if !h.begins {
			h.begins, h.from = true, body.Commit
			continue
		}
		for _, position := range positions(t, r.Body) {
			if position <= h.last() {
				t.Fatalf("%s tells %d after %d", r.Q, position, h.last())
			}
			h.got = append(h.got, position)
		}
	}
	if e.id != "" {
		c.id = e.id
		c.checkID(t, body.Commit)
	}
	checkSize(t, c, body)
}

// checkID looks whether of each feed of the URL everything up to the number was
// told, and nothing beyond it.
func (c *client) checkID(t *rapid.T, commit int64) {
	id, err := strconv.ParseInt(c.id, 10, 64)
	if err != nil || id > commit {
		t.Fatalf("the id of a round at %d is %q", commit, c.id)
	}
	for name, h := range c.told {
		if !h.lasting {
			continue
		}
		if !h.begins || h.last() > id {
			t.Fatalf("a round of %d, and %s has begun: %v, with %v", id, name, h.begins, h.got)
		}
		c.checkWhole(t, name, commit, id)
	}
}

// checkWhole looks whether of a feed everything up to the position was told.
func (c *client) checkWhole(t *rapid.T, name string, commit, upTo int64) {
	h := c.told[name]
	for _, item := range c.feeds[name].beyond(commit, h.from) {
		if _, got := slices.BinarySearch(h.got, item.Position); item.Position <= upTo && !got {
			t.Fatalf("%s lacks %d of what is up to %d at %d", name, item.Position, upTo, commit)
		}
	}
}

// checkSize holds a round to its bound: but for the greatest answer, and an item
// of each feed.
func checkSize(t *rapid.T, c *client, body roundRead) {
	size, answer, items := 0, 0, 0
	for _, r := range body.Results {
		size += len(r.Body)
		if h := c.told[r.Q]; h == nil || len(h.got) == 0 { // an answer, or a newest page
			answer = max(answer, len(r.Body))
		}
		if c.told[r.Q] != nil {
			items += maxItem + 1000 // an item, and what is not data
		}
	}
	if size-answer > maxTurnBytes+items {
		t.Fatalf("a round of %d bytes, %d of them in one answer, and %d paths", size, answer, len(body.Results))
	}
}

const (
	maxItem    = 100_000
	newestPage = 5
)

// newClient draws what a client follows.
func newClient(t *rapid.T, w *world) *client {
	c := &client{world: w, feeds: map[string]*feed{}, query: map[string]int{}}
	draw := func(kind string, n int) (paths []Path) {
		for i := range n {
			p := Path{Name: fmt.Sprint(kind, i)}
			which := rapid.IntRange(0, 2).Draw(t, "which")
			if rapid.Bool().Draw(t, "query") {
				c.query[p.Name], p.Topic = which, fmt.Sprint("query", which)
				p.Query = func(context.Context) (Answer, error) { return Answer{Body: []byte(w.now().answers[which])}, nil }
			} else {
				c.feeds[p.Name], p.Topic = w.feeds[which], fmt.Sprint("feed", which)
				p.Feed = &Feed{Read: w.feeds[which].read, Limit: newestPage}
				if rapid.Bool().Draw(t, "after") {
					p.Feed.After = new(int64)
				}
			}
			paths = append(paths, p)
		}
		return paths
	}
	c.paths = draw("of the URL ", rapid.IntRange(1, 6).Draw(t, "paths"))
	c.later = draw("later ", rapid.IntRange(0, 2).Draw(t, "later"))
	c.connect()
	return c
}
