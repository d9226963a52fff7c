package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const transcriptLanes = 128 // requests that may wait for their answer at once

// transcript sends chunks into meetings that streams follow.
type transcript struct {
	Meetings int           `short:"n" default:"1000" help:"Active meetings."`
	Rate     float64       `short:"r" default:"10" help:"Chunks a second in each of them."`
	Batch    int           `short:"b" default:"10" help:"Chunks in a request."`
	Streams  int           `short:"s" default:"3" help:"Streams that follow each of them."`
	Duration time.Duration `short:"d" default:"10s" help:"How long."`
	Users    int           `default:"200" help:"People in them."`
}

// Validate is called by kong.
func (c transcript) Validate() error {
	return bounds(
		bound{"meetings", float64(c.Meetings), 1, 4_000},
		bound{"rate", c.Rate, 0.1, 1_000},
		bound{"batch", float64(c.Batch), 1, 200},
		bound{"streams", float64(c.Streams), 1, maxMembers},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"users", float64(c.Users), float64(c.Streams), 2_000},
		bound{"streams for each of the users", float64(c.Meetings*c.Streams) / float64(c.Users), 0, maxStreamsOfUser},
		bound{"deliveries", float64(c.Streams * c.requests() * c.Batch), 1, maxSamples},
	)
}

func (c transcript) name() string {
	if c.Meetings == 1 {
		return "transcript of one"
	}
	return "transcript"
}

func (c transcript) requests() int {
	return max(int(c.rate()*c.Duration.Seconds()), 1)
}

// rate is that of requests, in all meetings.
func (c transcript) rate() float64 { return float64(c.Meetings) * c.Rate / float64(c.Batch) }

func (c transcript) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d meetings of %d people, %v chunks a second in each for %v, in requests of %d, %d streams each",
		c.Meetings, c.Users, c.Rate, c.Duration, c.Batch, c.Streams)}
	rooms, err := t.town(ctx, c.Users, c.Meetings, c.Streams)
	if err != nil {
		return res, err
	}
	p := newPoster(rooms, c.requests()*c.Batch, false)
	p.group, p.part = c.Batch, "/transcripts"
	var all []seat
	for at, r := range rooms {
		for i := range c.Streams {
			all = append(all, seat{at, r.path + p.part, r.members[i%len(r.members)]})
		}
	}
	var behind time.Duration
	watchers, s, err := t.watch(ctx, p, show{lanes: transcriptLanes, open: t.opening(all), work: func(_ []*watcher, lines []*line) error {
		behind = pace(ctx, c.requests(), c.rate(), len(lines), func(lane, n int) { p.speak(ctx, lines[lane], n*c.Batch) })
		return nil
	}})
	if err != nil {
		return res, err
	}
	c.figures(&res, p, watchers, s)
	res.add("requests behind their time, worst", ms(behind), "ms", goal{})
	res.Faults = append(res.Faults, check(p, watchers)...)
	if res, err = verified(ctx, t, p, res); err != nil {
		return res, err
	}
	return res, t.size(&res)
}

func (c transcript) figures(res *result, p *poster, watchers []*watcher, s spent) {
	sent, answered := delays(p, tracksOf(watchers), 0, len(p.entries))
	chunks := summarize(p.latencies(0, len(p.entries)))
	res.add("chunks", float64(chunks.count)/s.elapsed.Seconds(), "/s", goal{})
	res.latency("chunk answer", chunks, goals{})
	res.add("deliveries", float64(len(sent))/s.elapsed.Seconds(), "/s", goal{})
	wanted := goals{p95: below(250).of(sloChunks)}
	if c.Meetings == 1 {
		wanted = goals{p95: below(130).of(sloSpoken)}
	}
	res.latency("sent → delivery", summarize(sent), wanted)
	res.latency("answer → delivery", summarize(answered), goals{})
	res.cpu(s, len(p.entries), "chunk")
	if s.known {
		res.add("server CPU", 100*s.server.Seconds()/s.elapsed.Seconds(), "% of a core", goal{})
	}
}

// speak sends the group of chunks that begins with the first, as a member of their room.
func (p *poster) speak(ctx context.Context, l *line, first int) {
	at := first / p.group % len(p.rooms)
	r := p.rooms[at]
	sent := p.now()
	l.body = append(l.body[:0], `{"chunks":[`...)
	for i := range p.group {
		p.entries[first+i].begun, p.entries[first+i].sent = true, sent
		if i > 0 {
			l.body = append(l.body, ',')
		}
		start := (first/p.group/len(p.rooms)*p.group + i) * 100
		l.body = fmt.Appendf(l.body, `{"speakerLabel":"Speaker 1","text":"bench %s %d %d and so it goes on for a while","confidence":0.9,"startMs":%d,"endMs":%d,"language":"en"}`,
			p.run, first+i, int64(sent), start, start+100)
	}
	l.body = append(l.body, `]}`...)
	got, err := l.do(ctx, request{method: "POST", path: r.path + p.part, token: r.members[0].token, body: l.body})
	answered := p.now()
	var stored struct{ FirstPosition, LastPosition int64 }
	if err == nil && got.status != 200 {
		err = refusal(got.status, got.body)
	}
	if err == nil {
		err = json.Unmarshal(got.body, &stored)
	}
	if err == nil && (stored.FirstPosition <= 0 || stored.LastPosition-stored.FirstPosition != int64(p.group-1)) {
		err = fmt.Errorf("%d chunks are stored from %d to %d", p.group, stored.FirstPosition, stored.LastPosition)
	}
	if err != nil {
		p.failures.add(err)
		return
	}
	for i := range p.group {
		e := &p.entries[first+i]
		e.acknowledged, e.answered = true, answered
		e.item = item{n: first + i, position: stored.FirstPosition + int64(i)}
	}
	raise(&p.newest[at], stored.LastPosition)
}
