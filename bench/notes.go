package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// notes lets people write one document together.
type notes struct {
	Editors  int           `short:"n" default:"100" help:"People who write the notes of one meeting, each with a stream of its edits."`
	Rate     float64       `short:"r" default:"5" help:"Edits a second of each of them, a letter typed or deleted anywhere."`
	Duration time.Duration `short:"d" default:"10s" help:"How long they write."`
}

// Validate is called by kong.
func (c notes) Validate() error {
	return bounds(
		bound{"editors", float64(c.Editors), 1, maxMembers + 1},
		bound{"rate", c.Rate, 0.1, 100},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 600},
		bound{"editors times edits", float64(c.Editors) * float64(c.Editors) * float64(c.edits()), 1, maxSamples},
		bound{"length of the text", float64(c.Editors) * float64(c.edits()), 1, 100_000},
	)
}

func (c notes) name() string { return "notes" }

// edits is how many each of them makes.
func (c notes) edits() int { return max(int(c.Rate*c.Duration.Seconds()), 1) }

func (c notes) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d editors of one document, each %v edits a second for %v, and as many streams",
		c.Editors, c.Rate, c.Duration)}
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	all, err := c.gather(ctx, live, t)
	if err != nil {
		return res, err
	}
	var reading, writing sync.WaitGroup
	defer reading.Wait()
	defer hangUp()
	for _, e := range all {
		reading.Go(func() { e.read(live) })
	}
	sleep(ctx, settle)
	m, err := t.meter()
	if err != nil {
		return res, err
	}
	var failed failures
	every, began := time.Duration(float64(time.Second)/c.Rate), all[0].now()
	for i, e := range all {
		writing.Go(func() {
			defer e.line.close()
			first := began + every*time.Duration(i)/time.Duration(len(all)) // not all in the same moment
			if err := e.write(ctx, first, every, c.edits()); err != nil {
				failed.add(err)
			}
		})
	}
	writing.Wait()
	s, err := m.read()
	if err != nil {
		return res, err
	}
	res.Faults = failed.faults("editors' requests")
	faults, err := c.converge(ctx, t, all)
	hangUp()
	reading.Wait()
	c.figures(&res, all, s)
	res.Faults = append(res.Faults, faults...)
	return res, cause(ctx, err)
}

// gather puts the editors into one meeting, each with a line and a stream from the beginning.
func (c notes) gather(ctx, live context.Context, t *target) ([]*editor, error) {
	rooms, err := t.stage(ctx, c.Editors, 1)
	if err != nil {
		return nil, err
	}
	d := &desk{mark: newMark(), room: rooms[0], due: make([][]atomic.Int64, c.Editors), late: t.lateness()}
	lines, err := t.lines(ctx, c.Editors)
	if err != nil {
		return nil, err
	}
	seats := make([]seat, c.Editors)
	for i, u := range d.room.members {
		d.due[i] = make([]atomic.Int64, c.edits())
		seats[i] = seat{0, d.room.notes() + "/ops?after=0", u}
	}
	streams, err := t.followAll(live, seats)
	if err != nil {
		closeAll(lines)
		return nil, err
	}
	all := make([]*editor, c.Editors)
	for i, u := range d.room.members {
		all[i] = &editor{desk: d, user: u, number: i, line: lines[i], stream: streams[i], seen: make([]int, c.Editors), moved: make(chan struct{}, 1)}
	}
	return all, nil
}

// converge waits until every editor has read all edits, and returns what is wrong with what they have then.
func (c notes) converge(ctx context.Context, t *target, all []*editor) ([]string, error) {
	l := t.line()
	defer l.close()
	var final struct {
		Content string
		Version int64
	}
	if err := l.call(ctx, request{method: "GET", path: all[0].room.notes(), token: all[0].token}, nil, &final); err != nil {
		return nil, err
	}
	var ended failures
	behind, other, lost := 0, 0, 0
	until := time.After(t.lateness())
	for _, e := range all {
		there, same, err := e.shows(final.Version, final.Content)
		for late := false; !there && err == nil && !late; there, same, err = e.shows(final.Version, final.Content) {
			select {
			case <-e.moved:
			case <-until:
				late, until = true, time.After(0)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		switch {
		case err != nil:
			ended.add(err)
		case !there:
			behind++
		case !same:
			other++
		}
		lost += e.owed()
	}
	faults := ended.faults("streams of edits")
	for _, f := range []struct {
		n    int
		what string
	}{
		{behind, "editors have not read all edits"},
		{other, "editors have another text than a GET answers"},
		{lost, "edits were not acknowledged"},
	} {
		if f.n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	return faults, nil
}

func (c notes) figures(res *result, all []*editor, s spent) {
	var took, arrived []time.Duration
	for _, e := range all {
		took, arrived = append(took, e.took...), append(arrived, e.arrived...)
	}
	edits := max(len(took), 1)
	res.add("edits", float64(len(took))/s.elapsed.Seconds(), "/s", goal{})
	var wanted, delivered goals
	if c.Editors == 100 && c.Rate == 5 {
		wanted.p95, delivered.p95 = below(100).of(sloNotes), below(200).of(sloNotes) // the window is 100 ms
	}
	res.latency("keystroke → answer", summarize(took), wanted)
	res.latency("keystroke → others", summarize(arrived), delivered)
	res.cpu(s, edits, "edit")
}
