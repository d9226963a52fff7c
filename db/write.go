package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"connvo/domain"
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
	if err := d.guarded(lane); err != nil {
		return err
	}
	c := &closure{run: f, job: lane == d.writer.background, done: make(chan struct{})}
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

// mustLive panics in a caller that has kept tx: what it asks for is the
// writer's by now, and belongs to another write.
func (tx *WriteTx) mustLive() {
	if tx.ended {
		panic("db: the transaction has ended")
	}
}

func (tx *WriteTx) query(query string, args []any) (*sql.Rows, error) {
	if err := tx.alive(); err != nil {
		return nil, err
	}
	args, err := bindable(args)
	if err != nil {
		return nil, err
	}
	return tx.w.conn.query(query, args)
}

// bindable converts args to what the driver binds. A text with a NUL is
// Invalid: the hook that captures changes is shown a text only up to there, so
// that a change behind it would go unnoticed.
func bindable(args []any) ([]any, error) {
	values := make([]any, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		if s, ok := v.(string); ok && strings.IndexByte(s, 0) >= 0 {
			return nil, domain.Fail(domain.Invalid, "a text contains the character NUL")
		}
		values[i] = v
	}
	return values, nil
}

// Exec runs a statement and returns how many rows it changed. A text argument
// with a NUL is Invalid.
func (tx *WriteTx) Exec(query string, args ...any) (int64, error) {
	if err := tx.alive(); err != nil {
		return 0, err
	}
	args, err := bindable(args)
	if err != nil {
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
	tx.mustLive()
	tx.w.sequence++
	tx.number = tx.w.sequence
	return tx.number
}

// Number returns the last number of this write. A write that has changed
// something and took none takes one; one that has changed nothing returns the
// newest number there is, which covers all it has read.
func (tx *WriteTx) Number() int64 {
	tx.mustLive()
	switch {
	case tx.number != 0:
		return tx.number
	case tx.Changed():
		return tx.Next()
	}
	return tx.w.sequence
}

// Changed reports whether this write has changed any row so far.
func (tx *WriteTx) Changed() bool {
	tx.mustLive()
	return tx.w.touched > tx.touched
}

// ULID returns a new ULID of this instant; those of one process ascend.
func (tx *WriteTx) ULID() string {
	tx.mustLive()
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

// Error names the value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic in a write: %v", e.Value) }

// LogValue is what a log shows of the error: where it comes from, too.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.Value)), slog.String("stack", string(e.Stack)))
}
