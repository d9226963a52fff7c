package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"connvo/db"
	"connvo/replica"
)

// opening is how a server with a replica comes to its database.
type opening struct {
	c        *serveCommand
	r        *replica.Replica
	log      *slog.Logger
	standing func(http.Handler)

	db       *db.DB // nil while there is no file to serve
	identity db.Identity
	restored replica.Position // where the replica was when the file was restored from it
	fresh    bool             // it was, since the lease is ours

	follower *replica.Follower // of what another owner writes, nil for none
}

// open opens the file, if there is one, before it asks for the lease: two servers on one
// file are kept apart by its lock.
func (o *opening) open(ctx context.Context) error {
	defer func() {
		if o.follower != nil {
			o.follower.Close()
		}
	}()
	if _, err := os.Stat(o.c.DB); err == nil {
		if err := o.openFile(ctx); err != nil {
			return err
		}
		if err := o.r.Whose(ctx, o.identity.ID); err != nil {
			return err
		}
		if err := o.retrace(ctx); err != nil {
			return err
		}
	} else if err := o.refuseEmpty(ctx); err != nil {
		return err
	}
	if err := o.claim(ctx); err != nil {
		return err
	}
	if o.db != nil && o.leased() && o.r.Bumped() {
		if err := o.compare(ctx); err != nil {
			return err
		}
	}
	if o.db != nil {
		return nil
	}
	if err := o.restoreMissing(ctx); err != nil {
		return err
	}
	return o.openFile(ctx)
}

func (o *opening) leased() bool { return o.r.Lease().State != "none" }

func (o *opening) openFile(ctx context.Context) (err error) {
	if o.db, err = db.Open(ctx, db.Options{Path: o.c.DB, Schema: schema, Now: o.c.clock, Log: o.log, Replicated: true}); err != nil {
		return err
	}
	if o.identity, err = o.db.Identity(ctx); err != nil {
		return err
	}
	o.restored, err = replica.ParsePosition(o.identity.Restored)
	return err
}

// retrace finds out how far the file was copied where what tells so, beside it, is gone.
// Only this server has written to that generation, so that a file with the replica's last
// number holds all of it. One without is refused later.
func (o *opening) retrace(ctx context.Context) error {
	astray, err := o.r.Astray()
	if err != nil || !astray {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	id, newest, err := o.r.Held(asking)
	if errors.Is(err, replica.ErrEmpty) || errors.Is(err, replica.ErrUnreachable) {
		return nil
	}
	if err != nil {
		return err
	}
	var there db.Identity
	f := restoring{r: o.r, path: o.c.DB, id: id, newest: newest}
	err = f.newestState(ctx, func(d *db.DB) error {
		there, err = d.Identity(ctx)
		return err
	})
	if err != nil || there.Last > o.identity.Last {
		return err
	}
	o.log.Warn("what tells how far the database was copied is gone: the whole of it is copied again", "database", o.c.DB, "replica", newest.String())
	o.restored, o.identity.Before = newest, there.Last
	o.r.Anew()
	return nil
}

// close closes what was opened in vain, and gives the lease back.
func (o *opening) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastSyncTime)
	defer cancel()
	err := o.r.Close(ctx)
	if o.db != nil {
		err = errors.Join(err, o.db.Close())
	}
	return err
}

// refuseEmpty refuses a replica from which the file cannot be restored, unless a
// beginning was asked for: who lost a volume and mistyped a URL would begin with an
// empty database.
func (o *opening) refuseEmpty(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	_, newest, err := o.r.Held(asking)
	if err == nil || errors.Is(err, replica.ErrEmpty) {
		if err := o.r.Complete(newest); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, replica.ErrEmpty) && o.c.New:
		return nil
	case errors.Is(err, replica.ErrEmpty):
		return fmt.Errorf("%w, and there is no database %s; say --new to begin with an empty one", err, o.c.DB)
	case err != nil:
		return fmt.Errorf("%w; there is no database %s, and it cannot be restored", err, o.c.DB)
	}
	return nil
}

// claim returns when the lease is ours, or when the file may be served without because
// the replica is away.
func (o *opening) claim(ctx context.Context) error {
	every := time.NewTicker(o.c.LeaseTerm / 30)
	defer every.Stop()
	s := newStandby(o)
	for {
		if done, err := s.try(ctx); done || err != nil {
			return err
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// compare puts the file aside where another server has gone on from where the replica
// was. What was committed here and never reached the replica is named, and stays in it.
func (o *opening) compare(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	f, err := o.r.Fit(asking, o.restored)
	if err != nil || !f.Superseded {
		return err
	}
	if err := o.db.Close(); err != nil {
		return err
	}
	o.db = nil
	if f.Known && o.identity.Last <= f.Commit {
		o.log.Info("another server has gone on with everything that is in this file; it is removed", "database", o.c.DB, "replica", f.By.String())
		return o.forsake("", "-wal", "-shm")
	}
	kept := o.c.DB + ".diverged-" + time.Now().UTC().Format("20060102T150405Z")
	lost := []any{"kept", kept, "last commit", o.identity.Last, "replica", f.By.String()}
	if f.Known {
		lost = append(lost, "first commit", f.Commit+1, "commits", o.identity.Last-f.Commit)
	}
	o.log.Error("another server has gone on without the last commits of this file, which is kept", lost...)
	for _, end := range []string{"-wal", ""} { // the log first: without it the file lacks what is only there
		if err := os.Rename(o.c.DB+end, kept+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return o.forsake("-shm")
}

// forsake removes what is left of a file, and what belongs to it.
func (o *opening) forsake(ends ...string) error {
	for _, end := range ends {
		if err := os.Remove(o.c.DB + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return o.r.Forsake()
}

// restoreMissing restores the file where there is none.
func (o *opening) restoreMissing(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	id, newest, err := o.r.Held(asking)
	if errors.Is(err, replica.ErrEmpty) {
		return o.r.Discard(time.Now())
	}
	if err != nil {
		return fmt.Errorf("%w; there is no database %s, and it cannot be restored", err, o.c.DB)
	}
	began := time.Now()
	o.log.Info("restoring the database", "from", o.c.ReplicaURL, "position", newest.String())
	f := restoring{r: o.r, path: o.c.DB, id: id, newest: newest}
	if !o.followed(ctx, f) {
		if err := f.restore(ctx, replica.Moment{}, nil); err != nil {
			return err
		}
	}
	if err := o.r.Discard(time.Now()); err != nil {
		return err
	}
	if err := f.put(); err != nil {
		return err
	}
	o.fresh = true
	o.log.Info("restored the database", "ms", time.Since(began).Milliseconds())
	return nil
}

// followed reports whether the file is what was followed, up to the end.
func (o *opening) followed(ctx context.Context, f restoring) bool {
	if o.follower == nil {
		return false
	}
	finishing, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	err := o.follower.Finish(finishing, f.newest)
	if err == nil {
		err = f.adopt(ctx)
	}
	if err != nil {
		o.log.Warn("what was followed cannot be served; the whole is restored", "error", err)
	}
	return err == nil
}
