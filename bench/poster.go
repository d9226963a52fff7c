package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxFailures = 100 // after so many failed requests a run ends early
	pageLimit   = 200 // the most a feed gives at once
)

// message is what the bench reads of a message.
type message struct {
	ID       string
	Position int64
	Content  string
	Text     string // of a chunk of a transcript, instead of a content

	// Of an event in the log of a meeting there are these instead of a content.
	Type      string
	SubjectID string // the id of the message, where the event tells of one
	System    bool   // the server said it: a meeting has started, say
}

const messagePosted = "messages.posted" // the type of the events that a post appends

// page is a page of a feed.
type page struct {
	Items []message
	Last  int64
	More  bool
}

// failures counts requests that failed and keeps the first.
type failures struct {
	mu    sync.Mutex // guards the rest
	count int
	first error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; f.first == nil {
		f.first = err
	}
}

func (f *failures) tooMany() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count >= maxFailures
}

// faults describes the failures in one line, or in none.
func (f *failures) faults(what string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d %s failed, the first: %v", f.count, what, f.first)}
}

// entry is what is known of one message. It is written by the goroutine that posts it.
type entry struct {
	begun, acknowledged bool
	repeated            bool // sent again after it got no answer
	sent, answered      time.Duration
	item                item // as acknowledged
}

// poster posts numbered messages, or chunks in groups, one group after the other into each room in turn, and remembers
// what was acknowledged.
type poster struct {
	mark
	rooms    []room
	group    int            // how many go into a room at once
	part     string         // of a room's path, where they are
	keyed    bool           // with an Idempotency-Key each
	awaited  bool           // each waits for the replica
	entries  []entry        // by number
	newest   []atomic.Int64 // by room: the highest position acknowledged
	size     int            // of each content, in characters, when more than it takes
	stored   map[string]int // the numbers of the messages that verify has found, by id
	failures failures
}

func newPoster(rooms []room, total int, keyed bool) *poster {
	return &poster{mark: newMark(), rooms: rooms, keyed: keyed, group: 1, part: "/messages",
		entries: make([]entry, total), newest: make([]atomic.Int64, len(rooms)), stored: map[string]int{}}
}

// post posts message n as a member of its room.
func (p *poster) post(ctx context.Context, l *line, member, n int) {
	at := n % len(p.rooms)
	r := p.rooms[at]
	e := &p.entries[n]
	if !e.begun { // else it is sent again, with the same bytes
		e.begun, e.sent = true, p.now()
	}
	req := request{method: "POST", path: r.messages(), token: r.members[member%len(r.members)].token}
	if p.keyed {
		req.key = "bench-" + p.run + "-" + strconv.Itoa(n)
	}
	req.replicated = p.awaited
	l.body = p.body(l.body[:0], n, e.sent, p.size)
	req.body = l.body
	got, err := l.do(ctx, req)
	e.answered = p.now()
	if err == nil {
		e.item, err = p.acknowledgement(got, n)
	}
	if err != nil {
		p.failures.add(err)
		return
	}
	e.acknowledged = true
	raise(&p.newest[at], e.item.position)
}

// acknowledgement reads the answer to message n.
func (p *poster) acknowledgement(got reply, n int) (item, error) {
	if got.status != 200 && got.status != 201 {
		return item{}, refusal(got.status, got.body)
	}
	if p.awaited && !got.replicated {
		return item{}, errors.New("the answer to a post does not say that the replica has it")
	}
	var m message
	if err := json.Unmarshal(got.body, &m); err != nil {
		return item{}, fmt.Errorf("answer to a post: %w", err)
	}
	it := p.itemOf(m)
	if it.n != n || it.id == "" || it.position <= 0 {
		return item{}, fmt.Errorf("the answer to message %d is another message: %.200q", n, got.body)
	}
	return it, nil
}

// itemOf returns a message or an event as the checks compare it. The number of a message that an event tells of is
// not known before resolve.
func (p *poster) itemOf(m message) item {
	switch {
	case m.System:
		return item{n: aside, position: m.Position}
	case m.Type == "":
		n, _ := p.parse(m.Content + m.Text)
		return item{n: n, position: m.Position, id: m.ID}
	case m.Type == messagePosted:
		return item{n: stranger, position: m.Position, id: m.SubjectID}
	default:
		return item{n: aside, position: m.Position}
	}
}

// resolve gives the events of each track the numbers of the messages that they tell of, as far as these were
// acknowledged or found by verify.
func (p *poster) resolve(tracks []*track) {
	var numbers map[string]int
	for _, t := range tracks {
		if !t.ofEvents() {
			continue
		}
		if numbers == nil {
			numbers = p.numbers()
		}
		for i := range t.got {
			if it := &t.got[i].item; it.n == stranger {
				if n, ok := numbers[it.id]; ok {
					it.n = n
				}
			}
		}
	}
}

// numbers returns the numbers of all messages whose ids are known.
func (p *poster) numbers() map[string]int {
	all := maps.Clone(p.stored)
	for n := range p.entries {
		if e := &p.entries[n]; e.acknowledged {
			all[e.item.id] = n
		}
	}
	return all
}

// counts returns how many messages were acknowledged, by room.
func (p *poster) counts() []int64 {
	all := make([]int64, len(p.rooms))
	for n := range p.entries {
		if p.entries[n].acknowledged {
			all[n/p.group%len(all)]++
		}
	}
	return all
}

// raise sets v to at least to.
func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if to <= old || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// flood posts the messages from, …, to-1, each line one at a time and as fast as it is answered.
func (p *poster) flood(ctx context.Context, lines []*line, from, to int) {
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for i, l := range lines {
		wg.Go(func() {
			for ctx.Err() == nil && !p.failures.tooMany() {
				n := int(next.Add(1) - 1)
				if n >= to {
					return
				}
				p.post(ctx, l, i, n)
			}
		})
	}
	wg.Wait()
}

// latencies returns the time from sending to answer of the acknowledged messages from, …, to-1.
func (p *poster) latencies(from, to int) []time.Duration {
	var all []time.Duration
	for _, e := range p.entries[from:to] {
		if e.acknowledged {
			all = append(all, e.answered-e.sent)
		}
	}
	return all
}

// outcome lists what room at must hold, by position, and what it may hold.
func (p *poster) outcome(at int) (want []item, doubtful []int) {
	for first := at * p.group; first < len(p.entries); first += len(p.rooms) * p.group {
		for n := first; n < min(first+p.group, len(p.entries)); n++ {
			switch e := p.entries[n]; {
			case e.acknowledged:
				want = append(want, e.item)
			case e.begun:
				doubtful = append(doubtful, n)
			}
		}
	}
	slices.SortFunc(want, func(a, b item) int { return cmp.Compare(a.position, b.position) })
	return want, doubtful
}

// verify reads every room from the beginning and returns what is wrong, requests that failed included.
func (p *poster) verify(ctx context.Context, l *line) ([]string, error) {
	faults := p.failures.faults("posts")
	for at, r := range p.rooms {
		got, err := p.list(ctx, l, r)
		if err != nil {
			return faults, err
		}
		want, doubtful := p.outcome(at)
		faults = append(faults, faultsOf(r.path+p.part, compare(len(p.entries), want, doubtful, got))...)
	}
	return faults, nil
}

// list pages through what a room holds, by position.
func (p *poster) list(ctx context.Context, l *line, r room) ([]item, error) {
	var items []item
	for after := int64(0); ; {
		var got page
		path := fmt.Sprintf("%s?after=%d&limit=%d", r.path+p.part, after, pageLimit)
		if err := l.call(ctx, request{method: "GET", path: path, token: r.members[0].token}, nil, &got); err != nil {
			return nil, err
		}
		for _, m := range got.Items {
			it := p.itemOf(m)
			items = append(items, it)
			if it.n >= 0 {
				p.stored[it.id] = it.n
			}
		}
		if !got.More {
			return items, nil
		}
		if got.Last <= after {
			return nil, fmt.Errorf("GET %s: more follows, but last is %d", path, got.Last)
		}
		after = got.Last
	}
}
