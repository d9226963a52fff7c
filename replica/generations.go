package replica

import (
	"context"
	"fmt"
	"slices"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// generations returns what is known of the generations that the replica may hold,
// oldest first.
func (r *Replica) generations(ctx context.Context) ([]Generation, error) {
	if err := r.lease.look(ctx); err != nil {
		return nil, r.explain(err)
	}
	return r.known(), nil
}

// known is generations, as they were last read.
func (r *Replica) known() []Generation {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	return slices.Clone(r.lease.seen.Generations)
}

// newestHeld returns the newest place of the newest generation that holds anything,
// zero for none. An owner that has never got so far leaves none behind.
func (r *Replica) newestHeld(ctx context.Context, all []Generation) (p Position, err error) {
	for _, g := range slices.Backward(all) {
		c, err := r.of(g.Number)
		if err != nil {
			return p, err
		}
		var from ltx.TXID
		if g.Number == r.owned.Generation {
			if from, err = localTXID(r.path); err != nil {
				return p, fmt.Errorf("replica %s: %w", r.target, err)
			}
		}
		newest, err := r.newestOf(ctx, c, from)
		if err != nil || newest > 0 {
			return Position{Generation: g.Number, Transaction: newest}, err
		}
	}
	return p, nil
}

// newestOf returns the newest transaction of a generation, 0 for none. Where from is known
// to be about the newest, it asks for what follows it first: there may be a day of files.
func (r *Replica) newestOf(ctx context.Context, c litestream.ReplicaClient, from ltx.TXID) (newest uint64, err error) {
	for level := litestream0; level <= snapshots; level++ {
		last, err := r.newest(ctx, c, level, from)
		if err != nil {
			return 0, err
		}
		if last != nil {
			newest = max(newest, uint64(last.MaxTXID))
		}
	}
	if newest == 0 && from > 0 {
		return r.newestOf(ctx, c, 0)
	}
	return newest, nil
}

// of returns the client of a generation's files.
func (r *Replica) of(generation uint64) (litestream.ReplicaClient, error) {
	return r.target.client(generation, r.quiet())
}

// Fit is how a file stands to its replica.
type Fit struct {
	// Superseded says that another server has gone on, from where the replica was: what
	// this file has beyond Commit is nowhere else. Where Commit is not known any more,
	// Known is false.
	Superseded bool
	By         Position // the newest that the replica holds
	Commit     int64
	Known      bool
}

// Fit tells whether the file may be copied to the replica from now on. One that lacks
// what the replica has, and is not superseded, is refused. restored is where the
// replica was when the file was restored from it.
func (r *Replica) Fit(ctx context.Context, restored Position) (Fit, error) {
	all, err := r.generations(ctx)
	if err != nil {
		return Fit{}, err
	}
	held, err := r.newestHeld(ctx, all)
	if err != nil {
		return Fit{}, err
	}
	f := Fit{By: held}
	mine := r.owned.Generation
	switch {
	case held.Generation == 0 || held == restored:
		return f, nil
	case mine == 0 || held.Generation == mine:
		return f, r.refuseBehind(held, restored)
	case held.Generation < mine:
		return f, nil // ours goes on from it, and holds nothing yet
	}
	f.Superseded = true
	f.Commit, f.Known = endOf(all, mine, held.Generation)
	return f, nil
}

// endOf returns the last number of a generation that those after it have gone on from,
// up to a newer one.
func endOf(all []Generation, generation, newest uint64) (commit int64, known bool) {
	for n := newest; n > generation; {
		at := slices.IndexFunc(all, func(g Generation) bool { return g.Number == n })
		if at < 0 || all[at].From.Generation >= n {
			return 0, false
		}
		commit, n = all[at].Commit, all[at].From.Generation
		known = n > 0
	}
	return commit, known
}

// refuseBehind refuses a file that lacks what its replica has: it would bury that.
func (r *Replica) refuseBehind(held, restored Position) error {
	var here uint64
	if r.owned.Generation == held.Generation {
		local, err := localTXID(r.path)
		if err != nil {
			return fmt.Errorf("replica %s: %w", r.target, err)
		}
		here = uint64(local)
	}
	if restored.Generation == held.Generation {
		here = max(here, restored.Transaction)
	}
	if held.Transaction > here {
		return fmt.Errorf("replica %s: it has gone further (transaction %d) than %s (%d); move the file away, and what the replica holds is restored at the next start", r.target, held.Transaction, r.path, here)
	}
	return nil
}

// newest returns the last file of a level that begins at a transaction or later, nil
// for none.
func (r *Replica) newest(ctx context.Context, c litestream.ReplicaClient, level int, from ltx.TXID) (last *ltx.FileInfo, err error) {
	files, err := c.LTXFiles(ctx, level, from, false)
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
