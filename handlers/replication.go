package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"connvo/domain"
)

// Replication is how copying the database to its replica goes.
type Replication struct {
	State       string    // starting, replicating or behind
	Since       time.Time // when the replica fell behind; zero when it is not
	LastSync    time.Time // zero for none yet
	Transaction uint64    // the newest that the replica holds
	Local       uint64    // the newest of the file
	Snapshots   int
	LocalBytes  int64
	DiskPercent int
	Lease       string    // held, lapsed, taken, or none
	Generation  uint64    // the newest that is known
	Owner       string    // of the lease; "" where that is not known
	Verified    time.Time // when the replica was last restored and compared; zero for never
	Problem     string    // what was found to be wrong with it then, "" for nothing
}

type replicationFigures struct {
	State       string  `json:"state" enum:"off,starting,replicating,behind" doc:"off: no replica is configured."`
	BehindSince *string `json:"behindSince" format:"date-time" doc:"Since when what is committed may not be in the replica; null while it is within a second."`
	LastSyncAt  *string `json:"lastSyncAt" format:"date-time" doc:"When the replica last took something and held everything; null for never since the start."`
	Transaction uint64  `json:"transaction" doc:"The newest that the replica holds, by its own count: what connvo restore --txid takes."`
	Local       uint64  `json:"local" doc:"The newest that was taken from the database."`
	Snapshots   int     `json:"snapshots" doc:"Whole copies in the replica, one a day."`
	LocalBytes  int64   `json:"localBytes" doc:"What is kept beside the database for the replica, its log included."`
	DiskPercent int     `json:"diskPercent" doc:"How much of the disk is in use. At 95 writes are refused."`
	Lease       string  `json:"lease" enum:"off,held,lapsed,taken,none" doc:"The right to write. lapsed: it could not be renewed in time. taken: another server has it. none: it could not be asked for since the start. off: no replica is configured."`
	Generation  uint64  `json:"generation" doc:"What one owner after another has copied; the transactions of each are counted from 1."`
	Owner       *string `json:"owner" doc:"Whose the lease was when it was last seen: a machine, a URL or an id; null for nobody."`
	VerifiedAt  *string `json:"lastVerifiedAt" format:"date-time" doc:"When the replica was last restored beside the database and compared, once a day; null for not yet."`
	Problem     *string `json:"problem" doc:"What was found to be wrong with the replica then; null for nothing."`
}

func (s *Server) replicationRoutes() {
	get(s, route{path: "/v1/admin/replication", id: "getReplication", tag: "Administration", every: figuresEvery,
		summary: "How copying the database goes", about: "For admins. Live: at most once a second."}, s.getReplication)
}

func (s *Server) getReplication(ctx context.Context, who domain.Actor, _ *LiveParams) (replicationFigures, error) {
	if _, err := s.Users.Administers(ctx, who); err != nil {
		return replicationFigures{}, err
	}
	if s.Replication == nil {
		return replicationFigures{State: "off", Lease: "off"}, nil
	}
	r := s.Replication()
	f := replicationFigures{
		State: r.State, BehindSince: maybe(r.Since), LastSyncAt: maybe(r.LastSync), Transaction: r.Transaction, Local: r.Local,
		Snapshots: r.Snapshots, LocalBytes: r.LocalBytes, DiskPercent: r.DiskPercent,
		VerifiedAt: maybe(r.Verified), Lease: r.Lease, Generation: r.Generation,
	}
	if r.Problem != "" {
		f.Problem = &r.Problem
	}
	if r.Owner != "" {
		f.Owner = &r.Owner
	}
	return f, nil
}

// replicatedTime is how long a write waits for the replica: many times what it takes.
const replicatedTime = 10 * time.Second

// durabilityReplicated is the preference for an answer once the replica has the write.
const durabilityReplicated = "durability=replicated"

// prefersReplicated reports whether the request prefers that (RFC 7240).
func prefersReplicated(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if strings.EqualFold(strings.TrimSpace(name), "durability") && strings.Trim(value, " \t\"") == "replicated" {
				return true
			}
		}
	}
	return false
}

// awaitReplica returns when the replica holds the commit. A caller who has gone still
// has the write.
func (s *Server) awaitReplica(ctx context.Context, commit int64) error {
	ctx, cancel := context.WithTimeout(ctx, replicatedTime)
	defer cancel()
	if err := s.Replicated(ctx); err != nil {
		return applied(commit, "the write is applied, but the replica does not hold it yet")
	}
	return nil
}

// applied is the problem of a write that is done here, and may not last.
func applied(commit int64, detail string) *problem {
	p := problemOf(domain.Fail(domain.Unavailable, "%s", detail))
	p.members = map[string]any{"applied": true, "commit": commit}
	return p
}
