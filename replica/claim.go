package replica

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sight is what a server that does not write sees of the one that does.
type Sight struct {
	Holder
	Free    bool     // the lease may be taken
	Renewed bool     // it was seen to be renewed twice: once may have been on its way when its server died
	Newest  Position // what the replica held by then, at least
}

// Look reads who has the lease, and whether it may be taken: who asks every second
// learns within a sixth more than its term that its owner is gone.
func (r *Replica) Look(ctx context.Context) (Sight, error) {
	if err := r.lease.look(ctx); err != nil {
		return Sight{}, r.explain(err)
	}
	return r.lease.sight(), nil
}

func (l *lease) sight() Sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Sight{
		Holder: l.seen.Holder, Free: l.free(), Renewed: l.changes > 2,
		Newest: Position{Generation: l.seen.last().Number, Transaction: l.seen.Transaction},
	}
}

// Take takes the lease, if it may be taken, and renews it from now on. ErrTaken says
// that another was before.
func (r *Replica) Take(ctx context.Context) error {
	if err := r.lease.take(ctx, r.owned.Generation); err != nil {
		return r.explain(err)
	}
	running, leave := context.WithCancel(context.WithoutCancel(ctx))
	r.leave = leave
	r.left.Go(func() { r.lease.keep(running, r.renewed()) })
	r.log.Info("the lease is ours", "replica", r.target.String(), "generation", r.lease.generation(), "owner", r.lease.self.Owner)
	return nil
}

// renewed returns what logs how the renewals go, once each way.
func (r *Replica) renewed() func(error) {
	failing := false
	return func(err error) {
		switch {
		case errors.Is(err, ErrTaken):
			r.log.Error("another server has taken the lease: nothing more is written", "replica", r.target.String())
		case err != nil && !failing:
			r.log.Error("the lease could not be renewed", "replica", r.target.String(), "error", r.explain(err), "strict", r.lease.strict)
		case err == nil && failing:
			r.log.Info("the lease is renewed again", "replica", r.target.String())
		}
		failing = err != nil
	}
}

// goOn takes the lease for a server that was started while the replica was away. It
// may only go on where it was: what another has written since is not in its file.
func (r *Replica) goOn(ctx context.Context) error {
	if r.lease.mine() {
		return nil
	}
	s, err := r.Look(ctx)
	if err != nil {
		return err
	}
	if s.Newest.Generation != 0 && (s.Owner != r.lease.self.Owner || s.Newest.Generation != r.owned.Generation) {
		r.lease.lose()
		return ErrTaken
	}
	if err := r.refuseOrphan(ctx); err != nil {
		return err
	}
	return r.Take(ctx)
}

// Whose refuses a file of another database than the replica holds, before anything is
// taken. What cannot be asked now is not refused.
func (r *Replica) Whose(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if err := r.lease.look(ctx); err != nil {
		return unlessAway(r.explain(err))
	}
	if err := r.refuseOrphan(ctx); err != nil {
		return unlessAway(err)
	}
	m, found, err := r.marker(ctx)
	if err != nil || !found || m.Database == id || r.requireEmpty(ctx) == nil {
		return unlessAway(err)
	}
	return r.another()
}

// Complete refuses a replica that holds less than its owner has seen in it, as its lease
// tells: what is there is an older state, or none.
func (r *Replica) Complete(newest Position) error {
	seen := r.lease.sight().Newest
	if seen.Transaction == 0 || newest.Generation > seen.Generation || (newest.Generation == seen.Generation && newest.Transaction >= seen.Transaction) {
		return nil
	}
	return fmt.Errorf("replica %s: files of it are missing: it holds up to %s, and %s tells of %s; put them back, or see connvo snapshots for what connvo restore can go back to", r.target, newest, leaseName, seen)
}

// refuseOrphan refuses a replica whose lease is gone: nobody can tell what of it is the
// newest.
func (r *Replica) refuseOrphan(ctx context.Context) error {
	if len(r.known()) > 0 {
		return nil
	}
	_, found, err := r.marker(ctx)
	if err == nil && found {
		err = fmt.Errorf("replica %s: its %s is missing, which says what of it is the newest; put it back, or name another place", r.target, leaseName)
	}
	return err
}

func unlessAway(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return nil
	}
	return err
}

// Check returns nil while what is written may be answered: ErrTaken for good once
// another server has the lease, and ErrLapsed where the lease is strict and could not
// be renewed. It asks nobody.
func (r *Replica) Check() error { return r.lease.check() }

// Taken is closed when another server has taken the lease.
func (r *Replica) Taken() <-chan struct{} { return r.lease.gone }

// Bumped reports whether the lease is one of a new generation, with which the file has
// to be compared.
func (r *Replica) Bumped() bool { return r.lease.generation() != r.owned.Generation }

// Astray reports whether nothing beside the file tells how far it was copied, to a
// generation that nobody else has written.
func (r *Replica) Astray() (bool, error) {
	s := r.lease.sight()
	if r.owned.Generation == 0 || s.Newest.Generation != r.owned.Generation || s.Owner != r.lease.self.Owner {
		return false, nil
	}
	here, err := localTXID(r.path)
	if err != nil {
		return false, fmt.Errorf("replica %s: %w", r.target, err)
	}
	return here == 0, nil
}

// Anew has the file copied from its beginning, to a generation of its own.
func (r *Replica) Anew() { r.owned.Generation = 0 }

// Forsake forgets what is kept beside a file that was put aside.
func (r *Replica) Forsake() error {
	r.owned.Generation = 0
	return removeAll(ownedPath(r.path), metaPath(r.path))
}

// LeaseStatus is how the lease is, from memory.
type LeaseStatus struct {
	State      string // held, lapsed, taken, or none while it could not be asked for
	Owner      Holder // as it was last seen
	Generation uint64
	Left       time.Duration // until it lapses; 0 when it has
}

// Lease returns how the lease is.
func (r *Replica) Lease() LeaseStatus {
	l := r.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LeaseStatus{State: "none", Owner: l.seen.Holder, Generation: l.seen.last().Number}
	switch {
	case l.lost:
		s.State = "taken"
	case l.held && l.clock() < l.until:
		s.State, s.Left = "held", l.until-l.clock()
	case l.held:
		s.State = "lapsed"
	}
	return s
}

// String names a server as a message does, "" for none.
func (h Holder) String() string {
	switch {
	case h.Machine != "":
		return "machine " + h.Machine
	case h.URL != "":
		return h.URL
	}
	return h.Owner
}
