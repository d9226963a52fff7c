package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"connvo/db"
	"connvo/jobs"
)

const (
	// catchUpEvery is how long an event waits at most that no webhook has brought.
	catchUpEvery = 5 * time.Minute
	// catchUpFrom is how far back a new database begins: a token that is older
	// has expired, and what a younger one says is as new as the events since.
	catchUpFrom = 24 * time.Hour
	// eventPage is how many events are read at a time, and stored in one
	// transaction: the most that WorkOS gives.
	eventPage = 100
	// maxEventPage bounds a page in bytes: users with all the metadata that there
	// can be, see maxPerson, have a fifth of a megabyte each.
	maxEventPage = eventPage * (maxPerson / 2)
	// catchUpAttempts is how often a page is asked for at growing intervals, a
	// minute or two, before it is given up until the next time: the job must not
	// die while WorkOS is away for hours.
	catchUpAttempts = 7
)

// errLostCursor says that WorkOS does not know the event any more after which we
// ask: it keeps them for 30 days.
var errLostCursor = errors.New("WorkOS does not take our place in its list of events")

// cursor is our place in the list of events.
type cursor struct {
	event string    // the last that was read, "" for none
	since time.Time // the instant of it, or where to begin
}

// wirePage is a page of the list of events.
type wirePage struct {
	Data     []wireEvent `json:"data"`
	Metadata struct {
		After string `json:"after"` // "" at the end
	} `json:"list_metadata"`
}

// Start arranges that the list of events is read, now and from then on.
func (in *Inbox) Start(ctx context.Context) error {
	if in.api == nil {
		return nil
	}
	return in.db.Write(ctx, func(tx *db.WriteTx) error { return catchUpAt(tx, tx.Now) })
}

func catchUpAt(tx *db.WriteTx, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: CatchUp, Name: CatchUp, RunAt: at})
}

// CatchUp is the handler of the job CatchUp: it reads a page of the list of
// events, from where it last stopped, and stores what is new. It asks for itself
// again: at once while there is more, else in catchUpEvery.
func (in *Inbox) CatchUp(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	if in.api == nil {
		return nil, nil // what another configuration has left
	}
	at, err := in.cursor(ctx)
	if err != nil {
		return nil, err
	}
	p, err := in.api.eventsAfter(ctx, at)
	if errors.Is(err, errLostCursor) {
		in.log.Warn("WorkOS does not know the last event any more: events are read from its instant on", "event", at.event, "since", at.since)
		p, err = in.api.eventsAfter(ctx, cursor{since: at.since})
	}
	switch {
	case err != nil && t.Attempt < catchUpAttempts:
		return nil, err
	case err != nil:
		in.log.Error("the events of WorkOS cannot be read", "error", err, "again in", catchUpEvery)
		return func(tx *db.WriteTx) error { return catchUpAt(tx, tx.Now.Add(catchUpEvery)) }, nil
	}
	return in.store(at, p), nil
}

// cursor returns our place in the list.
func (in *Inbox) cursor(ctx context.Context) (at cursor, err error) {
	err = in.db.Read(ctx, func(tx db.Reader) error {
		at, err = db.One(tx, scanCursor, selectCursor)
		return err
	})
	if errors.Is(err, db.ErrNone) {
		return cursor{since: in.db.Now().Add(-catchUpFrom)}, nil
	}
	return at, err
}

// store returns what stores the page that follows at.
func (in *Inbox) store(at cursor, p wirePage) jobs.Effect {
	var all []event
	next := at
	for _, w := range p.Data {
		if next.event = w.ID; w.CreatedAt.After(next.since) {
			next.since = w.CreatedAt
		}
		e, matters, err := w.event()
		switch {
		case err != nil: // it must not keep those behind it from being read
			in.log.Error("an event of WorkOS cannot be read", "event", w.ID, "kind", w.Kind, "reason", err)
		case matters:
			all = append(all, e)
		}
	}
	more := p.Metadata.After != "" && next != at
	return func(tx *db.WriteTx) error {
		for _, e := range all {
			fresh, err := accept(tx, e)
			if err != nil {
				return err
			}
			in.count(fresh)
		}
		if _, err := tx.Exec(upsertCursor, next.event, next.since.UnixMilli()); err != nil {
			return err
		}
		if more {
			return catchUpAt(tx, tx.Now)
		}
		return catchUpAt(tx, tx.Now.Add(catchUpEvery))
	}
}

// eventsAfter returns the page of the list of events that follows c.
//
// Errors: errLostCursor when WorkOS refuses c.event.
func (d *WorkOSDirectory) eventsAfter(ctx context.Context, c cursor) (wirePage, error) {
	ctx, cancel := context.WithTimeout(ctx, personTimeout)
	defer cancel()
	q := url.Values{"events": {followedEvents}, "order": {"asc"}, "limit": {strconv.Itoa(eventPage)}}
	if c.event != "" {
		q.Set("after", c.event)
	} else {
		q.Set("range_start", c.since.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	r, err := d.policies.WithContext(ctx).Get(func() (reply, error) { return d.ask(ctx, d.events+"?"+q.Encode(), maxEventPage) })
	if err != nil {
		return wirePage{}, fmt.Errorf("ask WorkOS for events: %w", err)
	}
	switch r.status {
	case http.StatusOK:
		var p wirePage
		if err := json.Unmarshal(r.body, &p); err != nil {
			return wirePage{}, fmt.Errorf("the events of WorkOS, in answer %q: %w", r.id, err)
		}
		return p, nil
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		if c.event != "" {
			return wirePage{}, errLostCursor
		}
	}
	return wirePage{}, fmt.Errorf("WorkOS answered %d to a question about events, in answer %q", r.status, r.id)
}
