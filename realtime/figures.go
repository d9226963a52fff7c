package realtime

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"connvo/domain"
)

// runs counts how often the database was asked.
type runs struct {
	all       atomic.Int64
	again     atomic.Int64 // of them, for what had been answered before
	unchanged atomic.Int64 // of those, after which nothing had to be sent
}

func (r *runs) add(again, unchanged bool) {
	r.all.Add(1)
	if again {
		r.again.Add(1)
	}
	if unchanged {
		r.unchanged.Add(1)
	}
}

// figures are what a connection tells of itself.
type figures struct {
	runs   runs
	shared atomic.Int64 // deliveries that took what another connection had read
	commit atomic.Int64 // everything up to it was sent
	lag    atomic.Int64 // nanoseconds from the first commit that concerned the last delivery to its being written
}

// told notes that everything up to commit was sent; since is when the first
// commit of it was known, in Unix nanoseconds, 0 where none was waited for.
func (f *figures) told(commit, since int64, now time.Time) {
	f.commit.Store(commit)
	if since > 0 {
		f.lag.Store(now.UnixNano() - since)
	}
}

// Stats are the figures of an engine since it began.
type Stats struct {
	Streams   int   // open now
	Runs      int64 // of live queries, first ones included
	Reruns    int64 // of them, those that were not the first of their stream
	Unchanged int64 // of those, the ones after which nothing had to be sent
	Shared    int64 // deliveries that took what another stream had read
}

// Stats returns the engine's figures.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{
		Streams: len(e.streams), Runs: e.runs.all.Load(), Reruns: e.runs.again.Load(),
		Unchanged: e.runs.unchanged.Load(), Shared: e.shared.Load(),
	}
}

// Connection is an open stream as administrators see it.
type Connection struct {
	ID        string
	User      domain.UserID
	Opened    time.Time
	Paths     []string
	Commit    int64         // everything up to it was sent
	Runs      int64         // of its queries, first ones included
	Reruns    int64         // of them, those that were not the first
	Unchanged int64         // of those, the ones after which nothing had to be sent
	Shared    int64         // deliveries that took what another connection had read
	Lag       time.Duration // of the last delivery, from its commit to the connection
}

// Connections returns the open streams of the organization's people, in the
// order in which they were opened.
func (e *Engine) Connections(org string) []Connection {
	e.mu.Lock()
	streams := slices.Collect(maps.Values(e.streams))
	e.mu.Unlock()
	all := make([]Connection, 0, len(streams))
	for _, s := range streams {
		if s.actor.Org != org {
			continue
		}
		s.mu.Lock()
		paths := slices.AppendSeq(make([]string, 0, len(s.names)), maps.Keys(s.names))
		s.mu.Unlock()
		slices.Sort(paths)
		all = append(all, Connection{
			ID: s.id, User: s.actor.User, Opened: s.opened, Paths: paths, Commit: s.figures.commit.Load(),
			Runs: s.figures.runs.all.Load(), Reruns: s.figures.runs.again.Load(), Unchanged: s.figures.runs.unchanged.Load(),
			Shared: s.figures.shared.Load(), Lag: time.Duration(s.figures.lag.Load()),
		})
	}
	slices.SortFunc(all, func(a, b Connection) int {
		if c := a.Opened.Compare(b.Opened); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}
