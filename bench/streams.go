package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxStreamsOfUser = 100              // what a server allows a user at once
	openers          = 32               // streams being opened at once
	entryTime        = 60 * time.Second // for one stream to be let in by a server that admits so many a second
)

// seat is where a stream is opened: as a user, on a path, which is about a room.
type seat struct {
	at   int // the number of the room
	path string
	user user
}

// seats spreads n streams of messages evenly over the members of all rooms.
func seats(rooms []room, n int) []seat {
	var places []seat
	for at, r := range rooms {
		for _, u := range r.members {
			places = append(places, seat{at, r.messages(), u})
		}
	}
	all := make([]seat, n)
	for i := range all {
		all[i] = places[i%len(places)]
	}
	return all
}

// enter opens a stream, after the event lastID unless that is empty, and returns when it has begun.
func (t *target) enter(ctx context.Context, s seat, lastID string) (*stream, error) {
	got, err := follow(ctx, t.addr, s.path, s.user.token, lastID)
	if err != nil {
		return nil, err
	}
	if err := got.ready(); err != nil {
		got.line.close()
		return nil, err
	}
	return got, nil
}

// admitted enters, and comes again as long as the server asks for it.
func (t *target) admitted(ctx context.Context, s seat) (*stream, error) {
	until := time.Now().Add(entryTime)
	for {
		got, err := t.enter(ctx, s, "")
		e, told := errors.AsType[*ended](err)
		if !told || e.retry == 0 || time.Now().After(until) || !sleep(ctx, e.retry) {
			return got, cause(ctx, err)
		}
	}
}

// followAll opens a stream for each seat and returns when all have begun. They end with ctx; when one cannot
// be opened, the caller ends ctx.
func (t *target) followAll(ctx context.Context, seats []seat) ([]*stream, error) {
	streams := make([]*stream, len(seats))
	var failed failures
	each(openers, len(seats), func(_, i int) {
		if ctx.Err() != nil || failed.tooMany() {
			return
		}
		var err error
		if streams[i], err = t.admitted(ctx, seats[i]); err != nil {
			failed.add(err)
		}
	})
	return streams, cause(ctx, failed.first)
}

// each does i = 0, …, n-1 in so many lanes, and returns when all are done.
func each(lanes, n int, do func(lane, i int)) {
	places := make(chan int)
	var wg sync.WaitGroup
	for lane := range min(lanes, n) {
		wg.Go(func() {
			for i := range places {
				do(lane, i)
			}
		})
	}
	for i := range n {
		places <- i
	}
	close(places)
	wg.Wait()
}
