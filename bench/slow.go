package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	sampling   = 200 * time.Millisecond // between two looks at the stuck
	slowLimit  = 35                     // seconds without progress after which a stream is to have ended: 30, and some to notice
	goodbyTime = 10 * time.Second       // for an ended stream to be read to its end
)

// slow posts into a meeting that many read, beside some who open a stream and never read it.
type slow struct {
	Streams  int           `short:"s" default:"1000" help:"Streams that are read."`
	Stuck    int           `default:"1" help:"Streams that are opened and never read."`
	Rate     float64       `short:"r" default:"5" help:"Posts a second."`
	Size     int           `default:"4000" help:"Characters of each post."`
	Before   time.Duration `default:"10s" help:"How long to post before there is anyone stuck."`
	Duration time.Duration `short:"d" default:"60s" help:"How long to post beside them at most; less when all of them have ended."`
}

// Validate is called by kong.
func (c slow) Validate() error {
	return bounds(
		bound{"streams", float64(c.Streams), 1, 5_000},
		bound{"stuck", float64(c.Stuck), 1, 2_000},
		bound{"rate", c.Rate, 0.1, 1000},
		bound{"size", float64(c.Size), 1, 4_000},
		bound{"before in seconds", c.Before.Seconds(), 0.1, 600},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"streams times posts", float64(c.Streams) * float64(c.posts()), 1, maxSamples},
	)
}

func (c slow) name() string { return "slow" }

func (c slow) first() int { return max(int(c.Rate*c.Before.Seconds()), 1) }
func (c slow) posts() int { return c.first() + max(int(c.Rate*c.Duration.Seconds()), 1) }

func (c slow) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams of a meeting beside %d that are never read, %v posts of %d characters a second",
		c.Streams, c.Stuck, c.Rate, c.Size)}
	rooms, err := t.stage(ctx, min(max(c.Streams, c.Stuck), maxMembers), 1)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, c.posts(), false)
	p.size = c.Size
	var ward *ward
	watchers, s, err := t.watch(ctx, p, show{lanes: postLanes, open: t.opening(seats(rooms, c.Streams)), work: func(_ []*watcher, lines []*line) (err error) {
		pace(ctx, c.first(), c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], n, n) })
		ward, err = c.beside(ctx, t, p, lines)
		return err
	}})
	if ward != nil {
		defer ward.close()
	}
	if err != nil {
		return res, err
	}
	without, _ := delays(p, tracksOf(watchers), 0, c.first())
	with, _ := delays(p, tracksOf(watchers), c.first(), len(p.entries))
	res.latency("sent → delivery, none stuck", summarize(without), goals{})
	res.latency("sent → delivery, beside the stuck", summarize(with), goals{p95: below(150).of(sloSlow)})
	ward.figures(&res)
	res.cpu(s, len(without)+len(with), "delivery")
	res.Faults = append(res.Faults, check(p, watchers)...)
	return verified(ctx, t, p, res)
}

// beside posts on beside stuck readers until these have ended, or the time is over.
func (c slow) beside(ctx context.Context, t *target, p *poster, lines []*line) (*ward, error) {
	w, err := t.admit(ctx, p, seats(p.rooms, c.Stuck))
	if err != nil {
		return w, err
	}
	posting, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		pace(posting, c.posts()-c.first(), c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], n, c.first()+n) })
	})
	until := time.Now().Add(c.Duration)
	for w.look() > 0 && time.Now().Before(until) && sleep(ctx, sampling) {
	}
	stop()
	wg.Wait()
	return w, w.err
}
