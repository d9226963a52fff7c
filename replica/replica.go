// Package replica keeps a copy of the database file elsewhere, up to the second.
//
// Litestream does the copying, as a library: it reads the write-ahead log and stores
// what is new in it as files, which are merged into larger ones in time. A database is
// restored from them as it is now, or was at some moment.
package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// The bounds of the work.
const (
	// syncEvery is what is lost at most when the machine is, unless more is asked for.
	syncEvery = time.Second
	// syncPause is between two syncs that are asked for: at most 20 a second, which
	// those who ask share.
	syncPause = 50 * time.Millisecond
	// syncTime bounds one sync: the largest upload is that of a whole database.
	syncTime = 10 * time.Minute
	// maxBackoff is between two syncs while they fail.
	maxBackoff = 10 * time.Second
	// connectTime bounds the questions at the start.
	connectTime = 10 * time.Second
)

// never is more pages than a log has: Litestream copies it back only when it is asked
// to. Its own threshold would have it store the whole database again.
const never = 1<<31 - 1

// ErrUnreachable is behind the errors that may pass by themselves: the replica does
// not answer.
var ErrUnreachable = errors.New("the replica cannot be reached")

// Replica is the copy of one database file. Its methods are safe for concurrent use.
type Replica struct {
	target  Target
	path    string // of the database file
	log     *slog.Logger
	objects objects
	client  litestream.ReplicaClient

	source Source
	db     *litestream.DB
	asked  chan struct{} // somebody waits for a sync
	mend   chan struct{} // holds one: a new snapshot mends what was found
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu       sync.Mutex // guards waiters, status
	waiters  []chan error
	status   Status
	one      sync.Mutex // held by the one verification that is made
	verified bool       // touched by Start and the syncing goroutine only, as are the next
	attached bool
	synced   int64 // what was committed before the last sync
}

// Source is the database that is copied.
type Source struct {
	ID string // what tells it from others
	// Restored is the newest transaction that the replica had when the file was
	// restored from it, 0 where it was not: such a file may follow that one.
	Restored uint64
	// Committed returns the number of the newest commit.
	Committed func() int64
	// Pages returns n pages of the database as they are now, from first on, which is 1
	// for the first there is; fewer where it ends.
	Pages func(ctx context.Context, first int64, n int) ([][]byte, error)
	// Check reads the file of such a database and returns what is wrong with it.
	Check func(ctx context.Context, path string) ([]string, error)
	// Attach is called once, when only the replica may copy the log back.
	Attach func(copyBack func(ctx context.Context) error)
}

// New returns the copy of the file at path that is kept at the target. Nothing is
// read or written yet.
func New(t Target, path string, log *slog.Logger) (*Replica, error) {
	quiet := slog.New(onlyWarnings{log.Handler()})
	o, c, err := t.open(quiet)
	if err != nil {
		return nil, err
	}
	return &Replica{
		target: t, path: path, log: log, objects: o, client: c,
		asked: make(chan struct{}, 1), mend: make(chan struct{}, 1), stop: func() {}, status: Status{State: Starting},
	}, nil
}

// Start begins to copy the open database. One whose replica holds another database,
// or has gone further than the file, is refused, as is a target that answers that it
// will never work; one that does not answer is asked again until it does.
func (r *Replica) Start(ctx context.Context, s Source) error {
	r.source = s
	if err := r.connect(ctx); errors.Is(err, ErrUnreachable) {
		r.log.Warn("serving without a replica until it answers", "replica", r.target.String(), "error", err)
	} else if err != nil {
		return err
	}
	r.db = litestream.NewDB(r.path)
	r.db.SetLogger(slog.New(onlyWarnings{r.log.Handler()}))
	r.db.MonitorInterval, r.db.CheckpointInterval, r.db.L0Retention = 0, 0, 0
	r.db.MinCheckpointPageN, r.db.TruncatePageN = never, never
	r.db.Replica = litestream.NewReplicaWithClient(r.db, r.client)
	r.db.Replica.MonitorEnabled = false
	if err := r.db.Open(); err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	r.removeVerifying()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.ended.Go(func() { r.sync(running) })
	r.ended.Go(func() { r.tidy(running) })
	r.ended.Go(func() { r.verify(running) })
	return nil
}

// connect makes sure that the replica is of this database and does not go further
// than the file.
func (r *Replica) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	m, found, err := r.marker(ctx)
	switch {
	case err != nil:
		return err
	case !found:
		if err := r.begin(ctx); err != nil {
			return err
		}
	case m.Database != r.source.ID && r.requireEmpty(ctx) == nil:
		if err := r.begin(ctx); err != nil { // what was begun has never come to hold anything
			return err
		}
	case m.Database != r.source.ID:
		return fmt.Errorf("replica %s: it holds another database than %s; name another place, or move the file away to restore what the replica holds", r.target, r.path)
	default:
		if err := r.refuseBehind(ctx); err != nil {
			return err
		}
	}
	r.verified = true
	return nil
}

// begin makes an empty target the replica of this database.
func (r *Replica) begin(ctx context.Context) error {
	// What was copied to a replica that is gone is not to be gone on from.
	if err := os.RemoveAll(metaPath(r.path)); err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	return r.mark(ctx, marker{Database: r.source.ID})
}

// refuseBehind refuses a file that lacks what its replica has: it would bury that.
func (r *Replica) refuseBehind(ctx context.Context) error {
	local, err := localTXID(r.path)
	if err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	known := max(local, ltx.TXID(r.source.Restored))
	newer, err := r.newest(ctx, 0, known+1)
	if err != nil {
		return err
	}
	if newer != nil {
		return fmt.Errorf("replica %s: it has gone further (transaction %d) than %s (%d); move the file away, and what the replica holds is restored at the next start", r.target, newer.MaxTXID, r.path, known)
	}
	return nil
}

// newest returns the last file of a level that begins at a transaction or later, nil
// for none.
func (r *Replica) newest(ctx context.Context, level int, from ltx.TXID) (last *ltx.FileInfo, err error) {
	files, err := r.client.LTXFiles(ctx, level, from, false)
	if err != nil {
		return nil, r.explain(err)
	}
	defer func() { _ = files.Close() }()
	for files.Next() {
		if info := *files.Item(); last == nil || info.MaxTXID > last.MaxTXID {
			last = &info
		}
	}
	if err := files.Err(); err != nil {
		return nil, r.explain(err)
	}
	return last, nil
}

// CopyBack is what Source.Attach is given.
func (r *Replica) copyBack(ctx context.Context) error {
	return r.db.Checkpoint(ctx, litestream.CheckpointModePassive)
}

// Close copies what is new once more, as long as ctx allows, and ends. Nothing may be
// written from now on, but the database must still be open.
func (r *Replica) Close(ctx context.Context) error {
	r.stop()
	r.ended.Wait()
	r.answer(context.Canceled)
	if r.db == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		r.db.ShutdownSyncTimeout = max(time.Until(deadline), time.Millisecond)
	}
	var behind error
	if r.verified {
		_ = r.db.Sync(ctx) // what ends within its first second has not begun yet; Close tells what is wrong
	} else {
		behind = ErrUnreachable
		r.db.Replica.Client = nothing{r.client}
	}
	if err := errors.Join(behind, r.db.Close(ctx)); err != nil {
		return fmt.Errorf("replica %s: what was written last is not in it yet, and goes there after the next start: %w", r.target, err)
	}
	return nil
}

// metaPath is where Litestream keeps what is not in the replica yet.
func metaPath(path string) string {
	dir, file := filepath.Split(path)
	return filepath.Join(dir, "."+file+litestream.MetaDirSuffix)
}

// localTXID returns the newest transaction that was taken from the file's log, 0 for
// none.
func localTXID(path string) (newest ltx.TXID, err error) {
	_, newest, err = litestream.NewDB(path).MaxLTX()
	return newest, err
}

// onlyWarnings leaves out what Litestream tells about its daily work.
type onlyWarnings struct{ slog.Handler }

// Enabled reports whether the record is one of trouble.
func (h onlyWarnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// WithAttrs keeps leaving out.
func (h onlyWarnings) WithAttrs(a []slog.Attr) slog.Handler {
	return onlyWarnings{h.Handler.WithAttrs(a)}
}

// WithGroup keeps leaving out.
func (h onlyWarnings) WithGroup(name string) slog.Handler {
	return onlyWarnings{h.Handler.WithGroup(name)}
}

// quiet is the log for what Litestream says.
func (r *Replica) quiet() *slog.Logger { return slog.New(onlyWarnings{r.log.Handler()}) }
