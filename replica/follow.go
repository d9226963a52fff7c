package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

const (
	// followEvery is how often a follower looks whether it was told of something new.
	followEvery = 200 * time.Millisecond
	// followPause is how long it asks for nothing once that has failed.
	followPause = 5 * time.Second
)

// errAhead is what a follower fails with that holds what the replica does not.
var errAhead = errors.New("what was followed is not what the replica holds")

// Follower keeps a file at what a generation holds, as far as it is told. It asks the
// replica for nothing else. Tell and Finish are called by one goroutine.
type Follower struct {
	r          *Replica
	output     string
	generation uint64
	gate       *gate
	stop       context.CancelFunc
	ended      chan struct{} // closed when err may be read
	err        error
}

// Follow begins to follow a generation that holds something, into a file that is not
// there yet.
func (r *Replica) Follow(ctx context.Context, generation uint64, output string) (*Follower, error) {
	c, err := r.of(generation)
	if err != nil {
		return nil, err
	}
	if err := private(output); err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	f := &Follower{r: r, output: output, generation: generation, gate: &gate{ReplicaClient: c, moved: make(chan struct{}, 1)}, stop: stop, ended: make(chan struct{})}
	o := litestream.NewRestoreOptions()
	o.OutputPath, o.Follow, o.FollowInterval = output, true, followEvery
	none := litestream.NewDB(output) // which is never opened, and tells where to log
	none.SetLogger(r.quiet())
	followed := litestream.NewReplicaWithClient(none, f.gate)
	go func() {
		defer close(f.ended)
		f.err = followed.Restore(ctx, o)
	}()
	return f, nil
}

// Generation returns the number of what is followed.
func (f *Follower) Generation() uint64 { return f.generation }

// Tell says what the generation holds at least.
func (f *Follower) Tell(newest uint64) { f.gate.open(newest) }

// Ended reports whether it follows no more.
func (f *Follower) Ended() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// Finish follows up to the newest that the replica holds, which nobody adds to any
// more, and ends. What it has written is a whole database then, unless there was an
// error.
func (f *Follower) Finish(ctx context.Context, newest Position) error {
	defer f.Close()
	if newest.Generation != f.generation {
		return errAhead
	}
	f.gate.open(newest.Transaction)
	for f.gate.applied() < newest.Transaction {
		select {
		case <-f.gate.moved:
		case <-f.ended:
			return fmt.Errorf("follow: %w", errors.Join(f.err, errAhead))
		case <-ctx.Done():
			return fmt.Errorf("follow: %w", ctx.Err())
		}
	}
	if f.gate.applied() > newest.Transaction {
		return errAhead
	}
	f.Close()
	return errors.Join(f.err, removeAll(f.output+"-txid"))
}

// Close ends it. What it has written so far is left.
func (f *Follower) Close() {
	f.stop()
	<-f.ended
}

// gate is a client that answers that there is nothing new without asking, as long as
// that is known.
type gate struct {
	litestream.ReplicaClient
	moved chan struct{} // something was applied

	mu     sync.Mutex // guards the rest
	newest uint64     // that is known to be there
	at     uint64     // that was applied
	again  time.Time  // not before it, once something has failed
}

func (g *gate) open(newest uint64) {
	g.mu.Lock()
	g.newest = max(g.newest, newest)
	g.mu.Unlock()
}

func (g *gate) applied() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

// LTXFiles returns the files of a level. A follower asks for single ones from the next
// on, and for others where there is none.
func (g *gate) LTXFiles(ctx context.Context, level int, seek ltx.TXID, useMetadata bool) (ltx.FileIterator, error) {
	g.mu.Lock()
	if level == litestream0 && seek > 0 {
		g.at = uint64(seek) - 1
		select {
		case g.moved <- struct{}{}:
		default: // it is known to have moved
		}
	}
	nothingNew := g.at > 0 && (g.newest <= g.at || time.Now().Before(g.again))
	g.mu.Unlock()
	if nothingNew {
		return ltx.NewFileInfoSliceIterator(nil), nil
	}
	files, err := g.ReplicaClient.LTXFiles(ctx, level, seek, useMetadata)
	return files, g.noted(err)
}

// OpenLTXFile returns the content of a file.
func (g *gate) OpenLTXFile(ctx context.Context, level int, first, last ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	file, err := g.ReplicaClient.OpenLTXFile(ctx, level, first, last, offset, size)
	return file, g.noted(err)
}

func (g *gate) noted(err error) error {
	if err != nil {
		g.mu.Lock()
		g.again = time.Now().Add(followPause)
		g.mu.Unlock()
	}
	return err
}
