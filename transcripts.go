package main

import (
	"maps"

	"connvo/db"
	"connvo/domain/transcripts"
	"connvo/jobs"
)

// settled is what is done for chunks of transcripts once they are stored, besides
// what transcripts do by themselves.
func settled() []transcripts.Settled { return nil }

// withSettling returns the handlers together with the one that does it.
func withSettling(d *db.DB, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	handlers = maps.Clone(handlers)
	handlers[transcripts.Settle] = transcripts.NewSettler(d, settled()...).Settle
	return handlers
}
