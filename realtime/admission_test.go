package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"connvo/domain"
)

// arrivingEngine lets that many streams begin in a second.
func arrivingEngine(admissions int) *Engine {
	e := stillEngine()
	e.admissions, e.arrivals = admissions, rate.NewLimiter(rate.Limit(admissions), admissions)
	return e
}

// arrival is one stream that came, when it was let in, or why it was not.
type arrival struct {
	nr   int
	wait time.Duration
	err  error
}

// arrivals lets n streams come, each a moment after the one before; those of
// gone give up after a second.
func arrivals(e *Engine, n int, gone func(nr int) bool) []arrival {
	all := make(chan arrival, n)
	start := time.Now()
	for nr := range n {
		go func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if gone(nr) {
				time.AfterFunc(time.Second, cancel)
			}
			err := e.arrive(ctx)
			all <- arrival{nr, time.Since(start), err}
		}()
		synctest.Wait()
	}
	var came []arrival
	for range n {
		came = append(came, <-all)
	}
	return came
}

func nobody(int) bool { return false }

func TestStreamsBeginInABurstThenOneByOneInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i, a := range arrivals(arrivingEngine(10), 100, nobody) {
			want := max(0, time.Duration(i-9)) * 100 * time.Millisecond
			if a.err != nil || a.nr != i && i >= 10 || (a.wait-want).Abs() > time.Millisecond {
				t.Fatalf("stream %d was let in as number %d after %v, want after %v: %v", a.nr, i, a.wait, want, a.err)
			}
		}
	})
}

func TestWhoWouldWaitTooLongIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := 0
		for _, a := range arrivals(arrivingEngine(10), 250, nobody) {
			switch {
			case a.err == nil && a.wait > maxArrival+time.Millisecond:
				t.Errorf("stream %d waited %v", a.nr, a.wait)
			case a.err != nil && (a.wait > 0 || domain.KindOf(a.err) != domain.Unavailable):
				t.Errorf("stream %d was refused after %v: %v", a.nr, a.wait, a.err)
			case a.err != nil:
				refused++
			}
		}
		if refused != 250-10-200 { // a burst, and 20 s of ten a second
			t.Errorf("%d were refused", refused)
		}
	})
}

// Who goes leaves its place to those behind it: clients that give up before
// their turn do not keep the others waiting for nobody.
func TestWhoGoesLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came := arrivals(arrivingEngine(10), 110, func(nr int) bool { return nr >= 10 && nr < 100 })
		last := slices.MaxFunc(came, func(a, b arrival) int { return int(a.wait - b.wait) })
		if last.err != nil || last.wait > 2100*time.Millisecond {
			t.Errorf("90 of those before it were to go after a second; stream %d was let in after %v: %v", last.nr, last.wait, last.err)
		}
		gone := 0
		for _, a := range came {
			if errors.Is(a.err, context.Canceled) {
				gone++
			}
		}
		if gone != 80 {
			t.Errorf("%d went", gone)
		}
	})
}

func TestADrainEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := arrivingEngine(1)
		time.AfterFunc(2500*time.Millisecond, e.Drain)
		for _, a := range arrivals(e, 10, nobody) {
			in := a.nr < 3
			if in != (a.err == nil) || !in && (domain.KindOf(a.err) != domain.ShuttingDown || a.wait != 2500*time.Millisecond) {
				t.Errorf("stream %d after %v: %v", a.nr, a.wait, a.err)
			}
		}
		if err := e.admit(&stream{id: "late"}); domain.KindOf(err) != domain.ShuttingDown {
			t.Errorf("a stream that comes later: %v", err)
		}
	})
}

func TestStreamsOfOneUserAreBounded(t *testing.T) {
	e := stillEngine()
	var open []*stream
	admit := func(user domain.UserID, multiplexed bool) error {
		s := &stream{id: fmt.Sprint(len(open)), actor: domain.Actor{User: user}, multiplexed: multiplexed}
		err := e.admit(s)
		if err == nil {
			open = append(open, s)
		}
		return err
	}
	for i := range MaxStreamsPerUser {
		if err := admit("ann", i < MaxMultiplexedPerUser); err != nil {
			t.Fatal(err)
		}
		err := admit("ann", true)
		if i == MaxMultiplexedPerUser-1 && domain.KindOf(err) != domain.RateLimited {
			t.Fatalf("one connection of many paths too many: %v", err)
		}
		if err == nil {
			e.leave(open[len(open)-1])
			open = open[:len(open)-1]
		}
	}
	if err := admit("ann", false); domain.KindOf(err) != domain.RateLimited {
		t.Errorf("one stream too many: %v", err)
	}
	if err := admit("bob", true); err != nil {
		t.Errorf("another user: %v", err)
	}
	e.leave(open[0])
	open = open[1:]
	if err := admit("ann", true); err != nil {
		t.Errorf("in place of one that has ended: %v", err)
	}
	for _, s := range open {
		e.leave(s)
	}
	if len(e.byUser) != 0 || len(e.streams) != 0 {
		t.Errorf("%d users and %d streams are left", len(e.byUser), len(e.streams))
	}
}

// Clients are spread over as long as it takes to let them all in again.
func TestARetrySpreadsTheCrowd(t *testing.T) {
	for crowd, longest := range map[int]time.Duration{0: 2, 100: 3, 1000: 12, MaxStreams: 61} {
		e := stillEngine()
		for i := range crowd {
			e.streams[fmt.Sprint(i)] = nil
		}
		least, most := time.Hour, time.Duration(0)
		for range 2000 {
			d := e.retry()
			least, most = min(least, d), max(most, d)
		}
		longest *= time.Second
		if least < retryMin || most >= longest || most < longest*9/10 || least > retryMin+longest/10 {
			t.Errorf("a crowd of %d is told to come in %v to %v, want %v to %v", crowd, least, most, retryMin, longest)
		}
	}
}
