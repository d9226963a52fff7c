package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

const chunksAtOnce = 10 // in one request

// mix is what goes on in many meetings beside their streams. Each lane writes its own samples.
type mix struct {
	busy
	t      *target
	p      *poster
	guests []atomic.Bool // by room: its guest is away
	behind time.Duration // the most that the regular posts were behind their time

	gets, steps, chunks    []samples // by lane
	getting, writing, talk failures
}

func newMix(t *target, p *poster, c busy) *mix {
	x := &mix{busy: c, t: t, p: p, guests: make([]atomic.Bool, len(p.rooms))}
	for _, s := range []*[]samples{&x.gets, &x.steps, &x.chunks} {
		*s = make([]samples, busyLanes)
		for i := range *s {
			(*s)[i].limit = maxSamples / 8 / busyLanes
		}
	}
	return x
}

// get reads one of the five things that a client asks for.
func (x *mix) get(ctx context.Context, l *line, lane, n int) {
	at := n / 5 % len(x.p.rooms)
	r := x.p.rooms[at]
	path := []string{r.path, r.messages() + "?limit=50", r.path + "/participants", r.path + "/events?limit=50", "/v1/meetings?limit=20"}[n%5]
	newest := x.p.newest[at].Load()
	began := time.Now()
	got, err := l.do(ctx, request{method: "GET", path: path, token: r.members[n%2].token})
	took := time.Since(began)
	if err == nil && got.status != 200 {
		err = refusal(got.status, got.body)
	}
	if err == nil && n%5 == 1 && x.gets[lane].seen%looked == 0 {
		err = checkNewest(got.body, newest)
	}
	if err != nil {
		x.getting.add(fmt.Errorf("%s: %w", path, err))
		return
	}
	x.gets[lane].add(took)
}

// write posts one message more when n is even, and lets a guest leave or join again when it is odd.
func (x *mix) write(ctx context.Context, l *line, lane, n int) {
	if n%2 == 0 {
		x.p.post(ctx, l, n/2%2, x.regular()+n/2)
		return
	}
	at := n / 2 % len(x.p.rooms)
	r := x.p.rooms[at]
	step := "/leave"
	if was := x.guests[at].Load(); !x.guests[at].CompareAndSwap(was, !was) {
		return
	} else if was {
		step = "/join"
	}
	began := time.Now()
	err := l.call(ctx, request{method: "POST", path: r.path + step, token: r.members[len(r.members)-1].token}, nil, nil)
	if err != nil {
		x.writing.add(err)
		return
	}
	x.steps[lane].add(time.Since(began))
}

// offered tells whether the server has what the mix asks for.
func (x *mix) offered(ctx context.Context) error {
	if x.Chunks == 0 {
		return nil
	}
	l := x.t.line()
	defer l.close()
	r := x.p.rooms[0]
	if err := l.call(ctx, request{method: "GET", path: r.path + "/transcripts", token: r.members[0].token}, nil, nil); notOffered(err) {
		return fmt.Errorf("POST …/transcripts is not offered by this server: leave --chunks out")
	} else if err != nil {
		return err
	}
	return nil
}

type chunk struct {
	SpeakerLabel string  `json:"speakerLabel"`
	Text         string  `json:"text"`
	Confidence   float64 `json:"confidence"`
	StartMs      int     `json:"startMs"`
	EndMs        int     `json:"endMs"`
}

// chunk sends the next ten chunks of a meeting.
func (x *mix) chunk(ctx context.Context, l *line, lane, n int) {
	r := x.p.rooms[n%len(x.p.rooms)]
	var in struct {
		Chunks [chunksAtOnce]chunk `json:"chunks"`
	}
	for i := range in.Chunks {
		at := (n/len(x.p.rooms)*chunksAtOnce + i) * 100
		in.Chunks[i] = chunk{"Speaker 1", fmt.Sprintf("bench %s chunk %d of request %d", x.p.run, i, n), 0.9, at, at + 100}
	}
	var out struct{ FirstPosition, LastPosition int64 }
	began := time.Now()
	err := l.call(ctx, request{method: "POST", path: r.path + "/transcripts", token: r.members[0].token}, in, &out)
	took := time.Since(began)
	if err == nil && (out.FirstPosition <= 0 || out.LastPosition < out.FirstPosition) {
		err = fmt.Errorf("ten chunks were stored from %d to %d", out.FirstPosition, out.LastPosition)
	}
	if err != nil {
		x.talk.add(err)
		return
	}
	x.chunks[lane].add(took)
}

// checkNewest checks that a newest page is ascending, and reaches what was acknowledged before it was asked for.
func checkNewest(body []byte, newest int64) error {
	var got page
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	last := int64(0)
	for _, m := range got.Items {
		if m.Position <= last {
			return fmt.Errorf("position %d follows %d", m.Position, last)
		}
		last = m.Position
	}
	if last < newest {
		return fmt.Errorf("the newest is %d, but %d was acknowledged before", last, newest)
	}
	return nil
}

func (x *mix) figures(res *result, watchers []*watcher, s spent) {
	sent, answered := delays(x.p, tracksOf(watchers), 0, len(x.p.entries))
	posts := summarize(x.p.latencies(0, len(x.p.entries)))
	n := len(sent)
	res.add("streams", float64(len(watchers)), "", goal{})
	res.add("posts", float64(posts.count)/s.elapsed.Seconds(), "/s", goal{})
	res.add("posts behind their time, worst", ms(x.behind), "ms", goal{})
	res.latency("post answer", posts, goals{})
	res.add("deliveries", float64(n)/s.elapsed.Seconds(), "/s", goal{})
	res.latency("sent → delivery", summarize(sent), goals{p95: below(150).of(sloDelivery), p99: below(250).of(sloDelivery)})
	res.latency("answer → delivery", summarize(answered), goals{p95: below(150).of(sloDelivery), p99: below(150).of(sloDelivery)})
	if x.Gets > 0 {
		all := merge(x.gets)
		res.add("GETs", float64(all.count)/s.elapsed.Seconds(), "/s", goal{})
		res.latency("GET", all, goals{p95: below(25).of(sloQuery), p99: below(60).of(sloQuery)})
	}
	if x.Writes > 0 {
		res.latency("join or leave", merge(x.steps), goals{})
	}
	if x.Chunks > 0 {
		all := merge(x.chunks)
		res.add("chunks", chunksAtOnce*float64(all.count)/s.elapsed.Seconds(), "/s", goal{})
		res.latency("ten chunks", all, goals{})
	}
	res.cpu(s, n, "delivery")
	for what, f := range map[string]*failures{"GETs": &x.getting, "joins and leaves": &x.writing, "requests of ten chunks": &x.talk} {
		res.Faults = append(res.Faults, f.faults(what)...)
	}
}
