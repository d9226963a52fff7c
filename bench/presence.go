package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	presenceLanes = 32              // PUTs that may wait for their answer at once
	presencePace  = time.Second     // between two snapshots of a stream, at least
	prime         = 20_011          // no number of people has it as a factor
	calm          = 2 * time.Second // after the last PUT, until every stream has told of it
)

// presence lets people say that they are here, each of whom follows who else is.
type presence struct {
	People   int           `short:"n" default:"1000" help:"People, each in one meeting with one stream."`
	Meetings int           `default:"100" help:"Meetings that they are in."`
	Every    time.Duration `default:"10s" help:"How often each of them says so."`
	Cursor   bool          `help:"Each time with a cursor that has moved."`
	Duration time.Duration `short:"d" default:"20s" help:"How long."`
}

// Validate is called by kong.
func (c presence) Validate() error {
	return bounds(
		bound{"people", float64(c.People), 1, 20_000},
		bound{"meetings", float64(c.Meetings), 1, float64(c.People)},
		bound{"people for each of the meetings", float64(c.People) / float64(c.Meetings), 1, maxMembers},
		bound{"every in seconds", c.Every.Seconds(), 0.1, 30},
		bound{"duration in seconds", c.Duration.Seconds(), 0.1, 3600},
	)
}

func (c presence) name() string {
	if c.Cursor {
		return "presence with cursors"
	}
	return "presence"
}

// here is somebody in a room, and what their stream has told.
type here struct {
	user
	room   room
	stream *stream
	// Its reader alone writes these; they are read once it has ended.
	last  []byte
	count int // of snapshots while the load went on, but for its first second
	err   error
}

func (c presence) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d people in %d meetings, each with a stream and a PUT every %v for %v",
		c.People, c.Meetings, c.Every, c.Duration)}
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	all, err := c.gather(ctx, live, t)
	if err != nil {
		return res, err
	}
	lines, err := t.lines(ctx, presenceLanes)
	if err != nil {
		return res, err
	}
	defer closeAll(lines)
	var failed failures
	say := c.saying(ctx, lines, all, &failed)
	each(len(lines), len(all), say) // so that all are here
	sleep(ctx, calm)
	m, err := t.meter()
	if err != nil {
		return res, err
	}
	until := m.began.Add(c.Duration)
	var wg sync.WaitGroup
	for _, h := range all {
		wg.Go(func() { h.err = h.read(live, m.began.Add(presencePace), until) })
	}
	puts := max(int(float64(c.People)*c.Duration.Seconds()/c.Every.Seconds()), 1)
	behind := pace(ctx, puts, float64(c.People)/c.Every.Seconds(), len(lines), say)
	s, err := m.read()
	if err != nil {
		return res, err
	}
	sleep(ctx, calm)
	fresh, err := c.fresh(ctx, t, all)
	hangUp()
	wg.Wait()
	c.figures(&res, all, s, puts, behind)
	res.Faults = append(append(res.Faults, failed.faults("PUTs")...), c.faults(all, fresh)...)
	return res, cause(ctx, err)
}

// gather puts everybody into a room of theirs and opens their streams.
func (c presence) gather(ctx, live context.Context, t *target) ([]*here, error) {
	users, err := t.signIn(ctx, c.People)
	if err != nil {
		return nil, err
	}
	rooms := make([]room, c.Meetings)
	var failed failures
	each(builders, len(rooms), func(_, i int) {
		if failed.tooMany() || ctx.Err() != nil {
			return
		}
		opened, err := t.open(ctx, users[i*len(users)/len(rooms):(i+1)*len(users)/len(rooms)])
		if err != nil {
			failed.add(err)
		}
		rooms[i] = opened
	})
	if failed.first != nil || ctx.Err() != nil {
		return nil, cause(ctx, failed.first)
	}
	var all []*here
	var places []seat
	for at, r := range rooms {
		for _, u := range r.members {
			all = append(all, &here{user: u, room: r})
			places = append(places, seat{at, r.presence(), u})
		}
	}
	streams, err := t.followAll(live, places)
	if err != nil {
		return nil, err
	}
	for i, h := range all {
		h.stream = streams[i]
	}
	return all, nil
}

func (r room) presence() string { return r.path + "/presence" }

// saying returns what says for the n-th time that somebody is here, one after the other.
func (c presence) saying(ctx context.Context, lines []*line, all []*here, failed *failures) func(lane, n int) {
	return func(lane, n int) {
		if failed.tooMany() || ctx.Err() != nil {
			return
		}
		// Those of one meeting do not come one after the other.
		h, body := all[n%len(all)*prime%len(all)], []byte(`{}`)
		if c.Cursor {
			body = fmt.Appendf(nil, `{"typing":true,"cursor":{"version":%d,"anchor":%d,"head":%d}}`, n, n%1000, n%1000)
		}
		got, err := lines[lane].do(ctx, request{method: "PUT", path: h.room.presence(), token: h.token, body: body})
		if err == nil && got.status != 204 {
			err = refusal(got.status, got.body)
		}
		if err != nil {
			failed.add(err)
		}
	}
}

// read takes what comes until the stream ends, and returns why it did unless that was to be. It counts what comes
// between the two times: before, it may read at once what has waited in the buffers of the network.
func (h *here) read(live context.Context, from, until time.Time) error {
	for {
		e, err := h.stream.next()
		switch {
		case live.Err() != nil:
			return nil
		case err != nil:
			return err
		case e.name != "snapshot":
			continue
		}
		if now := time.Now(); now.After(from) && now.Before(until) {
			h.count++
		}
		h.last = append(h.last[:0], e.data...)
	}
}

// fresh returns what a GET answers, by room.
func (c presence) fresh(ctx context.Context, t *target, all []*here) (map[string][]byte, error) {
	l := t.line()
	defer l.close()
	answers := map[string][]byte{}
	for _, h := range all {
		if answers[h.room.path] != nil {
			continue
		}
		got, err := l.do(ctx, request{method: "GET", path: h.room.presence(), token: h.token})
		if err == nil && got.status != 200 {
			err = refusal(got.status, got.body)
		}
		if err != nil {
			return nil, err
		}
		answers[h.room.path] = bytes.Clone(got.body)
	}
	return answers, nil
}

func (c presence) figures(res *result, all []*here, s spent, puts int, behind time.Duration) {
	snapshots := 0
	for _, h := range all {
		snapshots += h.count
	}
	res.add("PUTs", float64(puts)/s.elapsed.Seconds(), "/s", goal{})
	res.add("snapshots", float64(snapshots)/max(s.elapsed-presencePace, presencePace).Seconds(), "/s", goal{})
	res.add("behind the pace", ms(behind), "ms", goal{})
	if s.known {
		wanted := goal{}
		if !c.Cursor {
			wanted = below(5).of(sloPresence)
		}
		res.add("server CPU", 100*s.server.Seconds()/s.elapsed.Seconds(), "% of a core", wanted)
		res.add("CPU of others", s.others(), "%", goal{})
	}
}

// faults is what was told too often, too late, wrongly or not to the end.
func (c presence) faults(all []*here, fresh map[string][]byte) []string {
	var ended failures
	var hasty, stale, lacking int
	for _, h := range all {
		if h.err != nil {
			ended.add(h.err)
			continue
		}
		var list struct{ Items []struct{ UserID string } }
		_ = json.Unmarshal(h.last, &list)             // what is no list lacks everybody
		if h.count > int(c.Duration/presencePace)+1 { // one may be late into its first second
			hasty++
		}
		if !bytes.Equal(bytes.TrimSpace(h.last), bytes.TrimSpace(fresh[h.room.path])) {
			stale++
		}
		if len(list.Items) != len(h.room.members) {
			lacking++
		}
	}
	faults := ended.faults("streams of presence")
	for _, f := range []struct {
		n    int
		what string
	}{
		{hasty, "streams were told more often than once a second"},
		{stale, "streams do not end on the answer of a GET"},
		{lacking, "streams do not show everybody who is here"},
	} {
		if f.n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	return faults
}
