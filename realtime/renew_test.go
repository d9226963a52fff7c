package realtime

import (
	"context"
	"testing"
	"time"

	"connvo/domain"
)

// A token may have ended when it comes, where the machine fell asleep meanwhile: then
// there is another. Where each has ended, as by a clock that is wrong, nobody is asked
// on and on.
func TestTokenThatHasEndedWhenItComesIsRenewedOnceMore(t *testing.T) {
	e, d := newEngine(t)
	past, future := d.Now().Add(-time.Hour), d.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		gives []time.Time
		kind  domain.Kind
	}{
		"another":         {[]time.Time{past, future}, 0},
		"none but such":   {[]time.Time{past, past}, domain.Unauthenticated},
		"a good one":      {[]time.Time{future}, 0},
		"before it ended": {nil, 0},
	} {
		asked := 0
		s := &stream{engine: e, actor: domain.Actor{User: "u", Expires: past}}
		if c.gives == nil {
			s.actor.Expires = future
		}
		s.renewer = renewer{at: aheadOf(s.actor.Expires, d.Now()), renew: func(context.Context) (time.Time, error) {
			asked++
			return c.gives[asked-1], nil
		}}
		err := s.entitled(t.Context())
		if (err != nil) != (c.kind != 0) || (err != nil && domain.KindOf(err) != c.kind) || asked != len(c.gives) {
			t.Errorf("%s: %v, asked %d times", name, err, asked)
		}
	}
}
