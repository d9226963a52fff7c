package replica

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// The levels of files. Each is made of those below.
const (
	litestream0 = 0
	snapshots   = litestream.SnapshotLevel
)

// How long what is kept, and what is merged how often.
const (
	snapshotEvery = 24 * time.Hour
	snapshotsKept = 30 * 24 * time.Hour
	singlesKept   = 24 * time.Hour // in the replica: a moment of the last day can be restored to the second
	singlesEvery  = time.Hour      // those older are deleted
	tidyEvery     = 10 * time.Second
)

// merges are the levels between single files and snapshots.
var merges = []time.Duration{30 * time.Second, 5 * time.Minute, time.Hour}

// tidy merges files and deletes what is past its time, until ctx ends. An idle
// database makes no request.
func (r *Replica) tidy(ctx context.Context) {
	every := time.NewTicker(tidyEvery)
	defer every.Stop()
	k := keeper{r: r, due: make([]time.Time, len(merges)), merged: make([]uint64, len(merges))}
	for {
		r.measure()
		if s := r.Status(); s.State == Replicating {
			if err := k.keep(ctx, time.Now(), s.Transaction); err != nil && ctx.Err() == nil {
				r.log.Warn("the replica could not be tidied", "replica", r.target.String(), "error", r.explain(err))
			}
		}
		select {
		case <-every.C:
		case <-r.mend:
			k.damaged = true
		case <-ctx.Done():
			return
		}
	}
}

// keeper is the state of tidy.
type keeper struct {
	r       *Replica
	due     []time.Time // when each level is merged next
	merged  []uint64    // the transaction that was the newest when it was
	shot    time.Time   // when the newest snapshot was made
	shotTX  uint64      // and the transaction it holds
	damaged bool        // a new snapshot is to mend what was found
	known   bool        // whether the replica has been asked for it
	singles time.Time   // when single files are looked through next
	looked  uint64      // the newest transaction when they were last
}

// keep does what is due. newest is the newest transaction in the replica.
func (k *keeper) keep(ctx context.Context, now time.Time, newest uint64) error {
	for i, every := range merges {
		if now.Before(k.due[i]) || k.merged[i] == newest {
			continue
		}
		k.due[i] = now.Add(every)
		if err := k.merge(ctx, i+1); err != nil {
			return err
		}
		k.merged[i] = newest
	}
	if err := errors.Join(k.snapshot(ctx, now, newest), k.r.expire(ctx, now)); err != nil {
		return err
	}
	if now.Before(k.singles) || newest == k.looked {
		return nil
	}
	first := k.singles.IsZero()
	k.singles = now.Add(singlesEvery)
	if first {
		return nil // at a start there is enough to do
	}
	// The library looks through all of them after each merge where this is set.
	k.looked = newest
	k.r.db.L0Retention = singlesKept
	defer func() { k.r.db.L0Retention = 0 }()
	return k.r.db.EnforceL0RetentionByTime(ctx)
}

// merge merges the files below a level into one of it.
func (k *keeper) merge(ctx context.Context, level int) error {
	info, err := k.r.db.Compact(ctx, level)
	if errors.Is(err, litestream.ErrNoCompaction) {
		return nil
	}
	if err != nil || level > 1 {
		return err
	}
	return k.dropLocal(info.MaxTXID)
}

// dropLocal deletes the single files here that are merged in the replica, but for
// the newest, from which the next is gone on.
func (k *keeper) dropLocal(merged ltx.TXID) error {
	newest, err := k.r.localPosition()
	if err != nil {
		return err
	}
	dir := k.r.db.LTXLevelDir(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, last, err := ltx.ParseFilename(e.Name())
		if err != nil || last > merged || uint64(last) >= newest {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// snapshot makes the snapshot of the day, or one in the place of what was found to be
// damaged, and deletes those past their time with what is older than the oldest that
// is kept.
func (k *keeper) snapshot(ctx context.Context, now time.Time, newest uint64) error {
	if !k.known {
		all, err := collect(ctx, k.r.client, snapshots)
		if err != nil {
			return err
		}
		for _, s := range all {
			k.shot, k.shotTX = s.CreatedAt, uint64(s.MaxTXID)
		}
		k.known = true
		k.count(len(all))
	}
	if !k.damaged && (now.Sub(k.shot) < snapshotEvery || newest <= k.shotTX) {
		return nil
	}
	info, err := k.r.db.Snapshot(ctx)
	if err != nil {
		return err
	}
	if k.damaged {
		k.damaged = false
		k.r.log.Info("the replica has a new snapshot", "replica", k.r.target.String(), "transaction", uint64(info.MaxTXID))
	}
	k.shot, k.shotTX = now, uint64(info.MaxTXID)
	oldest, err := k.r.db.EnforceSnapshotRetention(ctx, now.Add(-snapshotsKept))
	if err != nil {
		return err
	}
	for level := 1; level <= len(merges) && oldest > 0; level++ {
		if err := k.r.db.EnforceRetentionByTXID(ctx, level, oldest); err != nil {
			return err
		}
	}
	all, err := collect(ctx, k.r.client, snapshots)
	k.count(len(all))
	return err
}

func (k *keeper) count(n int) {
	k.r.mu.Lock()
	k.r.status.Snapshots = n
	k.r.mu.Unlock()
}
