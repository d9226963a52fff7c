package main

import (
	"context"
	"fmt"
)

const (
	maxMessages = 2_000_000
	maxCallers  = 5_000
	maxRooms    = 1_000
	maxPace     = 100_000
)

// creates posts messages as fast as the server answers, many at once, or at a rate.
type creates struct {
	Messages   int     `short:"n" default:"30000" help:"Messages to post."`
	InFlight   int     `short:"c" default:"500" help:"Requests in flight at once."`
	Rate       float64 `short:"r" help:"Messages a second; without it, as many as are answered."`
	Users      int     `default:"50" help:"Users who post."`
	Meetings   int     `default:"10" help:"Meetings they post in."`
	Key        bool    `help:"Send a fresh Idempotency-Key with each."`
	Replicated bool    `help:"Have each wait for the replica, which --server-arg names."`
}

// Validate is called by kong.
func (c creates) Validate() error {
	return bounds(
		bound{"messages", float64(c.Messages), 1, maxMessages},
		bound{"in-flight", float64(c.InFlight), 1, maxCallers},
		bound{"users", float64(c.Users), 1, maxMembers},
		bound{"meetings", float64(c.Meetings), 1, maxRooms},
		bound{"rate", c.Rate, 0, maxPace},
	)
}

func (c creates) name() string {
	if c.Replicated {
		return "creates --replicated"
	}
	if c.Key {
		return "creates --key"
	}
	return "creates"
}

func (c creates) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d messages, %d in flight, %d users, %d meetings",
		c.Messages, c.InFlight, c.Users, c.Meetings)}
	if c.Rate > 0 {
		res.Load += fmt.Sprintf(", %v a second", c.Rate)
	}
	p, s, err := flooded(ctx, t, c)
	if err != nil {
		return res, err
	}
	sum := summarize(p.latencies(0, c.Messages))
	wanted, worst := c.goals()
	res.add("creates", float64(sum.count)/s.elapsed.Seconds(), "/s", wanted)
	res.latency("answer", sum, goals{worst: worst})
	res.cpu(s, int(sum.count), "create")
	return verified(ctx, t, p, res)
}

// goals are for 500 in flight at full speed, and none otherwise.
func (c creates) goals() (perSecond, worst goal) {
	switch {
	case c.InFlight != 500 || c.Rate > 0 || c.Replicated:
		return goal{}, goal{}
	case c.Key:
		return atLeast(3500).of(sloKeyed), below(250).of(sloKeyed)
	default:
		return atLeast(5000).of(sloCreates), below(250).of(sloCreates)
	}
}

// flooded sets the stage and posts all messages.
func flooded(ctx context.Context, t *target, c creates) (*poster, spent, error) {
	rooms, err := t.stage(ctx, c.Users, c.Meetings)
	if err != nil {
		return nil, spent{}, err
	}
	lines, err := t.lines(ctx, c.InFlight)
	if err != nil {
		return nil, spent{}, err
	}
	defer closeAll(lines)
	p := newPoster(rooms, c.Messages, c.Key)
	p.awaited = c.Replicated
	m, err := t.meter()
	if err != nil {
		return nil, spent{}, err
	}
	if c.Rate > 0 {
		pace(ctx, c.Messages, c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], lane, n) })
	} else {
		p.flood(ctx, lines, 0, c.Messages)
	}
	s, err := m.read()
	return p, s, cause(ctx, err)
}

// verified adds to res what is wrong with what the poster posted.
func verified(ctx context.Context, t *target, p *poster, res result) (result, error) {
	l := t.line()
	defer l.close()
	faults, err := p.verify(ctx, l)
	res.Faults = append(res.Faults, faults...)
	return res, err
}

// lone posts one message after the other.
type lone struct {
	Messages   int  `short:"n" default:"2000" help:"Messages to post."`
	Replicated bool `help:"Have each wait for the replica, which --server-arg names."`
}

// Validate is called by kong.
func (c lone) Validate() error {
	return bounds(bound{"messages", float64(c.Messages), 1, maxMessages})
}

func (c lone) name() string {
	if c.Replicated {
		return "lone --replicated"
	}
	return "lone"
}

func (c lone) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d messages, one after the other", c.Messages)}
	p, s, err := flooded(ctx, t, creates{Messages: c.Messages, InFlight: 1, Users: 1, Meetings: 1, Replicated: c.Replicated})
	if err != nil {
		return res, err
	}
	sum := summarize(p.latencies(0, c.Messages))
	wanted := below(2).of(sloLone)
	if c.Replicated {
		wanted = below(100).of(sloReplicated)
	}
	res.add("answer p50", ms(sum.p50), "ms", wanted)
	res.add("answer p95", ms(sum.p95), "ms", goal{})
	res.add("answer p99", ms(sum.p99), "ms", goal{})
	res.add("answer worst", ms(sum.worst), "ms", goal{})
	res.cpu(s, int(sum.count), "create")
	return verified(ctx, t, p, res)
}
