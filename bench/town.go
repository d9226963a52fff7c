package main

import (
	"context"
	"fmt"
)

const builders = 16 // rooms being opened at once

// town signs in users and opens rooms of so many members each, spread evenly over the users.
func (t *target) town(ctx context.Context, users, rooms, members int) ([]room, error) {
	people, err := t.signIn(ctx, users)
	if err != nil {
		return nil, err
	}
	all := make([]room, rooms)
	var failed failures
	each(builders, rooms, func(_, i int) {
		if failed.tooMany() || ctx.Err() != nil {
			return
		}
		in := make([]user, min(members, users))
		for j := range in {
			in[j] = people[(i+j)%users]
		}
		r, err := t.open(ctx, in)
		if err != nil {
			failed.add(err)
		}
		all[i] = r
	})
	return all, cause(ctx, failed.first)
}

// five are the live GETs of a meeting: three feeds, its state and itself.
func five(r room, state string) []string {
	return []string{
		r.messages() + "?after=0",
		r.messages(),
		r.path + "/events?after=0",
		r.path + state,
		r.path,
	}
}

// statePath returns what stands for the state of a meeting, and notes it where that is not the state itself.
func (t *target) statePath(ctx context.Context, r room, res *result) (string, error) {
	l := t.line()
	defer l.close()
	err := l.call(ctx, request{method: "GET", path: r.path + "/state", token: r.members[0].token}, nil, nil)
	if notOffered(err) {
		res.note("GET …/state is not offered by this server: participants stand for it")
		return "/participants", nil
	}
	if err != nil {
		return "", fmt.Errorf("is there a state: %w", err)
	}
	return "/state", nil
}
