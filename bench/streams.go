package main

import (
	"context"
	"sync"
)

const (
	maxStreamsOfUser = 100 // what a server allows a user at once
	openers          = 32  // streams being opened at once
)

// seat is where a stream is opened: as a user, on the messages of a room.
type seat struct {
	room room
	user user
}

// seats spreads n streams evenly over the members of all rooms.
func seats(rooms []room, n int) []seat {
	var places []seat
	for _, r := range rooms {
		for _, u := range r.members {
			places = append(places, seat{r, u})
		}
	}
	all := make([]seat, n)
	for i := range all {
		all[i] = places[i%len(places)]
	}
	return all
}

// followAll opens a stream for each seat and returns when all have begun. They end with ctx; when one cannot
// be opened, the caller ends ctx.
func (t *target) followAll(ctx context.Context, seats []seat) ([]*stream, error) {
	streams := make([]*stream, len(seats))
	places := make(chan int)
	var failed failures
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			for i := range places {
				s, err := follow(ctx, t.addr, seats[i].room.messages(), seats[i].user.token)
				if err == nil {
					streams[i], err = s, s.ready()
				}
				if err != nil {
					failed.add(err)
				}
			}
		})
	}
	for i := range seats {
		if ctx.Err() != nil || failed.tooMany() {
			break
		}
		places <- i
	}
	close(places)
	wg.Wait()
	return streams, cause(ctx, failed.first)
}
