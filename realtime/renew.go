package realtime

import (
	"context"
	"math/rand/v2"
	"time"

	"connvo/domain"
)

const (
	// renewAhead is how long before its end a token is renewed, at most half of
	// what is left of it. Streams that began together spread over half of that.
	renewAhead = time.Minute
	// renewPause is how long passes before it is tried again.
	renewPause = 2 * time.Second
)

// renewer renews the token of a stream's actor. Its instants are the database's.
type renewer struct {
	renew   func(ctx context.Context) (time.Time, error) // nil where nothing does
	at      time.Time                                    // when to ask next
	answers chan renewed                                 // not nil while somebody asks
	err     error                                        // of the last answer
	over    bool                                         // what it gave had ended when it came
}

// renewed is what was answered.
type renewed struct {
	until time.Time
	err   error
}

// wait waits until nobody asks any more: the context of who does has ended.
func (r *renewer) wait() {
	if r.answers != nil {
		<-r.answers
	}
}

// entitled refuses an actor whose token has ended or is renewed no more, and
// begins to renew one that is about to end. One that has ended before anybody
// asked, as on a machine that was asleep, is waited for: nothing is sent
// meanwhile.
func (s *stream) entitled(ctx context.Context) error {
	r := &s.renewer
	if s.actor.Expires.IsZero() || r.renew == nil {
		return s.expired()
	}
	for s.askRenewal(ctx); !r.refused() && s.expired() != nil && r.answers != nil; s.askRenewal(ctx) {
		select {
		case a := <-r.answers:
			s.renewed(a)
		case <-ctx.Done():
			return ctx.Err()
		case <-s.engine.draining:
			return errDraining
		}
	}
	err := s.expired()
	if r.refused() || (err != nil && r.err != nil) {
		return r.err
	}
	return err
}

// askRenewal begins to ask for a new token when it is time.
func (s *stream) askRenewal(ctx context.Context) {
	r, now := &s.renewer, s.engine.db.Now()
	if r.answers != nil || now.Before(r.at) {
		return
	}
	answers := make(chan renewed, 1)
	r.answers = answers
	go func() {
		until, err := r.renew(ctx)
		answers <- renewed{until, err}
	}()
}

// aheadOf returns when to ask for what follows the token that ends at end.
func aheadOf(end, now time.Time) time.Time {
	ahead := min(renewAhead, end.Sub(now)/2)
	if ahead <= 0 {
		return now
	}
	return end.Add(-ahead/2 - rand.N(ahead/2+1))
}

// renewed takes the answer.
func (s *stream) renewed(a renewed) {
	r, now := &s.renewer, s.engine.db.Now()
	r.answers, r.err = nil, a.err
	before := r.over
	if r.over = a.err == nil && !now.Before(a.until); a.err == nil {
		s.actor.Expires = a.until
		r.at = aheadOf(a.until, now)
	}
	switch {
	case r.over && !before: // as on a machine that fell asleep meanwhile: there is another by now
		r.at = now
	case a.err != nil || !now.Before(r.at):
		r.at = now.Add(renewPause)
	}
}

// refused reports whether the token is renewed no more, rather than not now.
func (r *renewer) refused() bool {
	if r.err == nil {
		return false
	}
	kind := domain.KindOf(r.err)
	return kind == domain.Unauthenticated || kind == domain.Forbidden
}

// next returns when something is to be done about a token that ends at end.
func (r *renewer) next(end time.Time) time.Time {
	if r.renew == nil || r.answers != nil || end.Before(r.at) {
		return end
	}
	return r.at
}

// expired refuses an actor whose token has ended.
func (s *stream) expired() error {
	if s.actor.Expires.IsZero() || s.engine.db.Now().Before(s.actor.Expires) {
		return nil
	}
	return domain.Fail(domain.Unauthenticated, "the token has expired")
}
