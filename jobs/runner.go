package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"connvo/db"
)

// The bounds of running.
const (
	// maxRunning is how many jobs run at once: enough that a slow provider does
	// not hold up the rest, few enough to leave the cores to requests.
	maxRunning = 4
	// jobTimeout is what a handler may take: two calls of a slow provider.
	jobTimeout = 2 * time.Minute
	// troublePause is how long the runner leaves a database alone that could not
	// be read, or not store how a job has ended; then twice as long, up to
	// maxTroublePause, since each attempt may cost something outside.
	troublePause    = time.Second
	maxTroublePause = time.Minute
)

// Task is a job whose turn has come.
type Task struct {
	ID        int64 // the same at every attempt, and when a name is asked for again
	Kind      string
	Name      string // "" when it has none
	Org       string // "" when it is nobody's
	Payload   json.RawMessage
	Attempt   int // 1 at first
	CreatedAt time.Time

	asked int64 // the number of the asking that this run answers
}

// Effect is what a job changes in the database. It runs in the transaction that
// deletes the job, after the deletion, so that it may enqueue the job's own name
// anew; when it fails nothing has happened and the attempt has failed. The rules
// for a closure of db.WriteBackground hold: a few milliseconds, its tx only, and
// it may be run twice.
type Effect func(tx *db.WriteTx) error

// Handler does the part of a job that is outside the database, and returns the
// part that is inside, or nil when there is none. It may take until ctx ends and
// must return soon after. It holds no transaction and may be run again after any
// failure or crash, so what it does outside must bear repeating.
type Handler func(ctx context.Context, t Task) (Effect, error)

// Runner runs the jobs of a database, a few at once, in the order of their
// instants. It does nothing at all, not even look, until a commit changes a job
// or the earliest instant comes.
type Runner struct {
	db       *db.DB
	log      *slog.Logger
	handlers map[string]Handler

	wake     chan struct{}      // holds one: a job was changed
	done     chan ended         // holds maxRunning, so that a task never waits
	stopping chan struct{}      // closed by Stop: start nothing more
	finished chan struct{}      // closed when all have ended; nil before Start
	cut      context.Context    // ends when running tasks are to be cut off
	cutOff   context.CancelFunc // ends cut

	// These belong to the goroutine of serve.
	pause   time.Duration  // the last one for trouble, 0 when there is none
	mu      sync.Mutex     // guards running while it is changed, and where others read it
	running map[int64]bool // ids claimed
}

// ended tells serve that a task is over.
type ended struct {
	id     int64
	stored bool // how it ended is in the database
}

// NewRunner returns a runner that has a handler for each kind. It must be made
// before d is first written to, and handlers must not change afterwards.
func NewRunner(d *db.DB, log *slog.Logger, handlers map[string]Handler) *Runner {
	r := &Runner{
		db:       d,
		log:      log,
		handlers: handlers,
		wake:     make(chan struct{}, 1),
		done:     make(chan ended, maxRunning),
		stopping: make(chan struct{}),
		running:  map[int64]bool{},
	}
	r.cut, r.cutOff = context.WithCancel(context.Background())
	d.OnCommit(func(set db.ChangeSet) {
		if !set.Has("jobs") {
			return
		}
		select {
		case r.wake <- struct{}{}:
		default: // it is about to look anyway
		}
	})
	return r
}

// Start begins to run jobs, those left by an earlier process too. It is called
// once.
func (r *Runner) Start() {
	r.finished = make(chan struct{})
	go r.serve()
}

// Stop starts no further job and waits for those that run. When ctx ends first
// they are cut off, and Stop returns ctx's error once they have returned; they
// run again after the next start, and the attempt does not count. It is called
// once, by whoever called Start.
func (r *Runner) Stop(ctx context.Context) error {
	defer r.cutOff()
	close(r.stopping)
	if r.finished == nil {
		return nil
	}
	select {
	case <-r.finished:
		return nil
	case <-ctx.Done():
		r.cutOff()
		<-r.finished
		return ctx.Err()
	}
}

// Running returns the ids of the jobs that run now, at most a few. It is safe for
// concurrent use.
func (r *Runner) Running() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(r.running))
}

// serve starts tasks until it is stopped, then waits for those that run.
func (r *Runner) serve() {
	defer close(r.finished)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for r.await(timer) {
		wait, waits, err := r.startDue()
		switch {
		case err != nil:
			r.log.Error("look for jobs", "error", err)
			timer.Reset(r.rest())
		case waits:
			timer.Reset(wait)
		default:
			timer.Stop()
		}
	}
	for range r.running {
		<-r.done
	}
}

// await returns true when it is time to look for jobs, false when the runner is
// to stop.
func (r *Runner) await(timer *time.Timer) bool {
	wake := r.wake
	for {
		select {
		case <-r.stopping:
			return false
		default:
		}
		select {
		case <-r.stopping:
			return false
		case <-timer.C:
			return true
		case <-wake:
			return true
		case e := <-r.done:
			r.mu.Lock()
			delete(r.running, e.id)
			r.mu.Unlock()
			if !e.stored {
				// The job is due as before, and would fail again at once.
				wake = nil
				timer.Reset(r.rest())
				continue
			}
			r.pause = 0
			if wake != nil {
				return true
			}
		}
	}
}

// rest returns how long to leave the database alone now that it is in trouble.
func (r *Runner) rest() time.Duration {
	r.pause = min(max(troublePause, 2*r.pause), maxTroublePause)
	return r.pause
}

// startDue starts what is due while there is room. It returns how long it is
// until the next job is due, and false when nothing but a wake-up matters.
func (r *Runner) startDue() (wait time.Duration, waits bool, err error) {
	if len(r.running) == maxRunning {
		return 0, false, nil // the end of one of them wakes
	}
	now := r.db.Now()
	var due []Task
	var next []time.Time // one or none
	err = r.db.Read(r.cut, func(tx db.Reader) (err error) {
		// Those that run are still rows, and due: with them, this many hold all
		// that there is room for.
		if due, err = db.All(tx, scanTask, selectDue, now.UnixMilli(), maxRunning); err != nil {
			return err
		}
		next, err = db.All(tx, scanInstant, selectNext, now.UnixMilli())
		return err
	})
	if err != nil {
		return 0, false, err
	}
	for _, t := range due {
		if len(r.running) < maxRunning && !r.running[t.ID] {
			r.mu.Lock()
			r.running[t.ID] = true
			r.mu.Unlock()
			go func() { r.done <- ended{id: t.ID, stored: r.run(t)} }()
		}
	}
	if len(next) == 0 {
		return 0, false, nil
	}
	return next[0].Sub(now), true, nil
}
