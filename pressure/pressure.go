// Package pressure is how much of what is said is under way to its readers, and
// what those who send it are told about that.
package pressure

import (
	"sync"
	"time"

	"connvo/domain"
)

// The bounds of what is under way: taken in, and not durable yet.
const (
	// MaxMeeting is five of the greatest requests for one meeting.
	MaxMeeting = 1000
	// MaxInAll is what the writer makes durable in two seconds.
	MaxInAll = 20_000
)

// The thresholds of Advice.
const (
	pauseLatency    = 500 * time.Millisecond
	throttleLatency = 250 * time.Millisecond
	fastLatency     = 100 * time.Millisecond
	pauseQueue      = 100 // chunks under way in the meeting
	throttleRate    = 30  // chunks a second in the meeting
	fastRate        = 20
)

// busyRate is how many chunks a second, in all meetings, make the server busy: ten
// meetings in which much is said.
const busyRate = 100

// Advice is how much to send at once, and how often.
type Advice struct {
	Batch int // chunks
	Every time.Duration
}

// The pieces of advice: to send in greater pieces less often saves work, until
// there is so much that smaller ones must be further apart.
var (
	Pause    = Advice{10, 500 * time.Millisecond}
	Throttle = Advice{15, 350 * time.Millisecond}
	Normal   = Advice{20, 250 * time.Millisecond}
	Fast     = Advice{25, 200 * time.Millisecond}
)

// Gauge measures. Its methods are safe for concurrent use and wait for nothing.
type Gauge struct {
	now func() time.Time

	mu        sync.Mutex // guards the rest
	meetings  map[domain.MeetingID]*flow
	all       flow
	delivered window
	refused   int64
	tidied    int64 // the second in which meetings that are silent were forgotten
}

// flow is what is under way somewhere, and what has got through lately.
type flow struct {
	underway int
	durable  window
}

// New returns a gauge that has seen nothing.
func New(now func() time.Time) *Gauge {
	return &Gauge{now: now, meetings: map[domain.MeetingID]*flow{}}
}

// Begin takes in n chunks of the meeting. Each call that returns nil is followed by
// one of End.
//
// Errors: RateLimited when as many are under way as fit. Nothing is taken in then.
func (g *Gauge) Begin(m domain.MeetingID, n int) error {
	second := g.now().Unix()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy(second)
	f := g.meetings[m]
	if f == nil {
		f = &flow{}
	}
	if f.underway+n > MaxMeeting || g.all.underway+n > MaxInAll {
		g.refused++
		return domain.Fail(domain.RateLimited, "more is being said than can be stored at once; nothing of this was, send it again")
	}
	g.meetings[m] = f
	f.underway += n
	g.all.underway += n
	return nil
}

// End says what became of n chunks that Begin has taken in, at least the first of
// them at the instant since: they are durable, or refused.
func (g *Gauge) End(m domain.MeetingID, n int, since time.Time, durable bool) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.meetings[m]
	f.underway -= n
	g.all.underway -= n
	if durable {
		f.durable.add(now, n, now.Sub(since))
		g.all.durable.add(now, n, now.Sub(since))
	}
}

// Delivered notes that somebody was told of a commit so long after it.
func (g *Gauge) Delivered(late time.Duration) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delivered.add(now, 1, late)
}

// Advise returns how to send what is said in the meeting, after the last ten
// seconds of it.
func (g *Gauge) Advise(m domain.MeetingID) Advice {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.meetings[m]
	if f == nil {
		return Fast
	}
	rate, latency := f.durable.read(now)
	_, late := g.delivered.read(now)
	latency += late
	switch {
	case latency > pauseLatency || f.underway > pauseQueue:
		return Pause
	case latency > throttleLatency || rate > throttleRate:
		return Throttle
	case latency < fastLatency && rate < fastRate:
		return Fast
	}
	return Normal
}

// Busy reports whether so much is said that it pays to wait for others to be stored
// with.
func (g *Gauge) Busy() bool {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	rate, _ := g.all.durable.read(now)
	return rate > busyRate
}

// Figures are what a gauge shows, of the last ten seconds where it says nothing
// else.
type Figures struct {
	Meetings  int           // in which something was said
	UnderWay  int           // chunks, now
	Rate      float64       // chunks that have become durable, a second
	Durable   time.Duration // from taking a chunk in until it was durable, on average
	Delivered time.Duration // from a commit until a stream had it, on average, whatever it was of
	Refused   int64         // times that something did not fit, since the beginning
}

// Figures returns what the gauge shows.
func (g *Gauge) Figures() Figures {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy(now.Unix())
	f := Figures{Meetings: len(g.meetings), UnderWay: g.all.underway, Refused: g.refused}
	f.Rate, f.Durable = g.all.durable.read(now)
	_, f.Delivered = g.delivered.read(now)
	return f
}

// tidy forgets the meetings in which nothing was said lately, once in a while.
// g.mu is held.
func (g *Gauge) tidy(second int64) {
	if since := second - g.tidied; since >= 0 && since < span {
		return // else the clock was set back, too
	}
	g.tidied = second
	for m, f := range g.meetings {
		if f.underway == 0 && f.durable.over(second) {
			delete(g.meetings, m)
		}
	}
}
