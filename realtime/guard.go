package realtime

import (
	"context"
	"time"

	"connvo/domain"
)

// Guarded is a request that stays open and sends to the server, so that what ends
// a stream must end it too.
type Guarded struct {
	Actor domain.Actor
	// Renew is Request's.
	Renew func(ctx context.Context) (time.Time, error)
	// May refuses an actor who may not do what they do. It reads the database with
	// its context.
	May func(ctx context.Context) error
}

// Guard calls do, with a context that ends when the actor no longer may: a commit
// has taken the right away, their token has ended, or the engine drains. Its
// context.Cause says which. An error is returned where they might not to begin with, and
// do was not called. A right is asked for again at once, but not more often than
// ten times a second.
func (e *Engine) Guard(ctx context.Context, g Guarded, do func(ctx context.Context)) error {
	s := &stream{engine: e, actor: g.Actor, opened: e.db.Now(), bell: newBell(), names: map[string]struct{}{}}
	s.renewer = renewer{renew: g.Renew, at: aheadOf(g.Actor.Expires, s.opened)}
	s.open([]Path{{Query: func(ctx context.Context) (Answer, error) { return Answer{}, g.May(ctx) }}})
	defer s.close()
	select {
	case <-e.draining:
		return errDraining
	default:
	}
	if err := s.decide(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(s.guard(ctx))
		s.renewer.wait()
	}()
	defer func() {
		cancel(nil)
		<-ended
	}()
	do(ctx)
	return nil
}

// guard returns why the actor no longer may, or nil when ctx has ended.
func (s *stream) guard(ctx context.Context) error {
	s.heartAt = time.Now().Add(time.Hour) // none is sent; it is only how long to sleep
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if err := s.entitled(ctx); err != nil {
			return err
		}
		if d := s.dirtiness(now); d > dirty || (d == dirty && !now.Before(s.nextSend)) {
			s.nextSend = now.Add(pace)
			if err := s.decide(ctx); err != nil {
				return err
			}
		}
		if !now.Before(s.heartAt) {
			s.heartAt = now.Add(time.Hour)
		}
		timer.Reset(s.untilNext(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-s.engine.draining:
			return errDraining
		case a := <-s.renewer.answers:
			s.renewed(a)
		case <-s.bell.rung:
		case <-timer.C:
		}
	}
}

// decide asks whether the actor may as of now.
func (s *stream) decide(ctx context.Context) error {
	t, err := s.look(ctx)
	if err != nil {
		return err
	}
	for _, u := range t.updates {
		if u.err != nil {
			return u.err
		}
		u.sub.advance(u)
	}
	return nil
}
