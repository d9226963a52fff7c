package pressure_test

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/domain"
	"connvo/pressure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is what a gauge reads.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newGauge() (*pressure.Gauge, *clock) {
	c := &clock{time.Unix(1_000_000, 0)}
	return pressure.New(c.now), c
}

// say lets n chunks through that take so long.
func say(t *testing.T, g *pressure.Gauge, c *clock, m domain.MeetingID, n int, latency time.Duration) {
	t.Helper()
	if err := g.Begin(m, n); err != nil {
		t.Fatal(err)
	}
	g.End(m, n, c.at.Add(-latency), true)
}

// The advice follows from the last ten seconds of the meeting, and from nothing
// before or beside them.
func TestAdviceFollowsTheLastTenSeconds(t *testing.T) {
	for name, test := range map[string]struct {
		n         int
		latency   time.Duration
		delivered time.Duration
		underway  int
		want      pressure.Advice
	}{
		"nothing":                 {want: pressure.Fast},
		"little and quick":        {n: 199, latency: 99 * time.Millisecond, want: pressure.Fast},
		"more":                    {n: 200, latency: 99 * time.Millisecond, want: pressure.Normal},
		"slower":                  {n: 1, latency: 100 * time.Millisecond, want: pressure.Normal},
		"slowly delivered":        {n: 1, latency: 50 * time.Millisecond, delivered: 50 * time.Millisecond, want: pressure.Normal},
		"too much":                {n: 301, latency: time.Millisecond, want: pressure.Throttle},
		"too slow":                {n: 1, latency: 251 * time.Millisecond, want: pressure.Throttle},
		"far too slow":            {n: 1, latency: 501 * time.Millisecond, want: pressure.Pause},
		"far too slow to readers": {n: 1, latency: 251 * time.Millisecond, delivered: 250 * time.Millisecond, want: pressure.Pause},
		"a queue that fits":       {n: 1, underway: 100, want: pressure.Fast},
		"a queue":                 {n: 1, underway: 101, want: pressure.Pause},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newGauge()
			if test.n > 0 {
				say(t, g, c, "m", test.n, test.latency)
			}
			say(t, g, c, "another", 900, time.Minute)
			if test.delivered > 0 {
				g.Delivered(test.delivered)
			}
			if err := g.Begin("m", test.underway); err != nil {
				t.Fatal(err)
			}
			if got := g.Advise("m"); got != test.want {
				t.Errorf("advice %v, want %v", got, test.want)
			}
			g.End("m", test.underway, c.at, false)
			c.at = c.at.Add(10 * time.Second)
			if got := g.Advise("m"); got != pressure.Fast {
				t.Errorf("ten seconds later %v", got)
			}
		})
	}
}

// What fits is taken in, what does not is refused whole, and there is room again
// once something is done.
func TestMoreThanFitsIsRefused(t *testing.T) {
	g, c := newGauge()
	if err := g.Begin("m", pressure.MaxMeeting); err != nil {
		t.Fatal(err)
	}
	if err := g.Begin("m", 1); domain.KindOf(err) != domain.RateLimited {
		t.Errorf("one more: %v", err)
	}
	if err := g.Begin("another", 1); err != nil {
		t.Errorf("another meeting: %v", err)
	}
	g.End("m", 1, c.at, false)
	if err := g.Begin("m", 1); err != nil {
		t.Errorf("there is room: %v", err)
	}
	for i := 1; i < pressure.MaxInAll/pressure.MaxMeeting; i++ {
		n := pressure.MaxMeeting
		if i == 1 {
			n-- // what another has
		}
		if err := g.Begin(domain.MeetingID(fmt.Sprint(i)), n); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Begin("last", 1); domain.KindOf(err) != domain.RateLimited {
		t.Errorf("one more than all: %v", err)
	}
	if f := g.Figures(); f.UnderWay != pressure.MaxInAll || f.Refused != 2 {
		t.Errorf("figures %+v", f)
	}
}

// Meetings in which nothing is said any more are forgotten, and figures say what
// has got through.
func TestSilentMeetingsAreForgotten(t *testing.T) {
	g, c := newGauge()
	for i := range 100 {
		say(t, g, c, domain.MeetingID(fmt.Sprint(i)), 10, 20*time.Millisecond)
	}
	if g.Busy() {
		t.Error("100 a second make it busy")
	}
	g.Delivered(80 * time.Millisecond)
	want := pressure.Figures{Meetings: 100, Rate: 100, Durable: 20 * time.Millisecond, Delivered: 80 * time.Millisecond}
	if got := g.Figures(); got != want {
		t.Errorf("figures %+v, want %+v", got, want)
	}
	say(t, g, c, "m", 1, 0)
	if !g.Busy() {
		t.Error("more does not")
	}
	c.at = c.at.Add(11 * time.Second)
	if got := g.Figures(); got != (pressure.Figures{}) {
		t.Errorf("later %+v", got)
	}
	c.at = c.at.Add(-time.Hour) // the clock is set back
	say(t, g, c, "m", 1, -time.Second)
	if got := g.Figures(); got.Meetings != 1 || got.Durable != 0 {
		t.Errorf("figures %+v", got)
	}
}
