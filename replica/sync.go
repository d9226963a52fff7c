package replica

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sync returns when the replica holds everything that was committed before the call,
// and nobody else had the lease by then: whoever has it later goes on with that. It
// returns an error when ctx ends or the sync fails. Those who call it at a time share a
// sync.
func (r *Replica) Sync(ctx context.Context) error {
	w := make(chan error, 1)
	r.mu.Lock()
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default: // somebody has asked already
	}
	select {
	case err := <-w:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sync copies what is new, every second and when somebody asks, until ctx ends.
func (r *Replica) sync(ctx context.Context) {
	pause := time.NewTimer(0) // until the next sync may begin
	defer pause.Stop()
	every := time.NewTicker(syncEvery)
	defer every.Stop()
	backoff := syncEvery
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		waited := false
		select {
		case <-every.C:
		case <-r.asked:
			waited = true
		case <-ctx.Done():
			return
		}
		committed := r.source.Committed()
		if !waited && r.attached && committed == r.synced && r.Status().State == Replicating {
			pause.Reset(0) // nothing is new: no request
			continue
		}
		err := r.once(ctx, committed)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			backoff = syncEvery
			pause.Reset(syncPause)
			continue
		}
		pause.Reset(backoff)
		backoff = min(2*backoff, maxBackoff)
	}
}

// once copies everything up to a commit, and answers those who wait for it.
func (r *Replica) once(ctx context.Context, committed int64) error {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	waiters := r.take()
	err := r.copyNew(ctx)
	if !errors.Is(ctx.Err(), context.Canceled) {
		if err == nil {
			r.synced = committed
		}
		r.tell(err) // first: who is answered finds it in the status
	}
	for _, w := range waiters {
		w <- err
	}
	return err
}

func (r *Replica) copyNew(ctx context.Context) error {
	if r.db == nil {
		if err := r.connect(ctx); err != nil {
			return err
		}
	}
	if err := r.db.Sync(ctx); err != nil {
		return r.explain(err)
	}
	if !r.attached {
		r.attached = true
		r.source.Attach(r.copyBack)
	}
	// What another has gone on without is not added to what it has gone on from.
	if err := r.lease.confirm(ctx); err != nil {
		return r.explain(err)
	}
	if err := r.db.Replica.Sync(ctx); err != nil {
		return r.explain(err)
	}
	// The library takes a replica that is ahead for one that needs nothing.
	if here, err := r.localPosition(); err != nil || here < uint64(r.db.Replica.Pos().TXID) {
		return fmt.Errorf("replica %s: it has gone further (transaction %d) than the file (%d)", r.target, r.db.Replica.Pos().TXID, here)
	}
	return r.explain(r.lease.confirm(ctx)) // it may have lapsed, and another have looked before all was there
}

// take returns those who wait, who wait no longer for another sync.
func (r *Replica) take() []chan error {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiters := r.waiters
	r.waiters = nil
	return waiters
}

// answer answers all who wait.
func (r *Replica) answer(err error) {
	for _, w := range r.take() {
		w <- err
	}
}
