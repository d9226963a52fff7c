package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	seeded    = 60 // messages in each meeting before the reads begin: more than a page
	readPage  = 50
	seedLanes = 50
	looked    = 16 // every so many pages one is read and checked; to read each would cost more than to serve it
)

// reads gets meetings and pages of their messages while posts go on.
type reads struct {
	Callers  int           `short:"c" default:"100" help:"Callers, each with one GET at a time."`
	Rate     float64       `short:"r" default:"0" help:"GETs a second of all callers together; 0 is as fast as they are answered."`
	Writes   float64       `short:"w" default:"50" help:"Posts a second meanwhile."`
	Duration time.Duration `short:"d" default:"10s" help:"How long to read."`
	Users    int           `default:"50" help:"Users who read and post."`
	Meetings int           `default:"10" help:"Meetings they are in."`
}

// Validate is called by kong.
func (c reads) Validate() error {
	return bounds(
		bound{"callers", float64(c.Callers), 1, maxCallers},
		bound{"rate", c.Rate, 0, 100_000},
		bound{"writes", c.Writes, 0.1, 10_000},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"users", float64(c.Users), 1, maxMembers},
		bound{"meetings", float64(c.Meetings), 1, maxRooms},
	)
}

func (c reads) name() string { return "reads" }

func (c reads) writes() int {
	return max(int(c.Writes*c.Duration.Seconds()), 1)
}

// readers is what the callers share; each writes its own place in the two lists of samples.
type readers struct {
	p              *poster
	lines          []*line
	meetings, news []samples
	failed         failures
}

func (c reads) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d callers, %v GETs a second (0: as fast as answered), %v posts a second, for %v",
		c.Callers, c.Rate, c.Writes, c.Duration)}
	rooms, err := t.stage(ctx, c.Users, c.Meetings)
	if err != nil {
		return res, err
	}
	first := seeded * len(rooms)
	p := newPoster(rooms, first+c.writes(), false)
	posters, err := t.lines(ctx, seedLanes)
	if err != nil {
		return res, err
	}
	defer closeAll(posters)
	p.flood(ctx, posters, 0, first)
	lines, err := t.lines(ctx, c.Callers)
	if err != nil {
		return res, err
	}
	defer closeAll(lines)
	r := newReaders(p, lines)
	m, err := t.meter()
	if err != nil {
		return res, err
	}
	r.run(ctx, c, posters, first)
	s, err := m.read()
	if err != nil || ctx.Err() != nil {
		return res, cause(ctx, err)
	}
	r.figures(&res, s, summarize(p.latencies(first, len(p.entries))))
	return verified(ctx, t, p, res)
}

func newReaders(p *poster, lines []*line) *readers {
	r := &readers{p: p, lines: lines, meetings: make([]samples, len(lines)), news: make([]samples, len(lines))}
	for i := range lines {
		r.meetings[i].limit, r.news[i].limit = maxSamples/2/len(lines), maxSamples/2/len(lines)
	}
	return r
}

// run reads and posts for the duration; the posts are numbered from first on.
func (r *readers) run(ctx context.Context, c reads, posters []*line, first int) {
	var wg sync.WaitGroup
	wg.Go(func() {
		pace(ctx, c.writes(), c.Writes, len(posters), func(lane, n int) {
			r.p.post(ctx, posters[lane], first+n, first+n)
		})
	})
	if c.Rate > 0 {
		total := max(int(c.Rate*c.Duration.Seconds()), 1)
		pace(ctx, total, c.Rate, len(r.lines), func(lane, n int) { r.get(ctx, lane, n) })
	} else {
		r.flood(ctx, c.Duration)
	}
	wg.Wait()
}

// flood lets every caller get one thing after the other for d.
func (r *readers) flood(ctx context.Context, d time.Duration) {
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for caller := range r.lines {
		wg.Go(func() {
			for n := caller; time.Now().Before(until) && ctx.Err() == nil && !r.failed.tooMany(); n++ {
				r.get(ctx, caller, n)
			}
		})
	}
	wg.Wait()
}

// get reads a meeting when n is even, and the newest page of its messages when it is odd.
func (r *readers) get(ctx context.Context, caller, n int) {
	at := n / 2 % len(r.p.rooms)
	place := r.p.rooms[at]
	req := request{method: "GET", path: place.path, token: place.members[(caller+n)%len(place.members)].token}
	into := &r.meetings[caller]
	if n%2 == 1 {
		req.path = fmt.Sprintf("%s?limit=%d", place.messages(), readPage)
		into = &r.news[caller]
	}
	newest := r.p.newest[at].Load()
	began := time.Now()
	got, err := r.lines[caller].do(ctx, req)
	took := time.Since(began)
	if err == nil && got.status != 200 {
		err = refusal(got.status, got.body)
	}
	if err == nil && n%2 == 1 && into.seen%looked == 0 {
		err = checkPage(got.body, newest)
	}
	if err != nil {
		r.failed.add(fmt.Errorf("%s: %w", req.path, err))
		return
	}
	into.add(took)
}

// checkPage checks that a newest page is full, ascending and new.
func checkPage(body []byte, newest int64) error {
	var got page
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	if len(got.Items) != readPage {
		return fmt.Errorf("a page of %d messages", len(got.Items))
	}
	return checkNewest(body, newest)
}

func (r *readers) figures(res *result, s spent, posts summary) {
	meetings, pages := merge(r.meetings), merge(r.news)
	res.add("GETs", float64(meetings.count+pages.count)/s.elapsed.Seconds(), "/s", goal{})
	res.latency("meeting", meetings, goals{})
	res.latency("page of 50", pages, goals{})
	res.add("posts meanwhile", float64(posts.count)/s.elapsed.Seconds(), "/s", goal{})
	res.add("post answer p95", ms(posts.p95), "ms", goal{})
	res.cpu(s, int(meetings.count+pages.count), "GET")
	res.Faults = append(res.Faults, r.failed.faults("GETs")...)
}
