package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/handlers"
	"connvo/replica"
	"connvo/telemetry"
)

// The bounds of a server with a replica.
const (
	// restoreTime bounds the questions before a restore; the restore itself takes as
	// long as it does.
	restoreTime = 30 * time.Second
	// stopTime is when a server that was told to stop has to have ended, with what is
	// kept of it for the last sync at least.
	stopTime     = 29 * time.Second
	lastSyncTime = 2 * time.Second
)

// place is where a replica is, as a flag.
type place struct {
	ReplicaURL string `name:"replica-url" env:"CONNVO_REPLICA_URL" help:"Where a copy of the database is kept, up to the second: file:///directory, or s3://bucket/path?endpoint=…&region=… with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; {region} stands for the region's label."`
}

// at returns the copy of the file that is kept at the place; nil where there is none.
func (p place) at(path string, log *slog.Logger, how replica.Options) (*replica.Replica, error) {
	if p.ReplicaURL == "" {
		return nil, nil
	}
	t, err := replica.ParseTarget(p.ReplicaURL)
	if err != nil {
		return nil, fmt.Errorf("--replica-url: %w", err)
	}
	return replica.New(t, path, log, how)
}

// required is at for a command that only reads, where there must be one.
func (p place) required(path string, log *slog.Logger) (*replica.Replica, error) {
	if p.ReplicaURL == "" {
		return nil, errors.New("--replica-url: name the replica, or set CONNVO_REPLICA_URL")
	}
	return p.at(path, log, replica.Options{})
}

// open opens the database, from its replica where the file is missing or another server
// has gone on, and begins to replicate it once the lease is ours. The replica is nil
// where none is configured. While another server has the lease, standing is told to
// answer in its place.
func (c *serveCommand) open(ctx context.Context, log *slog.Logger, standing func(http.Handler)) (*db.DB, *replica.Replica, error) {
	r, err := c.at(c.DB, log, replica.Options{Strict: c.Lease == strict, Term: c.LeaseTerm, Machine: c.FlyMachine, URL: c.PublicURL})
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		d, err := db.Open(ctx, db.Options{Path: c.DB, Schema: schema, Now: c.clock, Log: log})
		return d, nil, err
	}
	o := &opening{c: c, r: r, log: log, standing: standing}
	err = o.open(ctx)
	if err == nil {
		err = r.Start(ctx, replica.Source{
			ID: o.identity.ID, Restored: o.restored, Before: o.identity.Before, Fresh: o.fresh, Committed: o.db.Committed, Pages: o.db.Pages, Attach: o.db.Replicate,
			Check: func(ctx context.Context, path string) ([]string, error) { return db.Check(ctx, path, schema) },
		})
	}
	if err != nil {
		return nil, nil, errors.Join(err, o.close())
	}
	o.db.Guard(func() error {
		if r.Full() {
			return domain.Fail(domain.Unavailable, "the server's disk is full")
		}
		return nil
	})
	o.db.Fence(func() error { return unleased(r.Check()) })
	return o.db, r, nil
}

// errTaken ends a server. What it finds when it starts again says how it may go on.
var errTaken = errors.New("another server has taken the lease, so this one has ended; started again it goes on from what that one has written")

// unleased is what a write is told that nobody may be promised any more.
func unleased(err error) error {
	if err == nil {
		return nil
	}
	return domain.Because(domain.Unavailable, err, "this server may not write now: another one may have taken over")
}

// closeReplica copies what is new once more, as long as the time to stop in allows.
func closeReplica(r *replica.Replica, s *service, log *slog.Logger) {
	left := lastSyncTime
	if s != nil && !s.drainedAt.IsZero() {
		left = max(left, time.Until(s.drainedAt.Add(stopTime)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		log.Error("the replica is behind", "error", err)
	}
}

// replicated adds to the API what a replica is for.
func replicated(config *handlers.Config, r *replica.Replica) {
	if r == nil {
		return
	}
	config.Replicated = func(ctx context.Context) error {
		if err := r.Sync(ctx); err != nil {
			return err
		}
		return r.Check() // what another has gone on without is not kept, wherever it is
	}
	config.Replication = func() handlers.Replication {
		s, l := r.Status(), r.Lease()
		return handlers.Replication{
			Lease: l.State, Generation: l.Generation, Owner: l.Owner.String(),
			State: string(s.State), Since: s.Since, LastSync: s.LastSync, Transaction: s.Transaction, Local: s.Local,
			Snapshots: s.Snapshots, LocalBytes: s.LocalBytes, DiskPercent: s.DiskPercent,
			Verified: s.Verified.At, Problem: s.Verified.Problem,
		}
	}
	replicaFigures(config.Metrics, r)
}

// replicaFigures registers what the replica tells of itself.
func replicaFigures(m *telemetry.Metrics, r *replica.Replica) {
	m.Gauge("connvo_replica_behind_seconds", "For how long there is something that the replica may not hold; 0 while it is within a second.", func() float64 {
		if since := r.Status().Since; !since.IsZero() {
			return time.Since(since).Seconds()
		}
		return 0
	})
	m.Gauge("connvo_replica_local_bytes", "What is kept beside the database for the replica, its log included.", func() float64 { return float64(r.Status().LocalBytes) })
	m.Gauge("connvo_replica_disk_percent", "How much of the disk is in use; at 95 writes are refused.", func() float64 { return float64(r.Status().DiskPercent) })
	m.Gauge("connvo_replica_verified_timestamp_seconds", "When the replica was last compared with the database, in seconds since 1970; 0 for not yet.", func() float64 { return float64(max(r.Status().Verified.At.Unix(), 0)) })
	m.Gauge("connvo_replica_damaged", "1 where the replica was found to be another than the database, else 0.", func() float64 {
		if r.Status().Verified.Problem != "" {
			return 1
		}
		return 0
	})
}

// leaseFigures adds how the lease is.
func leaseFigures(m *telemetry.Metrics, r *replica.Replica) {
	m.Gauge("connvo_lease_seconds", "Until the lease lapses unless it is renewed; 0 where there is none, or it has.", func() float64 { return r.Lease().Left.Seconds() })
	m.Gauge("connvo_replica_generation", "The generation that is copied: one more for each owner.", func() float64 { return float64(r.Lease().Generation) })
}
