package main

import (
	"context"
	"encoding/json"
	"maps"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/jobs"
)

// afterEnd is something to be done once for every meeting that has ended.
//
// Its job is enqueued in the transaction of the end, under a name made of kind and
// meeting, so that there is one however often it is asked for. do may be stopped
// anywhere and run again, hence what it does outside the database must bear
// repeating; the effect it returns is committed together with the end of the job,
// and must leave the same when it finds its own work done. None waits for another:
// what needs the result of one is enqueued by that one's effect.
type afterEnd struct {
	kind string
	do   func(ctx context.Context, m domain.MeetingID) (effect func(tx *db.WriteTx) error, err error)
}

// startAll returns what follows the end of a meeting so that each is done.
func startAll(all []afterEnd) []events.Follow {
	follows := make([]events.Follow, len(all))
	for i, a := range all {
		follows[i] = func(tx *db.WriteTx, e events.Event) error {
			org, err := meetings.OrgOf(tx, e.Meeting)
			if err != nil {
				return err
			}
			return jobs.Enqueue(tx, jobs.Job{Kind: a.kind, Name: a.kind + ":" + string(e.Meeting), Org: org, Payload: e.Meeting})
		}
	}
	return follows
}

// withAll returns the handlers together with those of what the end of a meeting
// starts.
func withAll(all []afterEnd, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	handlers = maps.Clone(handlers)
	for _, a := range all {
		handlers[a.kind] = func(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
			var m domain.MeetingID
			if err := json.Unmarshal(t.Payload, &m); err != nil {
				return nil, err
			}
			return a.do(ctx, m)
		}
	}
	return handlers
}
