package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	ReplicaURL string `name:"replica-url" env:"CONNVO_REPLICA_URL" help:"Where a copy of the database is kept, up to the second: file:///directory, or s3://bucket/path?endpoint=…&region=… with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."`
}

// at returns the copy of the file that is kept at the place; nil where there is none.
func (p place) at(path string, log *slog.Logger) (*replica.Replica, error) {
	if p.ReplicaURL == "" {
		return nil, nil
	}
	t, err := replica.ParseTarget(p.ReplicaURL)
	if err != nil {
		return nil, fmt.Errorf("--replica-url: %w", err)
	}
	return replica.New(t, path, log)
}

// required is at, where there must be one.
func (p place) required(path string, log *slog.Logger) (*replica.Replica, error) {
	if p.ReplicaURL == "" {
		return nil, errors.New("--replica-url: name the replica, or set CONNVO_REPLICA_URL")
	}
	return p.at(path, log)
}

// open opens the database, from its replica where the file is missing, and begins to
// replicate it. The replica is nil where none is configured.
func (c *serveCommand) open(ctx context.Context, log *slog.Logger) (*db.DB, *replica.Replica, error) {
	r, err := c.at(c.DB, log)
	if err != nil {
		return nil, nil, err
	}
	if r != nil {
		if err := c.restoreMissing(ctx, r, log); err != nil {
			return nil, nil, err
		}
	}
	d, err := db.Open(ctx, db.Options{Path: c.DB, Schema: schema, Now: c.clock, Log: log, Replicated: r != nil})
	if err != nil || r == nil {
		return d, nil, err
	}
	i, err := d.Identity(ctx)
	if err == nil {
		err = r.Start(ctx, replica.Source{
			ID: i.ID, Restored: i.Restored, Committed: d.Committed, Pages: d.Pages, Attach: d.Replicate,
			Check: func(ctx context.Context, path string) ([]string, error) { return db.Check(ctx, path, schema) },
		})
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	d.Guard(func() error {
		if r.Full() {
			return domain.Fail(domain.Unavailable, "the server's disk is full")
		}
		return nil
	})
	return d, r, nil
}

// restoreMissing restores the file where there is none. An empty replica is refused
// unless a beginning was asked for: who lost a volume and mistyped a URL would begin
// with an empty database.
func (c *serveCommand) restoreMissing(ctx context.Context, r *replica.Replica, log *slog.Logger) error {
	if _, err := os.Stat(c.DB); err == nil {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	id, newest, err := r.Held(asking)
	if errors.Is(err, replica.ErrEmpty) {
		if !c.New {
			return fmt.Errorf("%w, and there is no database %s; say --new to begin with an empty one", err, c.DB)
		}
		return r.Discard(time.Now())
	}
	if err != nil {
		return fmt.Errorf("%w; there is no database %s, and it cannot be restored", err, c.DB)
	}
	began := time.Now()
	log.Info("restoring the database", "from", c.ReplicaURL, "transaction", newest)
	f := restoring{r: r, path: c.DB, id: id, newest: newest}
	if err := f.restore(ctx, replica.Moment{}, nil); err != nil {
		return err
	}
	if err := r.Discard(time.Now()); err != nil {
		return err
	}
	if err := f.put(); err != nil {
		return err
	}
	log.Info("restored the database", "took", time.Since(began).Round(time.Millisecond))
	return nil
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
	config.Replicated = r.Sync
	config.Replication = func() handlers.Replication {
		s := r.Status()
		return handlers.Replication{
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
