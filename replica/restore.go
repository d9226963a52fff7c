package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// ErrEmpty is what a replica is that holds no database.
var ErrEmpty = errors.New("the replica is empty")

// Moment is a state of the database in the past: the newest when all are zero. A
// transaction is one of the newest generation where none is named.
type Moment struct {
	At       time.Time
	Position Position
}

// Held returns which database the replica holds, and up to where; ErrEmpty for none.
func (r *Replica) Held(ctx context.Context) (id string, newest Position, err error) {
	all, err := r.generations(ctx)
	if err != nil {
		return "", newest, err
	}
	if err := r.refuseOrphan(ctx); err != nil {
		return "", newest, err
	}
	m, found, err := r.marker(ctx)
	if err != nil {
		return "", newest, err
	}
	if found {
		newest, err = r.newestHeld(ctx, all)
	}
	if err == nil && newest.Generation == 0 {
		err = fmt.Errorf("replica %s: %w", r.target, ErrEmpty)
	}
	return m.Database, newest, err
}

// Restore writes the database as it was at a moment to a file that is not there yet,
// and returns which moment that is. progress, when not nil, is told how many bytes of
// how many have been read.
func (r *Replica) Restore(ctx context.Context, output string, m Moment, progress func(done, total int64)) (at Position, err error) {
	c, plan, err := r.plan(ctx, m, &at)
	if err != nil {
		return at, err
	}
	if err := requireWhole(ctx, c, plan); err != nil {
		return at, fmt.Errorf("replica %s: restore: %w", r.target, err)
	}
	var total int64
	for _, f := range plan {
		total += f.Size
	}
	var done atomic.Int64
	client := counting{c, func(n int) {
		if sum := done.Add(int64(n)); progress != nil {
			progress(min(sum, total), total)
		}
	}}
	o := litestream.NewRestoreOptions()
	// By the transaction, so that it is what the plan said whatever is copied meanwhile.
	o.OutputPath, o.TXID = output, ltx.TXID(at.Transaction)
	if err := private(output); err != nil {
		return at, fmt.Errorf("replica %s: restore: %w", r.target, err)
	}
	if err := litestream.NewReplicaWithClient(nil, client).Restore(ctx, o); err != nil {
		return at, fmt.Errorf("replica %s: restore: %w", r.target, err)
	}
	return at, nil
}

// private makes the file that becomes the output once it is whole, so that nobody else
// reads it: the library would let everybody.
func private(output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(output+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// plan returns the files of which the moment is made, of the newest generation that
// holds it.
func (r *Replica) plan(ctx context.Context, m Moment, at *Position) (litestream.ReplicaClient, []*ltx.FileInfo, error) {
	all, err := r.generations(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range slices.Backward(all) {
		if m.Position.Generation != 0 && g.Number != m.Position.Generation {
			continue
		}
		c, err := r.of(g.Number)
		if err != nil {
			return nil, nil, err
		}
		asked := c
		if b, found := c.(seeking); found && !m.At.IsZero() {
			asked = until{b, m.At}
		}
		plan, err := litestream.CalcRestorePlan(ctx, asked, ltx.TXID(m.Position.Transaction), m.At, r.quiet())
		if err == nil {
			*at = Position{Generation: g.Number, Transaction: uint64(plan[len(plan)-1].MaxTXID)}
			return c, plan, nil
		}
		if !errors.Is(err, litestream.ErrTxNotAvailable) && !errors.Is(err, litestream.ErrNoSnapshots) {
			return nil, nil, r.explain(err)
		}
		newest, err := r.newestOf(ctx, c, 0)
		if err != nil {
			return nil, nil, err
		}
		if newest > 0 && m.At.IsZero() {
			break // an older one does not have it either
		}
	}
	return nil, nil, fmt.Errorf("replica %s: it does not hold that moment; connvo snapshots shows from when on it does", r.target)
}

// Discard removes what is kept beside a database file that is gone, so that nothing
// of it is taken for a part of the next. Its log, which may hold what is nowhere else,
// is renamed.
func (r *Replica) Discard(now time.Time) error {
	if err := removeAll(r.path+"-shm", metaPath(r.path), ownedPath(r.path)); err != nil {
		return err
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
	Position  Position
	CreatedAt time.Time
	Bytes     int64
}

// Snapshots returns the whole copies that the replica has of each generation, oldest
// first, and the newest moment that can be restored.
func (r *Replica) Snapshots(ctx context.Context) (all []Snapshot, newest Snapshot, err error) {
	known, err := r.generations(ctx)
	if err != nil {
		return nil, newest, err
	}
	for _, g := range known {
		c, err := r.of(g.Number)
		if err != nil {
			return nil, newest, err
		}
		files, err := collect(ctx, c, snapshots)
		if err != nil {
			return nil, newest, r.explain(err)
		}
		for _, f := range files {
			all = append(all, snapshotOf(g.Number, &f))
		}
		for level := litestream0; level <= snapshots; level++ {
			last, err := r.newest(ctx, c, level, 0)
			if err != nil {
				return nil, newest, err
			}
			if s := snapshotOf(g.Number, last); last != nil && (s.Position.Generation > newest.Position.Generation || s.Position.Transaction > newest.Position.Transaction) {
				newest = s
			}
		}
	}
	return all, newest, nil
}

func snapshotOf(generation uint64, f *ltx.FileInfo) (s Snapshot) {
	if f != nil {
		s = Snapshot{Position: Position{Generation: generation, Transaction: uint64(f.MaxTXID)}, CreatedAt: f.CreatedAt, Bytes: f.Size}
	}
	return s
}

// removeAll removes what is at the paths.
func removeAll(paths ...string) (err error) {
	for _, p := range paths {
		err = errors.Join(err, os.RemoveAll(p))
	}
	return err
}
