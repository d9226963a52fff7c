package realtime

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

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
	// DefaultAdmissions is how many streams begin in a second when more would: a
	// crowd that comes back after a restart must not keep writes waiting.
	DefaultAdmissions = 100
	// maxArrival is how long a stream waits for its turn to begin; who would wait
	// longer is told when to come again. Idle proxies close after 30 s.
	maxArrival = 20 * time.Second
	// pace is the least time between two events: ten a second.
	pace = 100 * time.Millisecond
	// DefaultWriteTimeout ends the stream of a reader that takes nothing.
	DefaultWriteTimeout = 30 * time.Second
	// retryMin is the least that clients wait before they come again; a crowd is
	// spread beyond it, so that they come as fast as they are let in.
	retryMin = time.Second
	retryMax = time.Minute
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
	// Region is the label of this region, which the ids of connections begin with; ""
	// where there is only one.
	Region string
	// Problem describes to the client the error that ends a stream, and logs what
	// the client is not told. ctx is the request's.
	Problem func(ctx context.Context, err error) Problem
	// Standing refuses an actor who may not be served at all any more. It reads
	// the database with ctx; nil for no such rule.
	Standing func(ctx context.Context, who domain.Actor) error
	// Delivered is called with how long a delivery took from the first commit that
	// concerned it to its being written; nil where nobody wants to know. It is quick.
	Delivered func(lag time.Duration)
	// Log receives what ends streams unexpectedly; slog.Default() when nil.
	Log *slog.Logger
	// Admissions is how many streams may begin in a second, after a first burst
	// of as many; DefaultAdmissions when 0.
	Admissions int
	// WriteTimeout ends the stream of a reader that takes nothing for so long;
	// DefaultWriteTimeout when 0.
	WriteTimeout time.Duration
	// Second is the unit of heartbeats, a second when 0; tests shorten it.
	Second time.Duration
}

// Engine serves live queries. Its methods are safe for concurrent use.
type Engine struct {
	db           *db.DB
	region       string
	problem      func(context.Context, error) Problem
	standing     func(context.Context, domain.Actor) error
	delivered    func(time.Duration)
	log          *slog.Logger
	second       time.Duration
	writeTimeout time.Duration
	admissions   int
	hub          *hub
	arrivals     *rate.Limiter
	arriving     atomic.Int64  // the streams that wait to begin
	first        chan struct{} // holds a token for the one that begins next
	gate         chan struct{} // holds a token for each stream that asks the database, which keeps a core busy

	draining chan struct{}
	drain    sync.Once

	mu      sync.Mutex // guards the rest of this block
	streams map[string]*stream
	byUser  map[domain.UserID]userStreams
	topics  map[string]*topic // by name, of those that are followed
	asides  map[string]*aside // the same
	leaving int               // the streams that Drain has ended

	buffers sync.Pool // of *[]byte: what is being written

	held   atomic.Int64 // the bytes that topics and asides hold
	runs   runs
	shared atomic.Int64
}

// userStreams is how many streams one user has open.
type userStreams struct{ all, multiplexed int }

// New returns an engine that follows the commits of c.DB. Close it before the
// database.
func New(c Config) *Engine {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Second == 0 {
		c.Second = time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = DefaultWriteTimeout
	}
	if c.Admissions == 0 {
		c.Admissions = DefaultAdmissions
	}
	e := &Engine{
		db: c.DB, region: c.Region, problem: c.Problem, standing: c.Standing, delivered: c.Delivered, log: c.Log, second: c.Second, writeTimeout: c.WriteTimeout,
		admissions: c.Admissions,
		hub:        newHub(c.DB.Committed()),
		arrivals:   rate.NewLimiter(rate.Limit(c.Admissions), c.Admissions),
		first:      make(chan struct{}, 1),
		gate:       make(chan struct{}, min(c.DB.LiveReaders(), max(2, runtime.GOMAXPROCS(0)))),
		draining:   make(chan struct{}),
		streams:    map[string]*stream{},
		byUser:     map[domain.UserID]userStreams{},
		topics:     map[string]*topic{},
		asides:     map[string]*aside{},
		buffers:    sync.Pool{New: func() any { return new([]byte) }},
	}
	go e.hub.serve()
	c.DB.OnCommit(e.hub.publish)
	return e
}

// Drain ends every stream with shutting_down and refuses new ones.
func (e *Engine) Drain() {
	e.drain.Do(func() {
		e.mu.Lock()
		e.leaving = len(e.streams)
		e.mu.Unlock()
		close(e.draining)
	})
}

// Close ends what Drain has left and the comparing of commits.
func (e *Engine) Close() {
	e.Drain()
	e.hub.stop()
}

// retry returns how long a client should wait before it comes again: each
// another while.
func (e *Engine) retry() time.Duration {
	e.mu.Lock()
	crowd := max(len(e.streams), e.leaving)
	e.mu.Unlock()
	spread := retryMin + time.Duration(crowd)*time.Second/time.Duration(e.admissions)
	return retryMin + rand.N(min(spread, retryMax))
}

// admit counts a stream of the user, or refuses it.
func (e *Engine) admit(s *stream) error {
	select {
	case <-e.draining:
		return errDraining
	default:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	user := e.byUser[s.actor.User]
	switch {
	case len(e.streams) >= MaxStreams:
		return domain.Fail(domain.Unavailable, "the server has as many live streams as it can hold")
	case user.all >= MaxStreamsPerUser:
		return domain.Fail(domain.RateLimited, "a user may have %d live streams at once", MaxStreamsPerUser)
	case s.multiplexed && user.multiplexed >= MaxMultiplexedPerUser:
		return domain.Fail(domain.RateLimited, "a user may have %d connections of /v1/live at once", MaxMultiplexedPerUser)
	}
	e.streams[s.id] = s
	e.byUser[s.actor.User] = user.plus(1, s.multiplexed)
	return nil
}

// leave ends what admit began.
func (e *Engine) leave(s *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.streams, s.id)
	user := e.byUser[s.actor.User].plus(-1, s.multiplexed)
	if user.all == 0 {
		delete(e.byUser, s.actor.User)
		return
	}
	e.byUser[s.actor.User] = user
}

func (u userStreams) plus(n int, multiplexed bool) userStreams {
	u.all += n
	if multiplexed {
		u.multiplexed += n
	}
	return u
}

// arrive waits until the stream may begin, in the order in which they came. Only
// the first of those who wait has reserved a place: who goes before leaves none
// that would be kept for nobody.
func (e *Engine) arrive(ctx context.Context) error {
	defer e.arriving.Add(-1)
	if e.arriving.Add(1) > int64(maxArrival/time.Second)*int64(e.admissions) {
		return domain.Fail(domain.Unavailable, "too many streams begin at once; come again a little later")
	}
	select {
	case e.first <- struct{}{}:
		defer func() { <-e.first }()
	case <-e.draining:
		return errDraining
	case <-ctx.Done():
		return ctx.Err()
	}
	place := e.arrivals.Reserve()
	wait := place.Delay()
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-e.draining:
		return errDraining
	case <-ctx.Done():
		place.Cancel()
		return ctx.Err()
	}
}

var errDraining = domain.Fail(domain.ShuttingDown, "the server is about to stop; connect again")
