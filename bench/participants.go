package main

import (
	"context"
	"fmt"
	"time"
)

const revisit = time.Millisecond

// participants lets people join and leave a meeting whose participants many streams watch.
type participants struct {
	People  int     `default:"50" help:"People in the meeting."`
	Each    int     `default:"20" help:"Streams of each of them on its participants."`
	Commits int     `short:"n" default:"20" help:"How often someone leaves or joins."`
	Rate    float64 `short:"r" default:"2" help:"How often a second."`
}

// Validate is called by kong.
func (c participants) Validate() error {
	return bounds(
		bound{"people", float64(c.People), 2, maxMembers},
		bound{"each", float64(c.Each), 1, maxStreamsOfUser},
		bound{"commits", float64(c.Commits), 1, 1000},
		bound{"rate", c.Rate, 0.1, 100},
		bound{"people times each times commits", float64(c.People) * float64(c.Each) * float64(c.Commits), 1, maxSamples},
	)
}

func (c participants) name() string { return "participants" }

// reached is how one commit came to the watchers.
type reached struct {
	commit         int64
	sent, answered time.Duration
}

func (c participants) measure(ctx context.Context, t *target) (result, error) {
	watching := c.People * c.Each
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams on the participants of a meeting of %d, %d commits, %v a second",
		watching, c.People, c.Commits, c.Rate)}
	rooms, err := t.stage(ctx, c.People, 1)
	if err != nil {
		return res, err
	}
	var all []seat
	for i := range watching {
		all = append(all, seat{0, rooms[0].path + "/participants", rooms[0].members[i%c.People]})
	}
	p := newPoster(rooms, 0, false)
	var commits []reached
	var stale []string
	watchers, s, err := t.watch(ctx, p, show{lanes: 1, open: t.opening(all),
		work: func(watchers []*watcher, lines []*line) (err error) {
			commits, err = c.comeAndGo(ctx, t, p, lines[0], watchers)
			return err
		},
		check: func(watchers []*watcher) (err error) {
			stale, err = t.checkSnapshots(ctx, tracksOf(watchers))
			return err
		}})
	if err != nil {
		return res, err
	}
	c.figures(&res, watchers, commits, s)
	res.Faults = append(append(res.Faults, stale...), check(p, watchers)...)
	return res, nil
}

// comeAndGo lets one after the other leave and join again, and after each waits for all watchers.
func (c participants) comeAndGo(ctx context.Context, t *target, p *poster, l *line, watchers []*watcher) ([]reached, error) {
	var all []reached
	var failed error
	pace(ctx, c.Commits, c.Rate, 1, func(_, n int) {
		if failed != nil {
			return
		}
		who := p.rooms[0].members[1+n/2%(c.People-1)]
		now := reached{sent: p.now()}
		got, err := l.do(ctx, request{method: "POST", path: p.rooms[0].path + []string{"/leave", "/join"}[n%2], token: who.token})
		now.answered, now.commit = p.now(), got.commit
		if err == nil && got.status != 200 {
			err = refusal(got.status, got.body)
		}
		if failed = err; err != nil {
			return
		}
		all = append(all, now)
		until := time.Now().Add(t.lateness())
		for _, w := range watchers {
			for !w.shows(now.commit) && !w.ended.Load() && time.Now().Before(until) && sleep(ctx, revisit) {
			}
		}
	})
	return all, failed
}

// shows tells whether a snapshot as of the commit has come.
func (w *watcher) shows(commit int64) bool {
	_, ok := w.tracks[0].since(commit)
	return ok
}

func (c participants) figures(res *result, watchers []*watcher, commits []reached, s spent) {
	var all, last []time.Duration
	missing := 0
	for _, r := range commits {
		var worst time.Duration
		for _, w := range watchers {
			got, ok := w.tracks[0].since(r.commit)
			if !ok {
				missing++
				continue
			}
			all = append(all, got.at-r.answered)
			worst = max(worst, got.at-r.sent)
		}
		last = append(last, worst)
	}
	res.add("commits", float64(len(commits)), "", goal{})
	res.latency("answer → snapshot", summarize(all), goals{p99: below(150).of(sloParticipants)})
	lasts := summarize(last)
	res.add("sent → last of all, p50", ms(lasts.p50), "ms", goal{})
	res.add("sent → last of all, worst", ms(lasts.worst), "ms", goal{})
	res.cpu(s, len(all), "snapshot")
	if missing > 0 {
		res.Faults = append(res.Faults, fmt.Sprintf("%d of %d snapshots did not come", missing, len(commits)*len(watchers)))
	}
}
