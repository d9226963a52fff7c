package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// revoke lets people leave a meeting while they follow its messages.
type revoke struct {
	Streams  int           `short:"n" default:"200" help:"Streams on the messages of a meeting."`
	Each     int           `default:"2" help:"Streams of each of the people."`
	Rate     float64       `short:"r" default:"20" help:"Posts a second."`
	Duration time.Duration `short:"d" default:"10s" help:"How long to post; everyone leaves at a random moment of it."`
}

// Validate is called by kong.
func (c revoke) Validate() error {
	return bounds(
		bound{"streams", float64(c.Streams), 1, maxMembers * maxStreamsOfUser},
		bound{"each", float64(c.Each), 1, maxStreamsOfUser},
		bound{"people (streams by each)", float64(c.people()), 1, maxMembers},
		bound{"rate", c.Rate, 0.1, 1000},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"streams times posts", float64(c.Streams) * c.Rate * c.Duration.Seconds(), 0, maxSamples},
	)
}

func (c revoke) name() string { return "revoke" }

func (c revoke) people() int { return (c.Streams + c.Each - 1) / max(c.Each, 1) }

// departure is how one of the people left.
type departure struct {
	commit         int64
	sent, answered time.Duration
	err            error
}

func (c revoke) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams of %d people who leave, %v posts a second for %v",
		c.Streams, c.people(), c.Rate, c.Duration)}
	rooms, err := t.stage(ctx, c.people()+1, 1)
	if err != nil {
		return res, err
	}
	host, people := rooms[0].members[:1], rooms[0].members[1:]
	rooms[0].members = host // who alone posts
	seats := make([]seat, c.Streams)
	for i := range seats {
		seats[i] = seat{0, rooms[0].messages() + "?after=0", people[i%len(people)]}
	}
	p := newPoster(rooms, max(int(c.Rate*c.Duration.Seconds()), 1), false)
	left := make([]departure, len(people))
	watchers, s, err := t.watch(ctx, p, show{lanes: postLanes, open: t.opening(seats), work: func(_ []*watcher, lines []*line) error {
		var wg sync.WaitGroup
		for i, u := range people {
			wg.Go(func() { left[i] = c.leave(ctx, t, p, u) })
		}
		pace(ctx, len(p.entries), c.Rate, len(lines), func(lane, n int) { p.post(ctx, lines[lane], 0, n) })
		wg.Wait()
		return nil
	}})
	if err != nil {
		return res, err
	}
	c.figures(&res, watchers, left, s)
	if res, err = verified(ctx, t, p, res); err != nil {
		return res, err
	}
	res.Faults = append(res.Faults, c.faults(p, watchers, left)...)
	return res, nil
}

// leave waits for a random moment and leaves.
func (c revoke) leave(ctx context.Context, t *target, p *poster, who user) departure {
	var d departure
	l := t.line()
	defer l.close()
	if d.err = l.connect(ctx); d.err != nil {
		return d
	}
	sleep(ctx, c.Duration/10+rand.N(c.Duration*8/10))
	d.sent = p.now()
	got, err := l.do(ctx, request{method: "POST", path: p.rooms[0].path + "/leave", token: who.token})
	d.answered, d.commit, d.err = p.now(), got.commit, err
	if err == nil && got.status != 200 {
		d.err = refusal(got.status, got.body)
	}
	return d
}

func (c revoke) figures(res *result, watchers []*watcher, left []departure, s spent) {
	var sent, answered []time.Duration
	for i, w := range watchers {
		if d := left[i%len(left)]; d.err == nil && w.err != nil {
			sent, answered = append(sent, w.endedAt-d.sent), append(answered, w.endedAt-d.answered)
		}
	}
	res.add("streams ended", float64(len(sent)), "", goal{})
	res.latency("leave sent → end", summarize(sent), goals{p95: below(150).of(sloRevoked)})
	res.latency("leave answered → end", summarize(answered), goals{p95: below(150).of(sloRevoked)})
	res.cpu(s, len(sent), "end")
}

// faults lists what streams brought, or did not, that those who left should not have got, or should have.
func (c revoke) faults(p *poster, watchers []*watcher, left []departure) []string {
	var leaving failures
	for _, d := range left {
		if d.err != nil {
			leaving.add(d.err)
		}
	}
	want, doubtful := p.outcome(0)
	v := newVerdict(len(p.entries))
	open, leaked := 0, 0
	var odd failures
	for i, w := range watchers {
		d := left[i%len(left)]
		t, last := w.tracks[0], int64(0)
		for _, got := range t.got {
			if last = max(last, got.item.position); last > d.commit {
				leaked++
			}
		}
		if w.err == nil {
			open++
		} else if e, told := errors.AsType[*ended](w.err); !told || e.code != "forbidden" {
			odd.add(w.err)
		}
		v.judge(t, upTo(want, last), doubtful)
	}
	faults := append(leaving.faults("leaves"), v.faults()...)
	if open > 0 {
		faults = append(faults, fmt.Sprintf("%d streams went on after their reader had left", open))
	}
	if leaked > 0 {
		faults = append(faults, fmt.Sprintf("%d items came that were posted after their reader had left", leaked))
	}
	return append(faults, odd.faults("ends, which should say forbidden,")...)
}

// upTo is the part of the items, which are in order, up to a position.
func upTo(items []item, position int64) []item {
	n, _ := slices.BinarySearchFunc(items, position+1, func(it item, p int64) int { return cmp.Compare(it.position, p) })
	return items[:n]
}
