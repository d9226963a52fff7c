package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// storm cuts all connections at once and lets them come back at once.
type storm struct {
	Streams  int     `short:"n" default:"5000" help:"Streams that are open."`
	Meetings int     `default:"100" help:"Meetings that they follow."`
	Rate     float64 `short:"r" default:"50" help:"Posts a second."`
	Times    int     `short:"k" default:"3" help:"How often all of them are cut."`
}

// Validate is called by kong.
func (c storm) Validate() error {
	if err := bounds(bound{"times", float64(c.Times), 1, 20}); err != nil {
		return err
	}
	return crowdBounds(c.Streams, c.Meetings, c.Rate)
}

func (c storm) name() string { return "storm" }

func (c storm) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams of %d meetings cut %d times, %v posts a second",
		c.Streams, c.Meetings, c.Times, c.Rate)}
	rooms, err := t.audience(ctx, c.Streams, c.Meetings)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, int(c.Rate*(backTime+5*calmTime).Seconds()), false)
	watchers, err := c.cut(ctx, t, p, &res)
	if err != nil {
		return res, err
	}
	res.Faults = append(res.Faults, check(p, watchers)...)
	return verified(ctx, t, p, res)
}

// cut lets the crowd break and come back, again and again.
func (c storm) cut(ctx context.Context, t *target, p *poster, res *result) ([]*watcher, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	crowd, err := t.gather(live, p, seats(p.rooms, c.Streams), &wg)
	if err != nil {
		return nil, err
	}
	crowd.eager = true
	posts := &posting{p: p, t: t, rate: c.Rate}
	stop := posts.start(ctx)
	defer func() { stop() }()
	m, err := t.meter()
	if err != nil {
		return nil, err
	}
	var half, all []time.Duration
	turned := 0
	for range c.Times {
		sleep(ctx, calmTime)
		began := p.now()
		crowd.hangUp(live)
		back := crowd.awaitBack(ctx, began)
		after := summarize(back.after)
		half, all, turned = append(half, after.p50), append(all, after.worst), turned+back.turned
		res.Faults = append(res.Faults, back.faults()...)
	}
	sleep(ctx, calmTime)
	stop()
	s, err := m.read()
	if err != nil || ctx.Err() != nil {
		return nil, cause(ctx, err)
	}
	t.awaitAll(ctx, p, crowd.watchers)
	sleep(ctx, doubleTime)
	hangUp()
	wg.Wait()
	if n := len(crowd.broken()); n > 0 {
		res.Faults = append(res.Faults, fmt.Sprintf("%d streams broke that were not cut, the first: %v", n, crowd.broken()[0]))
	}
	res.add("cut → half are back, worst", slices.Max(half).Seconds(), "s", goal{})
	res.add("cut → all are back, worst", slices.Max(all).Seconds(), "s", below(10).of(sloReturn))
	res.add("asked to come later", float64(turned), "", goal{})
	res.latency("post answer", posts.answered(0, p.now()), goals{p95: below(100).of(sloReturn)})
	res.cpu(s, c.Streams*c.Times, "return")
	return crowd.watchers, t.size(res)
}
