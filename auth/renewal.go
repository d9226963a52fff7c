package auth

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"connvo/domain"
	"connvo/domain/users"
)

const (
	// renewAhead is how long before its end a token is renewed, at most half its
	// life: several times renewTimeout, so that a short outage is not noticed.
	renewAhead = time.Minute
	// renewPause is how long a session is left alone after it could not be
	// renewed, unless WorkOS asks for longer, and at most twice as long. The
	// breaker spares WorkOS beyond that.
	renewPause = 2 * time.Second
	// maxRenewals is how many sessions are renewed, or left alone, at a time.
	maxRenewals = 16384
)

// Renewable is the right of one browser, for a stream to keep. It is for one
// goroutine at a time.
type Renewable struct {
	browsers *Browsers
	key      sessionKey
	known    time.Time // when the token ends that was known last
}

// Renew returns when the browser's token ends now. It asks WorkOS for a new one
// unless somebody has since the last time.
//
// Errors: Unauthenticated when the session has ended or is renewed no more;
// Unavailable when WorkOS cannot renew it now, or ctx has ended.
func (r *Renewable) Renew(ctx context.Context) (time.Time, error) {
	until, err := r.browsers.renewed(ctx, r.key, r.known)
	if err == nil {
		r.known = until
	}
	return until, err
}

// renewAt returns from when on the session's token is renewed.
func renewAt(s users.Session) time.Time {
	return s.TokenEnds.Add(-min(renewAhead, s.TokenEnds.Sub(s.RenewedAt)/2))
}

// renewal is one that goes on, or has failed.
type renewal struct {
	done  chan struct{} // closed when it has ended
	until time.Time     // the new token's end; valid once done is closed, as is err
	err   error
	again time.Time // not before it, once it has failed; guarded by Browsers.mu
}

// renewed returns when the session's token ends, which is after known.
func (b *Browsers) renewed(ctx context.Context, k sessionKey, known time.Time) (time.Time, error) {
	r, err := b.start(k, known)
	if err != nil {
		return time.Time{}, err
	}
	select {
	case <-r.done:
		return r.until, r.err
	case <-ctx.Done():
		return time.Time{}, unavailable(ctx.Err())
	}
}

// start returns the renewal of the session that goes on, or has failed not long
// ago, else a new one.
func (b *Browsers) start(k sessionKey, known time.Time) (*renewal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, domain.Fail(domain.ShuttingDown, "the server is about to stop")
	}
	now := b.now()
	if r, found := b.renewals[k.id]; found && (r.again.IsZero() || now.Before(r.again)) {
		return r, nil
	}
	if len(b.renewals) >= maxRenewals && !b.forget(now) {
		return nil, domain.Fail(domain.Unavailable, "too many sessions are being renewed")
	}
	r := &renewal{done: make(chan struct{})}
	b.renewals[k.id] = r
	b.renewing.Go(func() {
		defer close(r.done)
		r.until, r.err = b.renew(b.cut, k, known)
		b.mu.Lock()
		defer b.mu.Unlock()
		if domain.KindOf(r.err) == domain.Unavailable {
			r.again = b.now().Add(pauseAfter(r.err))
			return
		}
		delete(b.renewals, k.id)
	})
	return r, nil
}

// forget forgets renewals that have failed and may be tried again, and reports
// whether there is room now. b.mu is held.
func (b *Browsers) forget(now time.Time) bool {
	for id, r := range b.renewals {
		if !r.again.IsZero() && !now.Before(r.again) {
			delete(b.renewals, id)
		}
	}
	return len(b.renewals) < maxRenewals
}

// pauseAfter returns how long a session is left alone: a random time, so that
// those who failed together do not come again together.
func pauseAfter(err error) time.Duration {
	pause := renewPause
	if e, found := errors.AsType[*laterError](err); found {
		pause = max(pause, e.wait)
	}
	return pause + rand.N(renewPause)
}

// renew asks WorkOS for new tokens, unless the session has some that end after
// known, and stores them. They are for the organization of the account, so that
// two browsers of one person do not pull it to and fro. A session that WorkOS
// renews no more ends.
func (b *Browsers) renew(ctx context.Context, k sessionKey, known time.Time) (time.Time, error) {
	s, refresh, err := b.find(ctx, k)
	if err != nil {
		return time.Time{}, err
	}
	if s.TokenEnds.After(known) || b.kit == nil || refresh == "" {
		return earlier(s.TokenEnds, s.Ends), nil
	}
	t, err := b.kit.renew(ctx, refresh, s.Account.Org)
	if err != nil {
		return time.Time{}, b.over(ctx, s, err)
	}
	sealed, err := seal(b.keyOf(k), k.purpose(), t.Refresh)
	if err != nil {
		return time.Time{}, err
	}
	c, believed := b.auth.verifier.Verify(ctx, t.Access)
	if believed == nil && c.Subject != s.Subject {
		return time.Time{}, b.over(ctx, s, refuse(Foreign, "WorkOS has renewed the session for somebody else; sign in again"))
	}
	// The refresh token is stored even if the access token is not believed now:
	// the one before is used up.
	r := users.Renewal{ID: s.ID, Current: s.Current, Sealed: sealed, TokenEnds: s.TokenEnds}
	if believed == nil {
		r.TokenEnds = c.Expires
		if c.Session != "" {
			r.Current = c.Session
		}
	}
	// Nothing cuts it off: it is the only place where the new token is.
	if err := b.people.RenewSession(context.WithoutCancel(ctx), r); err != nil {
		return time.Time{}, err
	}
	if believed != nil {
		b.log.Error("a token that WorkOS has just given is not believed", "error", believed)
		return time.Time{}, unavailable(believed)
	}
	if _, err := b.auth.account(ctx, c); err != nil {
		return time.Time{}, err
	}
	return earlier(c.Expires, s.Ends), nil
}

// over ends the session if err is that it is renewed no more, and returns err.
func (b *Browsers) over(ctx context.Context, s users.Session, err error) error {
	if domain.KindOf(err) != domain.Unauthenticated {
		return err
	}
	b.log.Info("a session is renewed no more", "user", s.User, "session", s.Current, "reason", err)
	return errors.Join(err, b.people.EndSession(ctx, domain.Actor{User: s.User, Session: s.Name}))
}
