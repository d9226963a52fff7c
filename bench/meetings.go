package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	membersOfMeeting = 3 // two who follow it, and a guest who joins and leaves
	busyLanes        = 64
)

// busy is the load of many meetings at once.
type busy struct {
	Meetings int           `short:"n" default:"1000" help:"Active meetings, each with two people who follow it."`
	Rate     float64       `short:"r" default:"1" help:"Posts a second in each of them."`
	Duration time.Duration `short:"d" default:"30s" help:"How long."`
	Gets     float64       `default:"0" help:"GETs a second besides, of meetings, messages, participants, events and lists."`
	Writes   float64       `default:"0" help:"Further writes a second: posts, and guests who join and leave."`
	Chunks   float64       `default:"0" help:"Transcript chunks a second, in requests of ten."`
	Users    int           `default:"200" help:"People in them."`
}

func (c busy) validate() error {
	return bounds(
		bound{"meetings", float64(c.Meetings), 1, 4_000},
		bound{"rate", c.Rate, 0.01, 100},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 3600},
		bound{"gets", c.Gets, 0, 100_000},
		bound{"writes", c.Writes, 0, 10_000},
		bound{"chunks", c.Chunks, 0, 100_000},
		bound{"users", float64(c.Users), membersOfMeeting, 2_000},
		bound{"meetings for each of the users", float64(c.Meetings) / float64(c.Users), 0, 10},
		bound{"deliveries", 3 * float64(c.posts()), 1, maxSamples},
	)
}

func (c busy) load() string {
	return fmt.Sprintf("%d meetings of %d people, %v posts a second in each for %v, %v GETs, %v writes and %v chunks a second besides",
		c.Meetings, c.Users, c.Rate, c.Duration, c.Gets, c.Writes, c.Chunks)
}

func (c busy) regular() int { return max(int(float64(c.Meetings)*c.Rate*c.Duration.Seconds()), 1) }
func (c busy) further() int { return int(c.Writes * c.Duration.Seconds()) }
func (c busy) posts() int   { return c.regular() + (c.further()+1)/2 }

// meetings follows many meetings at once, each by five streams.
type meetings struct {
	busy
}

// Validate is called by kong.
func (c meetings) Validate() error { return c.validate() }

func (c meetings) name() string {
	if c.Gets > 0 || c.Writes > 0 || c.Chunks > 0 {
		return "meetings mixed"
	}
	return "meetings"
}

func (c meetings) measure(ctx context.Context, t *target) (result, error) {
	return c.run(ctx, t, result{Scenario: c.name(), Load: c.load()}, func(rooms []room, state string) show {
		var all []seat
		for at, r := range rooms {
			for i, path := range five(r, state) {
				all = append(all, seat{at, path, r.members[i%2]})
			}
		}
		return show{open: t.opening(all)}
	})
}

// run performs the load while the streams are open that streams gives.
func (c busy) run(ctx context.Context, t *target, res result, streams func(rooms []room, state string) show) (result, error) {
	rooms, err := t.town(ctx, c.Users, c.Meetings, membersOfMeeting)
	if err != nil {
		return res, err
	}
	state, err := t.statePath(ctx, rooms[0], &res)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, c.posts(), false)
	x := newMix(t, p, c)
	if err := x.offered(ctx); err != nil {
		return res, err
	}
	reruns := reruns{t: t}
	do := streams(rooms, state)
	do.lanes = busyLanes
	do.work = func(_ []*watcher, lines []*line) error {
		if err := reruns.begin(ctx); err != nil {
			return err
		}
		x.work(ctx, lines)
		return nil
	}
	var stale []string
	do.check = func(watchers []*watcher) (err error) {
		if err := reruns.end(ctx); err != nil {
			return err
		}
		stale, err = t.checkSnapshots(ctx, tracksOf(watchers))
		return err
	}
	watchers, s, err := t.watch(ctx, p, do)
	if err != nil {
		return res, err
	}
	reruns.figures(&res)
	if res, err = verified(ctx, t, p, res); err != nil {
		return res, err
	}
	res.Faults = append(append(res.Faults, stale...), check(p, watchers)...)
	x.figures(&res, watchers, s)
	return res, t.size(&res)
}

// work posts, gets and writes side by side.
func (x *mix) work(ctx context.Context, lines []*line) {
	var wg sync.WaitGroup
	wg.Go(func() {
		x.behind = pace(ctx, x.regular(), float64(x.Meetings)*x.Rate, len(lines), func(lane, n int) { x.p.post(ctx, lines[lane], n/x.Meetings%2, n) })
	})
	x.aside(ctx, &wg, int(x.Gets*x.Duration.Seconds()), x.Gets, x.get)
	x.aside(ctx, &wg, x.further(), x.Writes, x.write)
	x.aside(ctx, &wg, int(x.Chunks/chunksAtOnce*x.Duration.Seconds()), x.Chunks/chunksAtOnce, x.chunk)
	wg.Wait()
}

// aside does total things at a rate on lines of their own, beside what goes on.
func (x *mix) aside(ctx context.Context, wg *sync.WaitGroup, total int, rate float64, do func(ctx context.Context, l *line, lane, n int)) {
	if total == 0 {
		return
	}
	wg.Go(func() {
		lines := make([]*line, busyLanes)
		for i := range lines {
			lines[i] = x.t.line()
		}
		defer closeAll(lines)
		pace(ctx, total, rate, len(lines), func(lane, n int) { do(ctx, lines[lane], lane, n) })
	})
}
