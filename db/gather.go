package db

import (
	"context"
	"time"
)

// gatherEvery is how far apart the instants are at which gathered writes set out: a
// tenth of the time in which a stream is told at most once.
const gatherEvery = 10 * time.Millisecond

// Gather waits for the next instant at which writes that come often, and may wait a
// little, set out together, or until ctx ends. Then they share a commit, though the
// writer is not busy: a page of the log that each would write alone is written once.
// It is called before Write, and never in a transaction.
func Gather(ctx context.Context) {
	timer := time.NewTimer(gatherEvery - time.Duration(time.Now().UnixNano())%gatherEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
