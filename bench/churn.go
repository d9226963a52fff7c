package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	warmUp     = 2 * time.Second // of the same, so that the pools of the server are full before it is looked at
	atOnce     = 1_000           // connections that are open at a time, at most
	leakPlaces = 50              // meetings that they follow
	rssGrowth  = 64              // MB that a garbage collector may keep after a rush; what leaks comes to more
)

// churn lets connections come and go, each in another way.
type churn struct {
	Rate     float64       `short:"r" default:"500" help:"Connections a second."`
	Duration time.Duration `short:"d" default:"20s" help:"How long they come: 10,000 with the defaults."`
	Hold     time.Duration `default:"1s" help:"How long each stays at most."`
	Posts    float64       `default:"50" help:"Posts a second meanwhile."`
}

// Validate is called by kong.
func (c churn) Validate() error {
	return bounds(
		bound{"rate", c.Rate, 1, 5_000},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 86_400},
		bound{"hold in seconds", c.Hold.Seconds(), 0.001, 60},
		bound{"rate times hold", c.Rate * c.Hold.Seconds(), 0, 2 * atOnce},
		bound{"posts", c.Posts, 1, 1_000},
		bound{"posts times duration", c.Posts * c.Duration.Seconds(), 0, maxMessages},
	)
}

func (c churn) name() string { return "churn" }

// condition is what a server holds.
type condition struct {
	files, threads int
	resident       int64
}

// condition looks at the server's process; the zero condition where it is not known.
func (t *target) condition() (condition, error) {
	if t.pid == 0 {
		return condition{}, nil
	}
	var c condition
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.pid))
	if err != nil {
		return c, err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.pid))
	if err != nil {
		return c, err
	}
	c.files, c.threads = len(files), len(threads)
	c.resident, err = residentSize(t.pid)
	return c, err
}

func (c churn) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%v connections a second for %v, each for up to %v, %v posts a second",
		c.Rate, c.Duration, c.Hold, c.Posts)}
	rooms, err := t.town(ctx, leakPlaces, leakPlaces, 2)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, max(1, int(c.Posts*(c.Duration+warmUp+calmTime).Seconds())), false)
	v := &visits{churn: c, t: t, p: p, seats: seats(rooms, 2*len(rooms))}
	posts := &posting{p: p, t: t, rate: c.Posts}
	if _, err := v.rush(ctx, posts, min(warmUp, c.Duration)); err != nil {
		return res, err
	}
	before, err := t.quiet(ctx, 0)
	if err != nil {
		return res, err
	}
	v.counts = [ways]int{}
	s, err := v.rush(ctx, posts, c.Duration)
	if err != nil {
		return res, err
	}
	after, err := t.quiet(ctx, before.files)
	if err != nil || ctx.Err() != nil {
		return res, cause(ctx, err)
	}
	v.figures(&res, before, after, s)
	if res, err = verified(ctx, t, p, res); err != nil {
		return res, err
	}
	res.Faults = append(res.Faults, v.faults()...)
	return res, nil
}

// rush lets connections come and go for a time, while posts go on.
func (v *visits) rush(ctx context.Context, posts *posting, d time.Duration) (spent, error) {
	m, err := v.t.meter()
	if err != nil {
		return spent{}, err
	}
	stop := posts.start(ctx)
	v.come(ctx, d)
	stop()
	s, err := m.read()
	return s, cause(ctx, err)
}

// quiet waits until the server has let go of its descriptors but so many, or the time for that is over; where it is not
// known how many there should be, until their number stays for two seconds.
func (t *target) quiet(ctx context.Context, files int) (condition, error) {
	until := time.Now().Add(2 * t.lateness())
	last, same := condition{files: -1}, 0
	for {
		now, err := t.condition()
		if same++; now.files != last.files {
			same = 0
		}
		last = now
		done := now.files <= files || files == 0 && same == 4
		if err != nil || done || time.Now().After(until) || !sleep(ctx, settle) {
			return now, err
		}
	}
}
