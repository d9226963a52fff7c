package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

const calmTime = time.Second // of posts before a server ends, and after everyone is back

// returning ends the server under many streams, starts it again, and lets all of them come back.
type returning struct {
	Streams  int     `short:"n" default:"5000" help:"Streams that are open when the server ends."`
	Meetings int     `default:"100" help:"Meetings that they follow."`
	Rate     float64 `short:"r" default:"50" help:"Posts a second."`
	Eager    bool    `help:"Come back at once instead of after the time that the ending server asks for."`
}

// Validate is called by kong.
func (c returning) Validate() error { return crowdBounds(c.Streams, c.Meetings, c.Rate) }

func crowdBounds(streams, meetings int, rate float64) error {
	return bounds(
		bound{"streams", float64(streams), 1, 15_000},
		bound{"meetings", float64(meetings), 1, 1_000},
		bound{"streams for each of the meetings", float64(streams) / float64(meetings), 0, 2 * streamsOfUser},
		bound{"rate", rate, 1, 1_000},
	)
}

func (c returning) name() string {
	if c.Eager {
		return "return --eager"
	}
	return "return"
}

// audience is what a crowd follows: users who each hold half of the streams that they may, in pairs.
func (t *target) audience(ctx context.Context, streams, meetings int) ([]room, error) {
	return t.town(ctx, max(2, meetings, (streams+streamsOfUser-1)/streamsOfUser), meetings, 2)
}

func (c returning) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams of %d meetings, %v posts a second", c.Streams, c.Meetings, c.Rate)}
	if t.power == nil {
		res.note("this scenario ends the server and starts it again: it needs one of its own, without --url; nothing was measured")
		return res, nil
	}
	rooms, err := t.audience(ctx, c.Streams, c.Meetings)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, int(c.Rate*(backTime+5*calmTime).Seconds()), true)
	watchers, err := c.restart(ctx, t, p, &res)
	if err != nil {
		return res, err
	}
	res.Faults = append(res.Faults, check(p, watchers)...)
	return verified(ctx, t, p, res)
}

// restart ends and starts the server under the crowd, and waits until all of it is back.
func (c returning) restart(ctx context.Context, t *target, p *poster, res *result) ([]*watcher, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	crowd, err := t.gather(live, p, seats(p.rooms, c.Streams), &wg)
	if err != nil {
		return nil, err
	}
	crowd.eager = c.Eager
	posts := &posting{p: p, t: t, rate: c.Rate}
	stop := posts.start(ctx)
	sleep(ctx, calmTime)
	off := p.now()
	err = t.power.off()
	took := p.now() - off
	stop()
	if err != nil {
		return nil, err
	}
	began := p.now()
	if err := t.power.on(ctx); err != nil {
		return nil, err
	}
	listening := p.now()
	res.add("server's end", ms(took), "ms", goal{})
	res.add("server's start", ms(listening-began), "ms", goal{})
	from := posts.next
	p.failures = failures{} // they were on their way to a server that ended: each is sent again below
	stop = posts.start(ctx)
	m, err := t.meter()
	if err != nil {
		stop()
		return nil, err
	}
	back := crowd.awaitBack(ctx, listening)
	spent, err := m.read()
	to := p.now()
	sleep(ctx, calmTime)
	stop()
	posts.again(ctx, from)
	t.awaitAll(ctx, p, crowd.watchers)
	sleep(ctx, doubleTime)
	c.figures(res, crowd, back, posts.answered(from, to))
	res.cpu(spent, c.Streams, "return")
	hangUp()
	wg.Wait()
	return crowd.watchers, cause(ctx, err)
}

func (c returning) figures(res *result, crowd *crowd, back *returned, posts summary) {
	var retries []time.Duration
	var odd failures
	for _, err := range crowd.broken() {
		e, told := errors.AsType[*ended](err)
		if !told || e.code != "shutting_down" || e.retry == 0 {
			odd.add(fmt.Errorf("ended by %w, not by shutting_down with a retry", err))
			continue
		}
		retries = append(retries, e.retry)
	}
	spread := summarize(retries)
	res.add("retry asked for, least", ms(least(retries)), "ms", goal{})
	res.add("retry asked for, p50", ms(spread.p50), "ms", goal{})
	res.add("retry asked for, most", ms(spread.worst), "ms", goal{})
	after := summarize(back.after)
	res.add("back", float64(after.count), "", goal{})
	res.add("listening → half are back", after.p50.Seconds(), "s", goal{})
	res.add("listening → all are back", after.worst.Seconds(), "s", below(10).of(sloReturn))
	res.add("asked to come later", float64(back.turned), "", goal{})
	res.latency("post answer meanwhile", posts, goals{p95: below(100).of(sloReturn)})
	if n := len(retries); n != c.Streams {
		res.Faults = append(res.Faults, fmt.Sprintf("%d of %d streams were told of the shutdown", n, c.Streams))
	}
	res.Faults = append(append(res.Faults, odd.faults("ends of streams")...), back.faults()...)
}

// least is the smallest, 0 of none.
func least(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	small := time.Duration(math.MaxInt64)
	for _, d := range all {
		small = min(small, d)
	}
	return small
}
