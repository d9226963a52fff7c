package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// ErrEmpty is what a replica is that holds no database.
var ErrEmpty = errors.New("the replica is empty")

// Moment is a state of the database in the past: the newest when both are zero.
type Moment struct {
	At          time.Time
	Transaction uint64
}

// Held returns which database the replica holds, and up to which transaction; ErrEmpty
// for none.
func (r *Replica) Held(ctx context.Context) (id string, newest uint64, err error) {
	m, found, err := r.marker(ctx)
	if err != nil {
		return "", 0, err
	}
	if !found {
		return "", 0, fmt.Errorf("replica %s: %w", r.target, ErrEmpty)
	}
	for level := litestream0; level <= snapshots; level++ {
		last, err := r.newest(ctx, level, 0)
		if err != nil {
			return "", 0, err
		}
		if last != nil {
			newest = max(newest, uint64(last.MaxTXID))
		}
	}
	if newest == 0 {
		return "", 0, fmt.Errorf("replica %s: %w", r.target, ErrEmpty)
	}
	return m.Database, newest, nil
}

// Restore writes the database as it was at a moment to a file that is not there yet.
// progress, when not nil, is told how many bytes of how many have been read.
func (r *Replica) Restore(ctx context.Context, output string, m Moment, progress func(done, total int64)) error {
	asked := r.client
	if b, found := asked.(seeking); found && !m.At.IsZero() {
		asked = until{b, m.At}
	}
	plan, err := litestream.CalcRestorePlan(ctx, asked, ltx.TXID(m.Transaction), m.At, r.quiet())
	if errors.Is(err, litestream.ErrTxNotAvailable) || errors.Is(err, litestream.ErrNoSnapshots) {
		return fmt.Errorf("replica %s: it does not hold that moment; connvo snapshots shows from when on it does", r.target)
	}
	if err != nil {
		return r.explain(err)
	}
	if err := r.requireWhole(ctx, plan); err != nil {
		return fmt.Errorf("replica %s: restore: %w", r.target, err)
	}
	var total int64
	for _, f := range plan {
		total += f.Size
	}
	var done atomic.Int64
	client := counting{r.client, func(n int) {
		if sum := done.Add(int64(n)); progress != nil {
			progress(min(sum, total), total)
		}
	}}
	o := litestream.NewRestoreOptions()
	// By the transaction, so that it is what the plan said whatever is copied meanwhile.
	o.OutputPath, o.TXID = output, plan[len(plan)-1].MaxTXID
	if err := litestream.NewReplicaWithClient(nil, client).Restore(ctx, o); err != nil {
		return fmt.Errorf("replica %s: restore: %w", r.target, err)
	}
	return os.Chmod(output, 0o600)
}

// Discard removes what is kept beside a database file that is gone, so that nothing
// of it is taken for a part of the next. Its log, which may hold what is nowhere else,
// is renamed.
func (r *Replica) Discard(now time.Time) error {
	for _, f := range []string{r.path + "-shm", metaPath(r.path)} {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	log := r.path + "-wal"
	if fi, err := os.Stat(log); err != nil || fi.Size() == 0 {
		_ = os.Remove(log) // there is none, or nothing in it
		return nil
	}
	kept := log + ".lost-" + now.UTC().Format("20060102T150405Z")
	r.log.Warn("a log without its database was put aside", "file", kept)
	return os.Rename(log, kept)
}

// Snapshot is a whole copy of the database in the replica.
type Snapshot struct {
	Transaction uint64
	CreatedAt   time.Time
	Bytes       int64
}

// Snapshots returns the whole copies that the replica has, oldest first, and the
// newest moment that can be restored.
func (r *Replica) Snapshots(ctx context.Context) (all []Snapshot, newest Snapshot, err error) {
	files, err := collect(ctx, r.client, snapshots)
	if err != nil {
		return nil, newest, r.explain(err)
	}
	for _, f := range files {
		all = append(all, Snapshot{Transaction: uint64(f.MaxTXID), CreatedAt: f.CreatedAt, Bytes: f.Size})
	}
	for level := litestream0; level <= snapshots; level++ {
		last, err := r.newest(ctx, level, 0)
		if err != nil {
			return nil, newest, err
		}
		if last != nil && uint64(last.MaxTXID) > newest.Transaction {
			newest = Snapshot{Transaction: uint64(last.MaxTXID), CreatedAt: last.CreatedAt}
		}
	}
	return all, newest, nil
}
