package replica

import (
	"context"
	"time"

	"github.com/superfly/ltx"
)

// expireFiles is how many files are deleted at once of a generation that is past its
// time.
const expireFiles = 1000

// expire deletes generations that others have gone on from for as long as snapshots are
// kept, a part at a time. It asks nothing while there is none. The newest generation,
// which is the one that is written, holds something.
func (r *Replica) expire(ctx context.Context, now time.Time) error {
	all := r.known()
	if len(all) < 2 || now.Sub(all[1].BeganAt) < snapshotsKept {
		return nil
	}
	oldest := all[0].Number
	c, err := r.of(oldest)
	if err != nil {
		return err
	}
	for level := litestream0; level <= snapshots; level++ {
		files, err := collect(ctx, c, level)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		var past []*ltx.FileInfo
		for i := range files[:min(len(files), expireFiles)] {
			past = append(past, &files[i])
		}
		return c.DeleteLTXFiles(ctx, past)
	}
	if err := r.lease.forget(ctx, oldest); err != nil {
		return err
	}
	r.log.Info("a generation that was past its time is deleted", "replica", r.target.String(), "generation", oldest)
	return nil
}
