package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connvo/handlers"
	"connvo/replica"
)

// The bounds of a standby.
const (
	// lookTime bounds one question for the lease; the next follows at once.
	lookTime = 5 * time.Second
	// finishTime bounds the last of following, of which the whole is a few files; the
	// database is restored from the beginning where it takes longer.
	finishTime = 20 * time.Second
	// followAgain is between two beginnings of following that has failed.
	followAgain = 10 * time.Second
)

// standby is a server that waits for the lease. With --lease strict it follows what the
// owner writes, and sends requests there.
type standby struct {
	*opening
	waiting  *handlers.Standby
	stands   bool      // it answers
	owner    string    // who was last logged to own the lease
	again    time.Time // not before it is another follower begun
	compared uint64    // the generation with which the file was compared
	away     bool      // the replica did not answer when it was last asked
}

func newStandby(o *opening) *standby {
	return &standby{opening: o, waiting: handlers.NewStandby(o.c.FlyMachine != "")}
}

// try takes the lease if it can be had; done says that there is nothing more to wait
// for.
func (s *standby) try(ctx context.Context) (done bool, err error) {
	asking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	seen, err := s.r.Look(asking)
	away := errors.Is(err, replica.ErrUnreachable)
	if away && !s.away && s.c.Lease == strict {
		s.log.Warn("the replica does not answer; nothing is served until it does", "error", err)
	}
	s.away = away
	switch {
	case away && s.c.Lease == warn && s.db != nil:
		return true, nil // the copying takes the lease once it can
	case away && s.c.Lease == strict:
		s.stands = true
		s.stand(nil)
		return false, nil
	case err != nil:
		return false, err
	case !seen.Free:
		return false, s.wait(ctx, seen)
	}
	err = s.r.Take(asking)
	if errors.Is(err, replica.ErrTaken) || (errors.Is(err, replica.ErrUnreachable) && s.c.Lease == strict) {
		s.stand(nil)
		return false, nil // another was faster, or it was in vain
	}
	if err == nil {
		s.stand(nil)
	}
	return err == nil, err
}

// wait is what is done while another server has the lease.
func (s *standby) wait(ctx context.Context, seen replica.Sight) error {
	owner := seen.Holder.String()
	if owner != s.owner {
		s.owner = owner
		s.log.Info("another server has the lease", "owner", owner, "lease", s.c.Lease)
	} else if s.c.Lease == warn && seen.Renewed {
		return fmt.Errorf("replica %s: another server (%s) has the lease, and renews it; end that one, or stand by with --lease strict", s.c.ReplicaURL, owner)
	}
	if s.c.Lease == warn {
		return nil
	}
	s.stand(s.elsewhere(seen.Holder))
	return s.follow(ctx, seen.Newest)
}

// elsewhere returns where the owner is reached. What leads here leads nowhere else: to an
// owner that was on this machine, or by a URL that both have.
func (s *standby) elsewhere(h replica.Holder) *handlers.Owner {
	o := &handlers.Owner{Machine: h.Machine, URL: h.URL}
	if o.Machine == s.c.FlyMachine {
		o.Machine = ""
	}
	if o.URL == s.c.PublicURL {
		o.URL = ""
	}
	return o
}

// stand answers requests in the place of the owner, nil for one that is not known: then
// only where it did before, because this server may be the owner in a moment.
func (s *standby) stand(owner *handlers.Owner) {
	if s.c.Lease == strict && (owner != nil || s.stands) {
		s.stands = true
		s.waiting.Own(owner)
		s.standing(s.waiting)
	}
}

// follow follows what the owner writes. A file that it has gone on without is put aside
// first, and one that it has not is left until the lease is ours.
func (s *standby) follow(ctx context.Context, newest replica.Position) error {
	if newest.Transaction == 0 {
		return nil // its generation holds nothing yet
	}
	if s.db != nil && s.compared != newest.Generation {
		if err := s.compare(ctx); errors.Is(err, replica.ErrUnreachable) {
			return nil
		} else if err != nil {
			return err
		}
		s.compared = newest.Generation
	}
	if s.db != nil {
		return nil
	}
	if s.follower != nil && (s.follower.Ended() || s.follower.Generation() != newest.Generation) {
		s.follower.Close()
		s.log.Warn("what the owner writes is followed from the beginning", "generation", newest.Generation)
		s.follower = nil
	}
	if s.follower == nil {
		return s.begin(ctx, newest)
	}
	s.follower.Tell(newest.Transaction)
	return nil
}

func (s *standby) begin(ctx context.Context, newest replica.Position) (err error) {
	if time.Now().Before(s.again) {
		return nil
	}
	s.again = time.Now().Add(followAgain)
	output := restoring{path: s.c.DB}.temporary()
	removeDatabase(output) // with the log of one that was cut off
	s.log.Info("following what the owner writes", "position", newest.String())
	s.follower, err = s.r.Follow(ctx, newest.Generation, output)
	return err
}
