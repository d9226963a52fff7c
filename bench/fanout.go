package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	postLanes   = 16                     // posts that may wait for their answer at once
	settle      = 500 * time.Millisecond // for what the opening of streams leaves to do
	lateTime    = 10 * time.Second       // after the last post, for what is still to be delivered
	doubleTime  = 300 * time.Millisecond // after the last delivery, for what should not come
	pollingTime = 10 * time.Millisecond
)

// fanout posts into one meeting that many streams follow.
type fanout struct {
	Streams  int           `short:"s" default:"100" help:"Streams on the meeting's messages."`
	Rate     float64       `short:"r" default:"5" help:"Posts a second."`
	Duration time.Duration `short:"d" default:"10s" help:"How long to post."`
}

// Validate is called by kong.
func (c fanout) Validate() error {
	return bounds(
		bound{"streams", float64(c.Streams), 1, maxMembers * maxStreamsOfUser},
		bound{"rate", c.Rate, 0.1, 1000},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"streams times posts", float64(c.Streams) * float64(c.posts()), 1, maxSamples},
	)
}

func (c fanout) name() string { return "fanout" }

func (c fanout) posts() int {
	return max(int(c.Rate*c.Duration.Seconds()), 1)
}

// delivery is one message as it came on one stream.
type delivery struct {
	item     item
	sent, at time.Duration
}

// watcher reads one stream to its end. Its goroutine alone writes got, err and misnumbered.
type watcher struct {
	stream      *stream
	got         []delivery
	count       atomic.Int64 // of got, for others to read meanwhile
	misnumbered int          // events whose id is not the position of their last item
	ended       atomic.Bool  // nothing more will come
	err         error        // why it ended before it was told to
}

// run reads until the stream ends or ctx does.
func (w *watcher) run(ctx context.Context, p *poster) {
	defer w.ended.Store(true)
	for {
		e, err := w.stream.next()
		at := p.now()
		if err == nil && e.name == "items" {
			err = w.take(p, e, at)
		}
		if err != nil {
			if ctx.Err() == nil {
				w.err = err
			}
			return
		}
	}
}

// take records the items of an event.
func (w *watcher) take(p *poster, e event, at time.Duration) error {
	var got page
	if err := json.Unmarshal(e.data, &got); err != nil {
		return fmt.Errorf("items: %w", err)
	}
	for _, m := range got.Items {
		it, sent := p.itemOf(m)
		w.got = append(w.got, delivery{it, sent, at})
	}
	if n := len(got.Items); n > 0 && e.id != strconv.FormatInt(got.Items[n-1].Position, 10) {
		w.misnumbered++
	}
	w.count.Store(int64(len(w.got)))
	return nil
}

func (c fanout) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams on one meeting, %v posts a second for %v",
		c.Streams, c.Rate, c.Duration)}
	rooms, err := t.stage(ctx, min(c.Streams, maxMembers), 1)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, c.posts(), false)
	watchers, s, err := c.drive(ctx, t, p)
	if err != nil {
		return res, err
	}
	c.figures(&res, p, watchers, s)
	res.Faults = append(res.Faults, check(p, watchers)...)
	return verified(ctx, t, p, res)
}

// drive opens the streams, posts, waits for the deliveries and ends the streams.
func (c fanout) drive(ctx context.Context, t *target, p *poster) ([]*watcher, spent, error) {
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	streams, err := t.followAll(live, seats(p.rooms, c.Streams))
	if err != nil {
		return nil, spent{}, err
	}
	lines, err := t.lines(live, postLanes)
	if err != nil {
		return nil, spent{}, err
	}
	watchers := make([]*watcher, len(streams))
	var wg sync.WaitGroup
	for i, s := range streams {
		watchers[i] = &watcher{stream: s}
		wg.Go(func() { watchers[i].run(live, p) })
	}
	sleep(ctx, settle)
	m, err := t.meter()
	if err == nil {
		pace(ctx, c.posts(), c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], n, n) })
		awaitAll(ctx, p, watchers)
	}
	s, err2 := m.read()
	sleep(ctx, doubleTime)
	hangUp()
	wg.Wait()
	if err == nil {
		err = err2
	}
	return watchers, s, cause(ctx, err)
}

// awaitAll waits until each stream has brought as many messages as were acknowledged, or its time is over.
func awaitAll(ctx context.Context, p *poster, watchers []*watcher) {
	want, _ := p.outcome(0)
	until := time.Now().Add(lateTime)
	for _, w := range watchers {
		for w.count.Load() < int64(len(want)) && !w.ended.Load() && time.Now().Before(until) {
			if !sleep(ctx, pollingTime) {
				return
			}
		}
	}
}

func (c fanout) figures(res *result, p *poster, watchers []*watcher, s spent) {
	var sent, answered []time.Duration
	for _, w := range watchers {
		for _, d := range w.got {
			if d.item.n < 0 || d.item.n >= len(p.entries) {
				continue
			}
			sent = append(sent, d.at-d.sent)
			if e := p.entries[d.item.n]; e.acknowledged {
				answered = append(answered, d.at-e.answered)
			}
		}
	}
	posts := summarize(p.latencies(0, len(p.entries)))
	res.add("posts", float64(posts.count), "", goal{})
	res.add("post answer p95", ms(posts.p95), "ms", goal{})
	res.add("deliveries", float64(len(sent)), "", goal{})
	var wanted goal
	if c.Streams == 100 {
		wanted = below(20)
	}
	res.latency("sent → delivery", summarize(sent), wanted, goal{})
	res.latency("answer → delivery", summarize(answered), goal{}, goal{})
	res.cpu(s, len(sent), "delivery")
}

// check compares what each stream brought with what was acknowledged.
func check(p *poster, watchers []*watcher) []string {
	want, doubtful := p.outcome(0)
	var sum tally
	wrong, ended, misnumbered := 0, 0, 0
	var first error
	for _, w := range watchers {
		items := make([]item, len(w.got))
		for i, d := range w.got {
			items[i] = d.item
		}
		t := compare(len(p.entries), want, doubtful, items)
		if t != (tally{}) {
			wrong++
			sum.plus(t)
		}
		misnumbered += w.misnumbered
		if w.err != nil {
			if ended++; first == nil {
				first = w.err
			}
		}
	}
	faults := faultsOf(fmt.Sprintf("deliveries on %d of %d streams", wrong, len(watchers)), sum)
	if misnumbered > 0 {
		faults = append(faults, fmt.Sprintf("%d events have another id than their last position", misnumbered))
	}
	if ended > 0 {
		faults = append(faults, fmt.Sprintf("%d streams ended early, the first: %v", ended, first))
	}
	return faults
}
