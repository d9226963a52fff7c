package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const streamsOfUser = 50 // half of what a user may hold

// idle opens streams on which nothing happens.
type idle struct {
	Streams int           `short:"n" default:"10000" help:"Streams to open."`
	Hold    time.Duration `default:"20s" help:"How long to hold them; beyond 15 s each brings a heartbeat."`
}

// Validate is called by kong.
func (c idle) Validate() error {
	return bounds(
		bound{"streams", float64(c.Streams), 1, 20_000},
		bound{"hold in seconds", c.Hold.Seconds(), 0.1, 600},
	)
}

func (c idle) name() string { return "idle" }

func (c idle) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: fmt.Sprintf("%d streams, held for %v", c.Streams, c.Hold)}
	rooms, err := c.rooms(ctx, t)
	if err != nil {
		return res, err
	}
	var before int64
	if t.pid != 0 {
		sleep(ctx, settle)
		if before, err = residentSize(t.pid); err != nil {
			return res, err
		}
	}
	live, hangUp := context.WithCancel(ctx)
	defer hangUp()
	began := time.Now()
	streams, err := t.followAll(live, seats(rooms, c.Streams))
	if err != nil {
		return res, err
	}
	res.add("streams opened", float64(len(streams))/time.Since(began).Seconds(), "/s", goal{})
	return c.hold(ctx, t, hold{live, hangUp, streams, before}, res)
}

// rooms makes as many users as the streams need, each in one room.
func (c idle) rooms(ctx context.Context, t *target) ([]room, error) {
	users, err := t.signIn(ctx, (c.Streams+streamsOfUser-1)/streamsOfUser)
	if err != nil {
		return nil, err
	}
	var rooms []room
	for len(users) > 0 {
		n := min(len(users), maxMembers)
		r, err := t.open(ctx, users[:n])
		if err != nil {
			return nil, err
		}
		rooms, users = append(rooms, r), users[n:]
	}
	return rooms, nil
}

// hold is a set of open streams, the context they live in, and the server's memory before them.
type hold struct {
	live    context.Context
	hangUp  context.CancelFunc
	streams []*stream
	before  int64
}

// hold reads the streams for a while, then takes the server's memory and ends them.
func (c idle) hold(ctx context.Context, t *target, h hold, res result) (result, error) {
	var ended failures
	var wg sync.WaitGroup
	for _, s := range h.streams {
		wg.Go(func() {
			for {
				if _, err := s.next(); err != nil {
					if h.live.Err() == nil {
						ended.add(err)
					}
					return
				}
			}
		})
	}
	m, err := t.meter()
	sleep(ctx, c.Hold)
	s, err2 := m.read()
	if err == nil {
		err = err2
	}
	if err == nil && t.pid != 0 {
		var after int64
		after, err = residentSize(t.pid)
		res.add("RSS per stream", float64(after-h.before)/1024/float64(len(h.streams)), "KB", atMost(48).of(sloIdle))
		res.add("RSS", float64(after)/(1<<20), "MB", goal{})
		res.add("server CPU while idle", 100*s.server.Seconds()/s.elapsed.Seconds(), "% of a core", goal{})
		res.add("CPU of others", s.others(), "%", goal{})
	}
	h.hangUp()
	wg.Wait()
	res.Faults = append(res.Faults, ended.faults("idle streams")...)
	return res, cause(ctx, err)
}
