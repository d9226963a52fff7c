package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	eagerPause   = 250 * time.Millisecond // of one who came at once and found nobody
	defaultRetry = time.Second            // to wait where the server said nothing before the connection broke
	backTime     = 120 * time.Second      // for everyone to be back: a retry of up to a minute, and a minute more
)

// crowd is many streams whose clients come back whenever they break, as EventSource does, after what they have got.
type crowd struct {
	t        *target
	p        *poster
	eager    bool // they come back at once, whatever the stream said; asked again to come later, they do
	watchers []*watcher
	arrivals chan comeback // of each who is back; holds all of them

	mu    sync.Mutex      // guards the rest
	round context.Context // connections live in it
	cut   context.CancelFunc
	left  []error // why streams broke, of those that were not cut
}

// comeback is how one client came back.
type comeback struct {
	at      time.Duration
	resumed bool
	turned  int   // how often it was asked to come later
	err     error // why it gave up
}

// gather opens a stream for each seat, and lets them be read until ctx ends. The caller then waits for wg.
func (t *target) gather(ctx context.Context, p *poster, all []seat, wg *sync.WaitGroup) (*crowd, error) {
	c := &crowd{t: t, p: p, arrivals: make(chan comeback, len(all))}
	c.round, c.cut = context.WithCancel(ctx)
	streams, err := t.followAll(c.round, all)
	if err != nil {
		c.cut()
		return nil, err
	}
	c.watchers = watching(streams, all)
	for _, w := range c.watchers {
		wg.Go(func() { c.follow(ctx, w) })
	}
	return c, nil
}

// connections returns the context in which a connection lives that is made now.
func (c *crowd) connections() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.round
}

// hangUp cuts all connections at once. Those that are made from now on stay.
func (c *crowd) hangUp(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.cut
	c.round, c.cut = context.WithCancel(ctx)
	old()
}

// follow reads a stream and those that come after it, until ctx ends or it cannot come back.
func (c *crowd) follow(ctx context.Context, w *watcher) {
	defer w.ended.Store(true)
	for {
		err := w.read(c.p)
		w.stream.line.close()
		if ctx.Err() != nil {
			return
		}
		c.broke(err)
		back := c.comeBack(ctx, w, err)
		if ctx.Err() != nil {
			return
		}
		select {
		case c.arrivals <- back:
		case <-ctx.Done():
			return
		}
		if back.err != nil {
			w.err = back.err
			return
		}
	}
}

// broke notes why a stream did. What the crowd has cut itself says nothing.
func (c *crowd) broke(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, err)
}

// broken returns why streams broke.
func (c *crowd) broken() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// comeBack waits as the end of the stream asked for, unless it is eager, and connects until it is let in.
func (c *crowd) comeBack(ctx context.Context, w *watcher, why error) comeback {
	back := comeback{}
	wait, lastID := retryOf(why, defaultRetry), w.stream.lastID()
	until := time.Now().Add(backTime)
	if c.eager {
		wait = 0
	}
	for {
		if !sleep(ctx, wait) {
			return back
		}
		s, err := c.t.enter(c.connections(), w.tracks[0].seat, lastID)
		if err == nil {
			w.stream = s
			back.at, back.resumed = c.p.now(), s.begun.Resumed
			return back
		}
		if r, ok := errors.AsType[*refused](err); ok && r.status != 503 || time.Now().After(until) {
			back.err = err
			return back
		}
		if _, told := errors.AsType[*ended](err); told {
			back.turned++
		}
		if wait = retryOf(err, wait); wait == 0 {
			wait = eagerPause // nobody listens, or nobody says how long to wait
		}
	}
}

// retryOf is how long a client waits after err, and otherwise where err does not say.
func retryOf(err error, otherwise time.Duration) time.Duration {
	if e, ok := errors.AsType[*ended](err); ok && e.retry > 0 {
		return e.retry
	}
	return otherwise
}

// returned is how a crowd came back.
type returned struct {
	after             []time.Duration // when each was back, since began
	forgotten, turned int
	gaveUp            failures
}

// awaitBack waits until each of the crowd is back, or backTime is over.
func (c *crowd) awaitBack(ctx context.Context, began time.Duration) *returned {
	var r returned
	limit := time.NewTimer(backTime)
	defer limit.Stop()
	for range c.watchers {
		select {
		case back := <-c.arrivals:
			r.turned += back.turned
			if back.err != nil {
				r.gaveUp.add(back.err)
				continue
			}
			if !back.resumed {
				r.forgotten++
			}
			r.after = append(r.after, back.at-began)
		case <-limit.C:
			r.gaveUp.add(fmt.Errorf("only %d of %d are back after %v", len(r.after), len(c.watchers), backTime))
			return &r
		case <-ctx.Done():
			return &r
		}
	}
	return &r
}

// faults lists what was wrong with a coming back.
func (r *returned) faults() []string {
	faults := r.gaveUp.faults("returns of streams")
	if r.forgotten > 0 {
		faults = append(faults, fmt.Sprintf("%d streams were not resumed", r.forgotten))
	}
	return faults
}
