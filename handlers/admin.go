package handlers

import (
	"context"
	"math"
	"slices"
	"time"

	"connvo/domain"
	"connvo/realtime"
)

// figuresEvery is how often figures that come from memory are told.
const figuresEvery = time.Second

type streamFigures struct {
	Connections int            `json:"connections" doc:"Live connections of the organization's people, open now."`
	Paths       int            `json:"paths" doc:"Paths that they follow."`
	Runs        int64          `json:"runs" doc:"How often these connections have asked the database."`
	Reruns      int64          `json:"reruns" doc:"Of these, how often for what had been answered before."`
	Unchanged   int64          `json:"unchanged" doc:"Of these, how often nothing had changed."`
	Shared      int64          `json:"shared" doc:"How often they took what another connection had read."`
	LagMs       lagFigures     `json:"lagMs" doc:"From a commit to the connection, over the last delivery of each."`
	Items       []streamFigure `json:"items" doc:"The connections, oldest first."`
	NextCursor  *string        `json:"nextCursor"`
}

type lagFigures struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

type streamFigure struct {
	ConnectionID string        `json:"connectionId"`
	UserID       domain.UserID `json:"userId"`
	OpenedAt     string        `json:"openedAt" format:"date-time"`
	Paths        []string      `json:"paths"`
	Commit       int64         `json:"commit" doc:"Everything up to it has been sent."`
	Runs         int64         `json:"runs"`
	Reruns       int64         `json:"reruns"`
	Unchanged    int64         `json:"unchanged"`
	Shared       int64         `json:"shared"`
	LagMs        float64       `json:"lagMs"`
}

type streamsInput struct{ ListParams }

func (s *Server) adminRoutes() {
	get(s, route{path: "/v1/admin/streams", id: "listStreams", tag: "Administration", every: figuresEvery,
		summary: "The live connections of my organization", about: "For admins. Live: at most once a second."}, s.listStreams)
}

func (s *Server) listStreams(ctx context.Context, who domain.Actor, in *streamsInput) (streamFigures, error) {
	key, err := domain.Cursor(in.Cursor).Key(2)
	if err != nil {
		return streamFigures{}, err
	}
	org, err := s.Users.Administers(ctx, who)
	if err != nil {
		return streamFigures{}, err
	}
	all := s.engine.Connections(org)
	people := make([]domain.UserID, len(all))
	for i, c := range all {
		people[i] = c.User
	}
	colleagues, err := s.Users.Colleagues(ctx, who, people)
	if err != nil {
		return streamFigures{}, err
	}
	// Who has moved to another organization since is not ours to see.
	all = slices.DeleteFunc(all, func(c realtime.Connection) bool { return !colleagues[c.User] })
	figures := totalsOf(all)
	if key != nil {
		all = slices.DeleteFunc(all, func(c realtime.Connection) bool {
			opened := instant(c.Opened)
			return opened < key[0] || (opened == key[0] && c.ID <= key[1])
		})
	}
	if len(all) > in.Limit {
		all = all[:in.Limit]
		last := all[len(all)-1]
		next := string(domain.NewCursor(instant(last.Opened), last.ID))
		figures.NextCursor = &next
	}
	figures.Items = make([]streamFigure, len(all))
	for i, c := range all {
		for j, path := range c.Paths {
			about := path
			if u, err := parsePath(path); err == nil {
				about = u.Path
			}
			c.Paths[j] = discreet(about, path)
		}
		figures.Items[i] = streamFigure{
			ConnectionID: c.ID, UserID: c.User, OpenedAt: instant(c.Opened), Paths: c.Paths, Commit: c.Commit,
			Runs: c.Runs, Reruns: c.Reruns, Unchanged: c.Unchanged, Shared: c.Shared, LagMs: milliseconds(c.Lag),
		}
	}
	return figures, nil
}

// totalsOf adds up what the connections tell.
func totalsOf(all []realtime.Connection) streamFigures {
	f := streamFigures{Connections: len(all)}
	lags := make([]time.Duration, 0, len(all))
	for _, c := range all {
		f.Paths += len(c.Paths)
		f.Runs += c.Runs
		f.Reruns += c.Reruns
		f.Unchanged += c.Unchanged
		f.Shared += c.Shared
		lags = append(lags, c.Lag)
	}
	slices.Sort(lags)
	f.LagMs = lagFigures{P50: percentile(lags, 0.50), P95: percentile(lags, 0.95), P99: percentile(lags, 0.99)}
	return f
}

// percentile returns the nearest-rank percentile of sorted durations, in
// milliseconds; 0 of none.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return milliseconds(sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)])
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
