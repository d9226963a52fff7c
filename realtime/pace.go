package realtime

import "time"

// How soon a stream has to look for what is new.
const (
	clean   = iota // not at all
	dirty          // when it may send again
	urgent         // at once: a right may have ended
	hasMore        // at once: the last turn left something over
)

// dirtiness returns how soon the stream has to look for what is new.
func (s *stream) dirtiness(now time.Time) int {
	d := clean
	if s.unsettled() {
		d = urgent
	}
	for _, sub := range s.subs {
		switch {
		case sub.cut:
			return hasMore
		case sub.asked && sub.undecided():
			d = urgent
		case sub.dirty(now), s.hears(sub):
			d = max(d, dirty)
		}
	}
	return d
}

// consideredUpTo returns the number up to which everything has been considered
// on every path that was asked, when every commit up to compared has been
// compared.
func (s *stream) consideredUpTo(compared int64) int64 {
	for _, sub := range s.subs {
		if sub.asked && sub.behind() && !sub.path.polled() {
			compared = min(compared, sub.ranAt)
		}
	}
	return compared
}

// untilNext returns how long to wait if nothing is marked meanwhile.
func (s *stream) untilNext(now time.Time) time.Duration {
	next := s.heartAt
	switch d := s.dirtiness(now); {
	case d > dirty:
		next = now
	case d == dirty && s.nextSend.Before(next):
		next = s.nextSend
	}
	for _, sub := range s.subs {
		if sub.nextRun.After(now) && sub.nextRun.Before(next) && sub.stale() {
			next = sub.nextRun
		}
	}
	wait := next.Sub(now)
	if !s.actor.Expires.IsZero() {
		wait = min(wait, s.renewer.next(s.actor.Expires).Sub(s.engine.db.Now()))
	}
	return max(wait, time.Millisecond)
}

// nextTurn returns when the next event may be sent after one that was due at due
// and is sent now. A stream that always has something new keeps its beat: what
// waking up took is not added to every turn.
func nextTurn(due, now time.Time) time.Time {
	if late := now.Sub(due); late < 0 || late > pace {
		due = now
	}
	return due.Add(pace)
}
