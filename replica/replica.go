// Package replica keeps a copy of the database file elsewhere, up to the second.
//
// Litestream does the copying, as a library: it reads the write-ahead log and stores
// what is new in it as files, which are merged into larger ones in time. A database is
// restored from them as it is now, or was at some moment.
package replica

import (
	"cmp"
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
	lease   *lease
	owned   owned

	source Source
	client litestream.ReplicaClient // of the generation that is written; nil until it is known
	db     *litestream.DB           // nil until the replica has been reached
	asked  chan struct{}            // somebody waits for a sync
	mend   chan struct{}            // holds one: a new snapshot mends what was found
	stop   context.CancelFunc
	ended  sync.WaitGroup
	leave  context.CancelFunc // ends the renewals
	left   sync.WaitGroup

	mu       sync.Mutex // guards waiters, status
	waiters  []chan error
	status   Status
	one      sync.Mutex // held by the one verification that is made
	started  bool       // touched by Start and Close only
	attached bool       // touched by the syncing goroutine only, as is the next
	synced   int64      // what was committed before the last sync
}

// Source is the database that is copied.
type Source struct {
	ID string // what tells it from others
	// Restored is where the replica was when the file was restored from it, zero where
	// it was not: such a file may follow that. Before is the last number by then.
	Restored Position
	Before   int64
	// Fresh says that it was restored since the lease is ours. What has arrived at the
	// replica since came too late: nobody was promised that it would be kept.
	Fresh bool
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

// Options are how a replica is shared with other servers.
type Options struct {
	// Strict has a write answered only while the lease lasts for certain.
	Strict bool
	// Term is how long the lease lasts without a renewal; DefaultTerm when 0.
	Term time.Duration
	// Machine and URL are what others are told of this server, "" for nothing.
	Machine, URL string
}

// New returns the copy of the file at path that is kept at the target. Nothing of it
// is read or written yet.
func New(t Target, path string, log *slog.Logger, how Options) (*Replica, error) {
	o, err := t.objects()
	if err != nil {
		return nil, err
	}
	mine, err := readOwned(path, t.String(), how.Machine)
	if err != nil {
		return nil, err
	}
	self := Holder{Owner: mine.Owner, Machine: how.Machine, URL: how.URL}
	return &Replica{
		target: t, path: path, log: log, objects: o, owned: mine,
		lease: newLease(o, self, cmp.Or(how.Term, DefaultTerm), how.Strict),
		asked: make(chan struct{}, 1), mend: make(chan struct{}, 1), stop: func() {}, leave: func() {}, status: Status{State: Starting},
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
	r.started = true
	r.removeVerifying()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.ended.Go(func() { r.sync(running) })
	r.ended.Go(func() { r.tidy(running) })
	r.ended.Go(func() { r.verify(running) })
	return nil
}

// connect makes sure that the replica is of this database and does not go further
// than the file, and that it is this server's to write.
func (r *Replica) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if err := r.goOn(ctx); err != nil {
		return err
	}
	m, found, err := r.marker(ctx)
	if err != nil {
		return err
	}
	if found && m.Database != r.source.ID && r.requireEmpty(ctx) != nil {
		return r.another()
	}
	if !found || m.Database != r.source.ID { // what was begun has never come to hold anything
		if err := r.mark(ctx, marker{Database: r.source.ID}); err != nil {
			return err
		}
	}
	if err := r.enter(ctx); err != nil {
		return err
	}
	return r.openCopy()
}

// openCopy opens what copies the file. It is made for the generation that is written:
// what merges files keeps the client with which it is opened.
func (r *Replica) openCopy() error {
	d := litestream.NewDB(r.path)
	d.SetLogger(r.quiet())
	d.MonitorInterval, d.CheckpointInterval, d.L0Retention = 0, 0, 0
	d.MinCheckpointPageN, d.TruncatePageN = never, never
	d.Replica = litestream.NewReplicaWithClient(d, r.client)
	d.Replica.MonitorEnabled = false
	if err := d.Open(); err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	r.db = d
	return nil
}

func (r *Replica) another() error {
	return fmt.Errorf("replica %s: it holds another database than %s; name another place, or move the file away to restore what the replica holds", r.target, r.path)
}

// enter makes the generation of our lease the one that is written: it is the one that
// the file was copied to last, or a new one that goes on from the newest that there is.
func (r *Replica) enter(ctx context.Context) error {
	from, commit := r.source.Restored, r.source.Before
	if !r.source.Fresh {
		f, err := r.Fit(ctx, from)
		if err != nil {
			return err
		}
		if f.Superseded {
			return ErrTaken
		}
		// What holds more than the file was restored from has grown since by what came too late.
		if f.By.Generation != from.Generation || commit == 0 {
			from, commit = f.By, r.source.Committed()
		}
	}
	number := r.lease.generation()
	var err error
	if r.client, err = r.of(number); err != nil {
		return err
	}
	if number == r.owned.Generation {
		return nil
	}
	// What was copied to another is not to be gone on from.
	if err := os.RemoveAll(metaPath(r.path)); err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	if err := r.lease.begin(ctx, from, commit); err != nil {
		return r.explain(err)
	}
	r.owned.Generation = number
	if err := r.owned.write(r.path); err != nil {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	return nil
}

// CopyBack is what Source.Attach is given.
func (r *Replica) copyBack(ctx context.Context) error {
	return r.db.Checkpoint(ctx, litestream.CheckpointModePassive)
}

// Close copies what is new once more, as long as ctx allows, gives the lease back, and
// ends. Nothing may be written from now on, but the database must still be open. A lease
// without all that was written under it is not given back: it lapses.
func (r *Replica) Close(ctx context.Context) error {
	r.lease.leave()
	err := r.closeCopy(ctx)
	r.leave()
	r.left.Wait()
	if err != nil || !r.lease.mine() {
		return err
	}
	if err := r.lease.release(ctx); err != nil {
		return fmt.Errorf("replica %s: the lease is not given back, and lapses: %w", r.target, err)
	}
	return nil
}

func (r *Replica) closeCopy(ctx context.Context) error {
	r.stop()
	r.ended.Wait()
	r.answer(context.Canceled)
	if !r.started {
		return nil
	}
	err := r.lease.confirm(ctx)
	if errors.Is(err, ErrTaken) {
		if r.db != nil {
			// Nobody would look for it there, so that it is tried once, in vain.
			r.db.Replica.Client, r.db.ShutdownSyncTimeout = nothing{r.client}, 0
			_ = r.db.Close(ctx)
		}
		return nil
	}
	if r.db == nil {
		err = ErrUnreachable
	} else {
		if deadline, ok := ctx.Deadline(); ok {
			r.db.ShutdownSyncTimeout = max(time.Until(deadline), time.Millisecond)
		}
		_ = r.db.Sync(ctx) // what ends within its first second has not begun yet; Close tells what is wrong
		err = r.db.Close(ctx)
	}
	if err != nil {
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
