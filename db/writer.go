package db

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"connvo/domain"
)

// The bounds of the writer.
const (
	// MaxQueue is how many writes wait; at 5,000 a second the last of them
	// would wait a second. One more is Unavailable at once.
	MaxQueue = 4096
	// MaxBackgroundQueue is how many jobs wait; their runner starts few.
	MaxBackgroundQueue = 256
	// MaxBatch and maxBatchTime end a group of closures: more would make the
	// first of them wait longer than the disk does.
	MaxBatch     = 256
	maxBatchTime = 10 * time.Millisecond
	// maxClosureTime is what one closure may take; a longer one is reported,
	// since it delays everyone. Jobs do their work in steps under it.
	maxClosureTime = 20 * time.Millisecond
	// confirmEvery is how often the fence is asked about a commit that it has not let
	// through; nobody waits for the answer.
	confirmEvery = 100 * time.Millisecond
)

// The states of a closure: what its caller and the writer race for.
const (
	waiting int32 = iota
	started
	cancelled
)

type closure struct {
	run   func(tx *WriteTx) error
	job   bool // it came by the second lane
	state atomic.Int32
	err   error         // set before done is closed
	done  chan struct{} // closed when err may be read
}

// told returns what the closure is answered after its commit.
func (c *closure) told(commit error) error {
	_, stored := errors.AsType[*UnconfirmedError](commit)
	if commit == nil || (stored && (c.job || c.err != nil)) {
		return c.err
	}
	return commit
}

// writer owns the one connection that writes. Everything below closing is
// touched by its goroutine only, unless noted.
type writer struct {
	db         *DB
	queue      chan *closure
	background chan *closure
	empty      chan chan error // asks for EmptyLog; the answer is never waited for
	finished   chan struct{}   // closed when the goroutine has ended

	mu        sync.RWMutex // guards closing, the sends to both lanes, followers
	closing   bool
	followers []func(ChangeSet)

	committed atomic.Int64 // read by anyone
	closures  atomic.Int64
	commits   atomic.Int64

	conn       *conn
	beside     *beside // nil where the log is replicated
	entropy    io.Reader
	sequence   int64      // the last number taken, committed or not
	touched    int64      // rows changed since the start, those of refused closures excluded
	changes    []Change   // of the open transaction
	uncaptured error      // why a change of the running closure cannot be published
	stored     *ChangeSet // of the newest commit, while it is not published; nil for none
	atBegin    struct{ sequence, touched int64 }
	rolledBack bool // SQLite has ended the transaction by itself
	ending     bool // we are ending it

	restartAt  time.Time // when the log may be restarted again
	alarmPages int64     // a log of this length is reported
}

const updateSequence = `UPDATE sequence SET last = ? WHERE id = 1`

func startWriter(d *DB, c *conn, b *beside, last int64) (*writer, error) {
	w := &writer{
		db:         d,
		queue:      make(chan *closure, MaxQueue),
		background: make(chan *closure, MaxBackgroundQueue),
		empty:      make(chan chan error),
		finished:   make(chan struct{}),
		conn:       c,
		beside:     b,
		entropy:    ulid.Monotonic(rand.Reader, 0),
		sequence:   last,
		alarmPages: walAlarmPages,
	}
	w.committed.Store(last)
	if err := w.installHooks(); err != nil {
		return nil, err
	}
	go w.serve()
	return w, nil
}

func (w *writer) enqueue(lane chan *closure, c *closure) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closing {
		return closedError()
	}
	select {
	case lane <- c:
		return nil
	default:
		return domain.Fail(domain.Unavailable, "too many writes are waiting")
	}
}

// stop refuses new writes and waits until those that wait are answered.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.closing {
		w.closing = true
		close(w.queue)
		close(w.background)
	}
	w.mu.Unlock()
	<-w.finished
}

// close copies the log back into the file and closes the connection.
func (w *writer) close() error {
	w.stop()
	if w.db.replicated {
		return w.conn.close() // the log stays: not all of it may have been copied elsewhere
	}
	failed := w.beside.close()
	_, err := w.conn.raw.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil {
		// The log stays beside the file, and is read when it is opened again.
		err = fmt.Errorf("copy the log back: %w", err)
	}
	return errors.Join(failed, err, w.conn.close())
}

func (w *writer) serve() {
	defer close(w.finished)
	queue, background := w.queue, w.background
	for queue != nil || background != nil {
		g := &group{}
		var c *closure
		var open bool
		var again <-chan time.Time
		if w.stored != nil {
			again = time.After(confirmEvery)
		}
		select {
		case c, open = <-queue:
			if !open {
				queue = nil
				continue
			}
		case c, open = <-background:
			if !open {
				background = nil
				continue
			}
			g.background++
		case reply := <-w.empty:
			reply <- w.emptyLog()
			continue
		case <-again:
			_ = w.confirm() // else later
			continue
		}
		before := w.commits.Load()
		w.commitGroup(g, c)
		if w.commits.Load() != before {
			w.boundLog()
		}
	}
}

// group is the closures that share a commit.
type group struct {
	began      time.Time
	members    []*closure // in the order they ran
	background int        // how many of them came by the second lane
}

// commitGroup runs c and what waits behind it in one transaction, and answers
// all of them when it is durable.
func (w *writer) commitGroup(g *group, c *closure) {
	g.began = time.Now()
	if err := w.begin(); err != nil {
		w.answer(c, err)
		return
	}
	for ; c != nil; c = w.following(g) {
		if !c.state.CompareAndSwap(waiting, started) {
			continue
		}
		err := w.runInSavepoint(c.run)
		if w.rolledBack {
			// The neighbours were undone with the culprit: each again, alone.
			w.end()
			for _, m := range g.members {
				w.commitAlone(m)
			}
			w.answer(c, undone(err))
			return
		}
		c.err = err
		g.members = append(g.members, c)
	}
	err := w.commit()
	for _, m := range g.members {
		w.answer(m, m.told(err))
	}
}

// following returns the closure that joins the group, or nil when it is full or
// nobody waits. Requests go first; a full group still takes one of the second
// lane, so that jobs move while requests keep the writer busy.
func (w *writer) following(g *group) *closure {
	full := len(g.members) >= MaxBatch || time.Since(g.began) >= maxBatchTime
	if !full {
		select {
		case c, open := <-w.queue:
			if open {
				return c
			}
		default:
		}
	}
	if full && g.background > 0 {
		return nil
	}
	select {
	case c, open := <-w.background:
		if open {
			g.background++
			return c
		}
	default:
	}
	return nil
}

// commitAlone runs c in a transaction of its own.
func (w *writer) commitAlone(c *closure) {
	if err := w.begin(); err != nil {
		w.answer(c, err)
		return
	}
	c.err = w.runInSavepoint(c.run)
	if w.rolledBack {
		w.end()
		w.answer(c, undone(c.err))
		return
	}
	w.answer(c, c.told(w.commit()))
}

func (w *writer) answer(c *closure, err error) {
	w.closures.Add(1)
	c.err = err
	close(c.done)
}

// undone is what the closure is answered whose statement made SQLite end the
// transaction.
func undone(cause error) error {
	if domain.KindOf(cause) == domain.Unavailable {
		return cause
	}
	return domain.Because(domain.Unavailable, cause, "the database undid the write")
}

func (w *writer) begin() error {
	w.rolledBack, w.ending = false, false
	w.changes = nil
	w.atBegin.sequence, w.atBegin.touched = w.sequence, w.touched
	err := w.conn.exec("BEGIN IMMEDIATE")
	if err != nil {
		w.end() // should an earlier rollback have failed, this one may not
	}
	return err
}

// commit makes the transaction durable and publishes what it changed.
func (w *writer) commit() error {
	changed := w.sequence > w.atBegin.sequence || w.touched > w.atBegin.touched
	err := w.confirm() // what changes nothing may tell of what an earlier one has changed
	if err == nil && changed {
		err = w.conn.exec(updateSequence, w.sequence)
	}
	if err == nil {
		err = w.conn.exec("COMMIT")
	}
	if err != nil {
		w.end()
		if domain.KindOf(err) == domain.Unavailable {
			return err
		}
		return domain.Because(domain.Unavailable, err, "the database could not store the write")
	}
	if !changed {
		return nil
	}
	w.commits.Add(1)
	w.stored = &ChangeSet{Commit: w.sequence, Changes: w.changes, catalog: w.db.catalog}
	if err := w.confirm(); err != nil {
		return &UnconfirmedError{Commit: w.sequence, Cause: err}
	}
	return nil
}

// end makes sure that no transaction is open, and forgets what was done in it.
func (w *writer) end() {
	w.ending = true
	w.changes = nil
	w.sequence, w.touched = w.atBegin.sequence, w.atBegin.touched
	// SQLite answers with an error where it has rolled back already.
	_ = w.conn.exec("ROLLBACK")
}

// runInSavepoint runs f so that it can be undone alone, and undoes it when it
// fails. When w.rolledBack is set afterwards the whole transaction is gone.
func (w *writer) runInSavepoint(f func(tx *WriteTx) error) error {
	if err := w.conn.exec("SAVEPOINT closure"); err != nil {
		return err
	}
	began := time.Now()
	firstChange, firstNumber := len(w.changes), w.sequence
	tx := &WriteTx{Now: w.db.Now(), w: w, touched: w.touched}
	w.uncaptured = nil
	err := call(tx, f)
	if err == nil {
		err = w.uncaptured
	}
	if err == nil {
		tx.Number() // every write that changes something takes a number
	}
	tx.ended = true
	if w.rolledBack {
		return err
	}
	if err != nil {
		// Nobody has seen its numbers.
		w.changes, w.sequence, w.touched = w.changes[:firstChange], firstNumber, tx.touched
		if failed := w.conn.exec("ROLLBACK TO closure"); failed != nil {
			w.rolledBack = true // a state we cannot vouch for is given up
			return errors.Join(err, failed)
		}
	}
	if failed := w.conn.exec("RELEASE closure"); failed != nil {
		w.rolledBack = true
		return errors.Join(err, failed)
	}
	if took := time.Since(began); took > maxClosureTime {
		w.db.log.Warn("slow write", "ms", took.Milliseconds())
	}
	return err
}

func call(tx *WriteTx, f func(tx *WriteTx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	return tx.doomed
}
