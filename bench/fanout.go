package main

import (
	"context"
	"fmt"
	"time"
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

func (c fanout) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams on one meeting, %v posts a second for %v",
		c.Streams, c.Rate, c.Duration)}
	rooms, err := t.stage(ctx, min(c.Streams, maxMembers), 1)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, c.posts(), false)
	reruns := reruns{t: t}
	watchers, s, err := t.watch(ctx, p, show{lanes: postLanes, open: t.opening(seats(rooms, c.Streams)), work: func(_ []*watcher, lines []*line) error {
		if err := reruns.begin(ctx); err != nil {
			return err
		}
		pace(ctx, c.posts(), c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], n, n) })
		return nil
	}, check: func([]*watcher) error { return reruns.end(ctx) }})
	if err != nil {
		return res, err
	}
	c.figures(&res, p, watchers, s)
	reruns.figures(&res)
	res.Faults = append(res.Faults, check(p, watchers)...)
	return verified(ctx, t, p, res)
}

// opening returns a function that opens a stream for each seat.
func (t *target) opening(seats []seat) func(context.Context) ([]*watcher, error) {
	return func(live context.Context) ([]*watcher, error) {
		streams, err := t.followAll(live, seats)
		return watching(streams, seats), err
	}
}

func (c fanout) figures(res *result, p *poster, watchers []*watcher, s spent) {
	sent, answered := delays(p, tracksOf(watchers), 0, len(p.entries))
	posts := summarize(p.latencies(0, len(p.entries)))
	res.add("posts", float64(posts.count), "", goal{})
	res.add("post answer p95", ms(posts.p95), "ms", goal{})
	res.add("deliveries", float64(len(sent)), "", goal{})
	var wanted goals
	if c.Streams == 100 {
		wanted.p95 = below(20).of(sloFew)
	}
	res.latency("sent → delivery", summarize(sent), wanted)
	res.latency("answer → delivery", summarize(answered), goals{})
	res.cpu(s, len(sent), "delivery")
}

// delays returns how long the messages from, …, to-1 took to each track, from their sending and from their answer.
func delays(p *poster, tracks []*track, from, to int) (sent, answered []time.Duration) {
	for _, t := range tracks {
		for _, d := range t.got {
			if d.item.n < from || d.item.n >= to {
				continue
			}
			e := &p.entries[d.item.n]
			sent = append(sent, d.at-e.sent)
			if e.acknowledged {
				answered = append(answered, d.at-e.answered)
			}
		}
	}
	return sent, answered
}
