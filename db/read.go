package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"connvo/domain"
)

// ErrNone is what One returns when the statement answers no row.
var ErrNone = errors.New("no such row")

// Row is the current row of a result. Scan copies its columns, in order.
type Row interface {
	Scan(dest ...any) error
}

// Reader is a transaction that can be read from: a *Tx or a *WriteTx.
type Reader interface {
	query(query string, args []any) (*sql.Rows, error)

	// Decided tells the transaction that the caller's rights have been checked
	// and allow what follows. Every access decision ends with it. In a write it
	// may return an error, which must be passed on: the answer is known already.
	Decided() error
}

// One returns the only row of the answer, or ErrNone. Further rows are not read.
func One[T any](tx Reader, scan func(Row) (T, error), query string, args ...any) (T, error) {
	var none T
	rows, err := tx.query(query, args)
	if err != nil {
		return none, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return none, failure(err)
		}
		return none, ErrNone
	}
	v, err := scan(rows)
	if err != nil {
		return none, fmt.Errorf("scan: %w", err)
	}
	return v, nil
}

// All returns every row of the answer, an empty slice when there is none. The
// statement must bound the answer with LIMIT or by its nature.
func All[T any](tx Reader, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.query(query, args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return all, nil
}

// Int is the scan of a single whole number.
func Int(r Row) (int64, error) {
	var n int64
	err := r.Scan(&n)
	return n, err
}

// Tx is a read transaction: one unchanging state of the database.
type Tx struct {
	conn     *conn
	snapshot *Snapshot // what reads are recorded in, or nil
}

func (tx *Tx) query(query string, args []any) (*sql.Rows, error) {
	if tx.conn == nil {
		return nil, errors.New("the transaction has ended")
	}
	if tx.snapshot != nil {
		if err := tx.snapshot.record(query, args); err != nil {
			return nil, err
		}
	}
	return tx.conn.query(query, args)
}

// Decided does nothing: a read has nothing more to ask.
func (tx *Tx) Decided() error { return nil }

// contextKey is the key under which a context carries the transaction that
// calls made with it join.
type contextKey struct{}

// Read runs f in a read transaction, or in the one that ctx carries. f must
// not keep tx. While all readers are busy it waits, until ctx ends; Unavailable
// when too many wait.
func (d *DB) Read(ctx context.Context, f func(tx Reader) error) error {
	switch joined := ctx.Value(contextKey{}).(type) {
	case *Tx:
		return f(joined)
	case *WriteTx:
		return f(joined)
	}
	conn, err := d.readers.take(ctx)
	if err != nil {
		return err
	}
	defer d.readers.give(conn)
	return inTransaction(conn, func() error {
		tx := &Tx{conn: conn}
		defer func() { tx.conn = nil }()
		return f(tx)
	})
}

// Ping reads something, to see that the database answers.
func (d *DB) Ping(ctx context.Context) error {
	return d.Read(ctx, func(tx Reader) error {
		_, err := One(tx, Int, selectSequence)
		return err
	})
}

// A Snapshot is a read transaction that records what is read in it. Its fields
// are complete when Observe returns.
type Snapshot struct {
	Commit int64        // the last number the state holds
	Deps   []Dependency // what the statements read

	catalog *catalog
	seen    map[dependencyKey]int
}

const selectSequence = `SELECT last FROM sequence WHERE id = 1`

// Observe runs f in one read transaction of the pool for live queries. Every
// Read with the context that f is given joins the transaction, and what its
// statements depend on is recorded, also when f fails.
func (d *DB) Observe(ctx context.Context, f func(ctx context.Context, commit int64) error) (Snapshot, error) {
	s := &Snapshot{catalog: d.catalog, seen: map[dependencyKey]int{}}
	conn, err := d.live.take(ctx)
	if err != nil {
		return *s, err
	}
	defer d.live.give(conn)
	err = inTransaction(conn, func() error {
		tx := &Tx{conn: conn}
		defer func() { tx.conn = nil }()
		commit, err := One(tx, Int, selectSequence)
		if err != nil {
			return err
		}
		s.Commit = commit
		tx.snapshot = s
		return f(context.WithValue(ctx, contextKey{}, tx), commit)
	})
	return *s, err
}

// Record runs f and returns what the statements run with its context depend on,
// also when f fails; the Snapshot of the whole transaction does not have them.
// ctx is one that Observe has given, or nothing is recorded.
func Record(ctx context.Context, f func() error) ([]Dependency, error) {
	tx, observed := ctx.Value(contextKey{}).(*Tx)
	if !observed || tx.snapshot == nil {
		return nil, f()
	}
	whole := tx.snapshot
	part := &Snapshot{catalog: whole.catalog, seen: map[dependencyKey]int{}}
	tx.snapshot = part
	defer func() { tx.snapshot = whole }()
	err := f()
	return part.Deps, err
}

// LiveReaders is how many transactions of Observe are open at most.
func (d *DB) LiveReaders() int { return d.live.size }

func inTransaction(conn *conn, f func() error) error {
	if err := conn.exec("BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() { _ = conn.exec("ROLLBACK") }() // a read has nothing to commit
	return f()
}

// conn is one connection with its prepared statements. It is used by one
// goroutine at a time.
//
// Statements run without a cancellable context: a cancelled statement rolls
// the whole transaction back, and watching for it costs a goroutine each.
type conn struct {
	raw        *sql.Conn
	statements map[string]*sql.Stmt
}

func newConn(ctx context.Context, pool *sql.DB) (*conn, error) {
	raw, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, statements: map[string]*sql.Stmt{}}, nil
}

// prepare returns the statement for query. Statements are constants of the
// program, so their number is bounded by it.
func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s, found := c.statements[query]; found {
		return s, nil
	}
	s, err := c.raw.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, failure(err)
	}
	c.statements[query] = s
	return s, nil
}

func (c *conn) query(query string, args []any) (*sql.Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	return rows, failure(err)
}

func (c *conn) exec(query string, args ...any) error {
	_, err := c.execResult(query, args)
	return err
}

func (c *conn) execResult(query string, args []any) (sql.Result, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	return result, failure(err)
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// The bounds of the reads that wait for a free connection; one more is
// Unavailable at once.
const (
	// MaxReadQueue is how many requests wait; at 5,000 a second the last of
	// them would wait a second, like that of the writer.
	MaxReadQueue = 4096
	// MaxLiveQueue is more than a server has live queries, 20,000: one commit
	// may concern all of them, and none should end because they take turns.
	MaxLiveQueue = 32_768
)

// readPool is a bounded set of connections that cannot write.
type readPool struct {
	idle    chan *conn
	size    int
	queue   int64        // how many may wait
	waiting atomic.Int64 // how many do
	ended   chan struct{}
	held    atomic.Pointer[chan struct{}] // closed when reads may begin again; nil while they may
}

func newReadPool(ctx context.Context, pool *sql.DB, size int, queue int64) (*readPool, error) {
	p := &readPool{idle: make(chan *conn, size), size: size, queue: queue, ended: make(chan struct{})}
	for range size {
		c, err := newConn(ctx, pool)
		if err == nil {
			_, err = c.raw.ExecContext(ctx, "PRAGMA query_only = ON")
		}
		if err != nil {
			return nil, errors.Join(err, p.closeIdle())
		}
		p.idle <- c
	}
	return p, nil
}

func (p *readPool) take(ctx context.Context) (*conn, error) {
	select {
	case <-p.ended:
		return nil, closedError()
	default:
	}
	select {
	case c := <-p.idle: // nobody waits: one who did would have been given it
		if p.held.Load() == nil {
			return c, nil
		}
		p.idle <- c
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.queue {
		return nil, domain.Fail(domain.Unavailable, "too many reads are waiting")
	}
	for {
		select {
		case c := <-p.idle:
			held := p.held.Load()
			if held == nil {
				return c, nil
			}
			p.idle <- c
			<-*held // for a moment only: see hold
		case <-p.ended:
			return nil, closedError()
		case <-ctx.Done():
			return nil, domain.Because(domain.Unavailable, ctx.Err(), "the request ended before the database could answer")
		}
	}
}

func (p *readPool) give(c *conn) { p.idle <- c }

// close waits for the transactions that are open and closes the connections.
func (p *readPool) close() error {
	close(p.ended)
	var errs []error
	for range p.size {
		errs = append(errs, (<-p.idle).close())
	}
	return errors.Join(errs...)
}

// closeIdle closes what a pool that was never complete holds.
func (p *readPool) closeIdle() error {
	var errs []error
	for {
		select {
		case c := <-p.idle:
			errs = append(errs, c.close())
		default:
			return errors.Join(errs...)
		}
	}
}
