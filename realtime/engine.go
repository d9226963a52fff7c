package realtime

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"connvo/db"
	"connvo/domain"
)

// The bounds of live connections.
const (
	// MaxStreamsPerUser is the tabs, devices and bots of one person.
	MaxStreamsPerUser = 100
	// MaxStreams is what the memory of a small machine holds: 20,000 streams
	// of 48 KB are 1 GB.
	MaxStreams = 20_000
	// DefaultHeartbeat keeps idle proxies from closing a stream; they do after
	// 30 to 60 s.
	DefaultHeartbeat = 15 * time.Second
	// pace is the least time between two events: ten a second.
	pace = 100 * time.Millisecond
	// writeTimeout ends the stream of a reader that takes nothing.
	writeTimeout = 30 * time.Second
	// retryMin is the least that clients wait before they come again; a crowd is
	// spread beyond it, so that returnRate of them come in a second.
	retryMin   = time.Second
	returnRate = 100
	retryMax   = time.Minute
)

// Problem is an error as the client may read it.
type Problem struct {
	Status int
	Body   []byte // a problem document
	Passes bool   // trying again makes sense
}

// Config is what an Engine needs. DB and Problem are required.
type Config struct {
	DB *db.DB
	// Problem describes to the client the error that ends a stream, and logs what
	// the client is not told. ctx is the request's.
	Problem func(ctx context.Context, err error) Problem
	// Log receives what ends streams unexpectedly; slog.Default() when nil.
	Log *slog.Logger
	// Second is the unit of heartbeats, a second when 0; tests shorten it.
	Second time.Duration
}

// Engine serves live queries. Its methods are safe for concurrent use.
type Engine struct {
	db      *db.DB
	problem func(context.Context, error) Problem
	log     *slog.Logger
	second  time.Duration
	hub     *hub

	draining chan struct{}
	drain    sync.Once

	mu     sync.Mutex // guards the rest
	total  int
	byUser map[domain.UserID]int
	tails  map[string]*tail // by feed, of those that are followed

	runs      atomic.Int64
	unchanged atomic.Int64
	shared    atomic.Int64
}

// New returns an engine that follows the commits of c.DB. Close it before the
// database.
func New(c Config) *Engine {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Second == 0 {
		c.Second = time.Second
	}
	e := &Engine{
		db: c.DB, problem: c.Problem, log: c.Log, second: c.Second,
		hub:      startHub(c.DB.Committed()),
		draining: make(chan struct{}),
		byUser:   map[domain.UserID]int{},
		tails:    map[string]*tail{},
	}
	c.DB.OnCommit(e.hub.publish)
	return e
}

// Drain ends every stream with shutting_down and refuses new ones.
func (e *Engine) Drain() { e.drain.Do(func() { close(e.draining) }) }

// Close ends what Drain has left and the comparing of commits.
func (e *Engine) Close() {
	e.Drain()
	e.hub.stop()
}

// Stats are the figures of an engine.
type Stats struct {
	Streams   int   // open now
	Runs      int64 // of live queries, first ones included
	Unchanged int64 // runs after which nothing had to be sent
	Shared    int64 // deliveries that took what another stream had read
}

// Stats returns the engine's figures.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Streams: e.total, Runs: e.runs.Load(), Unchanged: e.unchanged.Load(), Shared: e.shared.Load()}
}

// retry returns how long a client should wait before it comes again: each
// another while.
func (e *Engine) retry() time.Duration {
	e.mu.Lock()
	crowd := time.Duration(e.total) * time.Second / returnRate
	e.mu.Unlock()
	return retryMin + rand.N(min(retryMin+crowd, retryMax))
}

// admit counts a stream of the user, or refuses it.
func (e *Engine) admit(user domain.UserID) error {
	select {
	case <-e.draining:
		return errDraining
	default:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.total >= MaxStreams:
		return domain.Fail(domain.Unavailable, "the server has as many live streams as it can hold")
	case e.byUser[user] >= MaxStreamsPerUser:
		return domain.Fail(domain.RateLimited, "a user may have %d live streams at once", MaxStreamsPerUser)
	}
	e.total++
	e.byUser[user]++
	return nil
}

func (e *Engine) leave(user domain.UserID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total--
	if e.byUser[user]--; e.byUser[user] == 0 {
		delete(e.byUser, user)
	}
}

var errDraining = domain.Fail(domain.ShuttingDown, "the server is about to stop; connect again")
