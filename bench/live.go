package main

import (
	"context"
)

// live follows many meetings at once as meetings does, with one connection for each member that carries all five.
type live struct {
	busy
}

// Validate is called by kong.
func (c live) Validate() error { return c.validate() }

func (c live) name() string { return "live" }

func (c live) measure(ctx context.Context, t *target) (result, error) {
	res := result{Scenario: c.name(), Load: c.load()}
	offered, err := t.liveOffered(ctx)
	if err != nil || !offered {
		res.note("GET /v1/live is not offered by this server: nothing was measured")
		return res, err
	}
	return c.run(ctx, t, res, func(rooms []room, state string) show {
		return show{open: func(ctx context.Context) ([]*watcher, error) { return t.openRounds(ctx, rooms, state) }}
	})
}

// liveOffered tells whether the server has connections that carry many live GETs.
func (t *target) liveOffered(ctx context.Context) (bool, error) {
	users, err := t.signIn(ctx, 1)
	if err != nil {
		return false, err
	}
	s, err := t.admitted(ctx, seat{path: livePath([]string{"/v1/meetings"}), user: users[0]})
	if notOffered(err) {
		return false, nil
	}
	if err == nil {
		s.line.close()
	}
	return err == nil, err
}

// openRounds opens a connection for each of the two who follow a room.
func (t *target) openRounds(ctx context.Context, rooms []room, state string) ([]*watcher, error) {
	var seats []seat
	var watchers []*watcher
	for at, r := range rooms {
		paths := five(r, state)
		for _, u := range r.members[:2] {
			seats = append(seats, seat{at, livePath(paths), u})
			w := &watcher{rounds: true, round: -1}
			for _, path := range paths {
				w.tracks = append(w.tracks, &track{seat: seat{at, path, u}})
			}
			watchers = append(watchers, w)
		}
	}
	streams, err := t.followAll(ctx, seats)
	for i, s := range streams {
		watchers[i].stream = s
	}
	return watchers, err
}
