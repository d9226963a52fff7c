package db

import (
	"context"
	"crypto/rand"
	"database/sql"
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
	// maxBackgroundTime is what a closure of the second lane may take; a
	// longer one is reported, since it delays everyone.
	maxBackgroundTime = 20 * time.Millisecond
)

// Write runs f on the one writer and returns when what f did is durable, or
// refused. Closures that wait together share one commit; each is undone alone
// when it returns an error.
//
// f touches only its tx, waits for nothing and calls no one; it may be run
// twice, when a neighbour broke the shared transaction. ctx counts only while f
// waits for its turn. With a context that carries a transaction (see Join), f
// runs in that one.
//
// Errors: what f returns; Unavailable when the queue is full, the disk is, or
// the commit failed.
func (d *DB) Write(ctx context.Context, f func(tx *WriteTx) error) error {
	return d.write(ctx, d.writer.queue, f)
}

// WriteBackground is Write in the second lane, for jobs: it gives way to
// requests, and gets one turn in each commit while they keep the writer busy.
func (d *DB) WriteBackground(ctx context.Context, f func(tx *WriteTx) error) error {
	return d.write(ctx, d.writer.background, f)
}

func (d *DB) write(ctx context.Context, lane chan *closure, f func(tx *WriteTx) error) error {
	switch joined := ctx.Value(contextKey{}).(type) {
	case *WriteTx:
		return joined.join(f)
	case *Tx:
		return errors.New("a write inside a read transaction")
	}
	c := &closure{run: f, done: make(chan struct{})}
	if err := d.writer.enqueue(lane, c); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, cancelled) {
			return domain.Because(domain.Unavailable, ctx.Err(), "the request ended before its write began")
		}
		<-c.done
	}
	return c.err
}

// Join returns a context with which Read and Write join tx. It must not be used
// after tx has ended.
func Join(ctx context.Context, tx *WriteTx) context.Context {
	return context.WithValue(ctx, contextKey{}, tx)
}

// The states of a closure: what its caller and the writer race for.
const (
	waiting int32 = iota
	started
	cancelled
)

type closure struct {
	run   func(tx *WriteTx) error
	state atomic.Int32
	err   error         // set before done is closed
	done  chan struct{} // closed when err may be read
}

// WriteTx is the part of a transaction that belongs to one closure. It is used
// by the closure's goroutine only, and not after the closure has returned.
type WriteTx struct {
	// Now is the one instant of this write.
	Now time.Time

	w         *writer
	ended     bool
	touched   int64 // rows that the writer had changed before
	number    int64 // the last number this closure took, or 0
	doomed    error // why a joined write failed, so that this one must
	decided   bool
	onDecided func() error
}

func (tx *WriteTx) alive() error {
	switch {
	case tx.ended:
		return errors.New("the transaction has ended")
	case tx.w.rolledBack:
		return domain.Fail(domain.Unavailable, "the database undid the write")
	}
	return nil
}

func (tx *WriteTx) query(query string, args []any) (*sql.Rows, error) {
	if err := tx.alive(); err != nil {
		return nil, err
	}
	return tx.w.conn.query(query, args)
}

// Exec runs a statement and returns how many rows it changed.
func (tx *WriteTx) Exec(query string, args ...any) (int64, error) {
	if err := tx.alive(); err != nil {
		return 0, err
	}
	result, err := tx.w.conn.execResult(query, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Next takes the next number of the database's one sequence. Numbers ascend in
// commit order; one that was committed is never used again.
func (tx *WriteTx) Next() int64 {
	tx.w.sequence++
	tx.number = tx.w.sequence
	return tx.number
}

// Number returns the last number of this write. A write that has changed
// something and took none takes one; one that has changed nothing returns the
// newest number there is, which covers all it has read.
func (tx *WriteTx) Number() int64 {
	switch {
	case tx.number != 0:
		return tx.number
	case tx.w.touched > tx.touched:
		return tx.Next()
	}
	return tx.w.sequence
}

// ULID returns a new ULID of this instant; those of one process ascend.
func (tx *WriteTx) ULID() string {
	return ulid.MustNew(ulid.Timestamp(tx.Now), tx.w.entropy).String()
}

// Decided says that the caller's rights allow the write; see Reader.
func (tx *WriteTx) Decided() error {
	if tx.decided {
		return nil
	}
	tx.decided = true
	if tx.onDecided == nil {
		return nil
	}
	return tx.onDecided()
}

// OnDecided sets what the first Decided asks, for a caller that may know the
// answer already once the rights are checked.
func (tx *WriteTx) OnDecided(f func() error) { tx.onDecided = f }

// WasDecided reports whether Decided has been called.
func (tx *WriteTx) WasDecided() bool { return tx.decided }

// join runs f as a part of tx. What a failed part has done cannot be undone
// alone, so the whole write fails with it.
func (tx *WriteTx) join(f func(tx *WriteTx) error) error {
	if err := tx.alive(); err != nil {
		return err
	}
	err := f(tx)
	if err != nil && tx.doomed == nil {
		tx.doomed = err
	}
	return err
}

// PanicError is what a closure that panicked is answered with.
type PanicError struct {
	Value any
	Stack []byte
}

// Error names the value; the stack is for the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic in a write: %v", e.Value) }

// writer owns the one connection that writes. Everything below closing is
// touched by its goroutine only, unless noted.
type writer struct {
	db         *DB
	queue      chan *closure
	background chan *closure
	finished   chan struct{} // closed when the goroutine has ended

	mu        sync.RWMutex // guards closing, the sends to both lanes, followers
	closing   bool
	followers []func(ChangeSet)

	committed atomic.Int64 // read by anyone
	closures  atomic.Int64
	commits   atomic.Int64

	conn       *conn
	entropy    io.Reader
	sequence   int64    // the last number taken, committed or not
	touched    int64    // rows changed since the start, those of refused closures excluded
	changes    []Change // of the open transaction
	atBegin    struct{ sequence, touched int64 }
	rolledBack bool // SQLite has ended the transaction by itself
	ending     bool // we are ending it
}

const updateSequence = `UPDATE sequence SET last = ? WHERE id = 1`

func startWriter(d *DB, c *conn, last int64) (*writer, error) {
	w := &writer{
		db:         d,
		queue:      make(chan *closure, MaxQueue),
		background: make(chan *closure, MaxBackgroundQueue),
		finished:   make(chan struct{}),
		conn:       c,
		entropy:    ulid.Monotonic(rand.Reader, 0),
		sequence:   last,
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
	_, err := w.conn.raw.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, w.conn.close())
}

func (w *writer) serve() {
	defer close(w.finished)
	queue, background := w.queue, w.background
	for queue != nil || background != nil {
		var c *closure
		var open bool
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
		}
		w.commitGroup(c)
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
func (w *writer) commitGroup(c *closure) {
	g := &group{began: time.Now()}
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
		if err != nil {
			m.err = err
		}
		w.answer(m, m.err)
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
	err := w.runInSavepoint(c.run)
	if w.rolledBack {
		w.end()
		w.answer(c, undone(err))
		return
	}
	if failed := w.commit(); failed != nil {
		err = failed
	}
	w.answer(c, err)
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
	return w.conn.exec("BEGIN IMMEDIATE")
}

// commit makes the transaction durable and publishes what it changed.
func (w *writer) commit() error {
	changed := w.sequence > w.atBegin.sequence || w.touched > w.atBegin.touched
	var err error
	if changed {
		err = w.conn.exec(updateSequence, w.sequence)
	}
	if err == nil {
		err = w.conn.exec("COMMIT")
	}
	if err != nil {
		w.db.log.Error("commit", "error", err)
		w.end()
		return domain.Because(domain.Unavailable, err, "the database could not store the write")
	}
	if changed {
		w.commits.Add(1)
		w.committed.Store(w.sequence)
		w.publish()
	}
	return nil
}

func (w *writer) publish() {
	set := ChangeSet{Commit: w.sequence, Changes: w.changes, catalog: w.db.catalog}
	w.mu.RLock()
	followers := w.followers
	w.mu.RUnlock()
	for _, follow := range followers {
		follow(set)
	}
}

// end makes sure that no transaction is open.
func (w *writer) end() {
	w.ending = true
	w.changes = nil
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
	err := w.call(tx, f)
	if w.rolledBack {
		return err
	}
	if err == nil {
		tx.Number() // every write that changes something takes a number
	}
	tx.ended = true
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
	if took := time.Since(began); took > maxBackgroundTime {
		w.db.log.Warn("slow write", "took", took)
	}
	return err
}

func (w *writer) call(tx *WriteTx, f func(tx *WriteTx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p := &PanicError{Value: v, Stack: debug.Stack()}
			w.db.log.Error("panic in a write", "value", fmt.Sprint(v), "stack", string(p.Stack))
			err = p
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	return tx.doomed
}
