// Package db is the database file: one writer that commits in groups, a pool of
// readers, and what each commit changed.
//
// A DB owns its file: a second process is refused while it is open. Every
// method is safe for concurrent use.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"connvo/domain"
)

// Options say how a database is opened. Path and Schema are required.
type Options struct {
	Path   string // the file; its directory must exist
	Schema string // the SQL that makes a fresh database; its comment "-- unwatched: …" names tables whose changes are not published
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Log receives what no caller can be told; slog.Default() when nil.
	Log *slog.Logger
	// Readers is how many read transactions requests have at once, and as many
	// again are for live queries; DefaultReaders when 0.
	Readers int
	// MaxPages bounds the file, in pages of 4 KiB; 0 means SQLite's own limit.
	MaxPages int
	// Replicated says that the log is read by what copies it elsewhere: only that
	// may copy it back, once it has begun (see Replicate), and closing leaves it.
	Replicated bool
}

// DefaultReaders is enough to keep a small machine busy: a read transaction is
// CPU-bound, and more of them than cores only wait for one another.
const DefaultReaders = 8

// ErrClosed is the cause of the Unavailable that a closed database answers.
var ErrClosed = errors.New("the database is closed")

// DB is an open database file.
type DB struct {
	path    string
	now     func() time.Time
	log     *slog.Logger
	pool    *sql.DB // every connection below comes from it
	readers *readPool
	live    *readPool
	writer  *writer
	catalog *catalog
	unlock  func() error

	replicated bool
	copier     atomic.Pointer[copier] // copies the log back; nil before Replicate
	guard      atomic.Pointer[func() error]
	fence      atomic.Pointer[func() error]
	gaps       atomic.Pointer[[]gap] // numbers that were never given out here

	closing sync.Once
}

// Open opens the file, making it when there is none. It refuses, with one clear
// sentence, a file that is not a database, is damaged, cannot be written, is
// open in another process, or has another schema than o.Schema makes.
func Open(ctx context.Context, o Options) (*DB, error) {
	var err error
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Readers == 0 {
		o.Readers = DefaultReaders
	}
	d := &DB{now: o.Now, log: o.Log, replicated: o.Replicated}
	if d.path, d.unlock, err = claim(o.Path, o.Log); err != nil {
		return nil, err
	}
	o.Path = d.path
	if err := d.connect(ctx, o); err != nil {
		_ = d.release()
		return nil, openError(d.path, err)
	}
	return d, nil
}

// connect makes the schema or checks it, and the connections.
func (d *DB) connect(ctx context.Context, o Options) (err error) {
	if d.pool, err = sql.Open("sqlite", dsn(o)); err != nil {
		return err
	}
	if o.Replicated {
		d.pool.SetMaxIdleConns(-1) // the writer's is the last to be closed, and leaves the log
	}
	conn, err := newConn(ctx, d.pool)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = conn.close()
		}
	}()
	last, err := prepareSchema(ctx, conn.raw, o)
	if err != nil {
		return err
	}
	gaps, err := readGaps(ctx, conn.raw)
	if err != nil {
		return err
	}
	d.gaps.Store(&gaps)
	if d.catalog, err = newCatalog(ctx, d.pool, unwatched(o.Schema)); err != nil {
		return err
	}
	if d.readers, err = newReadPool(ctx, d.pool, o.Readers, MaxReadQueue); err != nil {
		return err
	}
	if d.live, err = newReadPool(ctx, d.pool, o.Readers, MaxLiveQueue); err != nil {
		return err
	}
	if o.Replicated {
		d.writer, err = startWriter(d, conn, nil, last)
		return err
	}
	second, err := newConn(ctx, d.pool)
	if err != nil {
		return err
	}
	b := copyBeside(second, o.Log)
	if d.writer, err = startWriter(d, conn, b, last); err != nil {
		err = errors.Join(err, b.close())
	}
	return err
}

// Now returns the instant of the database's clock, in UTC, to the millisecond.
func (d *DB) Now() time.Time { return d.now().UTC().Truncate(time.Millisecond) }

// OnCommit registers f to be called with what each commit changed, in commit
// order, after readers can see it and before the writers are answered. f runs
// on the writer's goroutine: it must be quick and must not use the database.
// Register before the first write.
func (d *DB) OnCommit(f func(ChangeSet)) {
	d.writer.mu.Lock()
	defer d.writer.mu.Unlock()
	d.writer.followers = append(d.writer.followers, f)
}

// Stats are the figures of the writer since the database was opened.
type Stats struct {
	Closures int64 // answered, refused ones included
	Commits  int64 // transactions that changed something
	Queued   int   // closures waiting now
}

// Stats returns the figures of the writer.
func (d *DB) Stats() Stats {
	return Stats{
		Closures: d.writer.closures.Load(),
		Commits:  d.writer.commits.Load(),
		Queued:   len(d.writer.queue) + len(d.writer.background),
	}
}

// Committed returns the last number that is durable, and that the fence has let through.
func (d *DB) Committed() int64 { return d.writer.committed.Load() }

// Close answers what is queued, writes the log back into the file and closes
// it. Later calls of any method are answered with Unavailable.
func (d *DB) Close() error {
	err := error(nil)
	d.closing.Do(func() {
		d.writer.stop()
		err = d.release()
	})
	return err
}

// release gives back whatever Open has taken so far.
func (d *DB) release() error {
	var errs []error
	if d.readers != nil {
		errs = append(errs, d.readers.close())
	}
	if d.live != nil {
		errs = append(errs, d.live.close())
	}
	if d.catalog != nil {
		errs = append(errs, d.catalog.close())
	}
	if d.writer != nil {
		errs = append(errs, d.writer.close())
	}
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	errs = append(errs, d.unlock())
	return errors.Join(errs...)
}

func closedError() error {
	return domain.Because(domain.Unavailable, ErrClosed, "the database is closing")
}

// size returns the length of the file in bytes without opening it: closing any
// descriptor of a database file would drop the locks that SQLite holds on it.
func size(path string) (int64, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	return fi.Size(), nil
}
