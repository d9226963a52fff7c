package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connvo/replica"
)

// standby is a server that waits for the lease.
type standby struct {
	*opening
	told string // who was last named as the owner
}

func newStandby(o *opening) *standby { return &standby{opening: o} }

func (s *standby) close() {}

// try takes the lease if it can be had; done says that there is nothing more to wait
// for.
func (s *standby) try(ctx context.Context) (done bool, err error) {
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	seen, err := s.r.Look(asking)
	switch {
	case errors.Is(err, replica.ErrUnreachable) && s.c.Lease == warn && s.db != nil:
		return true, nil // the copying takes the lease once it can
	case errors.Is(err, replica.ErrUnreachable) && s.c.Lease == strict:
		return false, nil
	case err != nil:
		return false, err
	}
	if !seen.Free {
		return false, s.wait(ctx, seen)
	}
	err = s.r.Take(asking)
	if errors.Is(err, replica.ErrTaken) || (errors.Is(err, replica.ErrUnreachable) && s.c.Lease == strict) {
		return false, nil // another was faster
	}
	return err == nil, err
}

// wait is what is done while another server has the lease.
func (s *standby) wait(_ context.Context, seen replica.Sight) error {
	owner := seen.Holder.String()
	switch {
	case owner != s.told:
		s.told = owner
		s.log.Info("another server has the lease; waiting for it to lapse", "owner", owner, "longest", (s.c.LeaseTerm + s.c.LeaseTerm/6).Round(time.Second))
	case s.c.Lease == warn && seen.Renewed:
		return fmt.Errorf("replica %s: another server (%s) has the lease and renews it; end that one, or say --lease strict to stand by", s.c.ReplicaURL, owner)
	}
	return nil
}
