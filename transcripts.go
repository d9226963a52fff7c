package main

import (
	"maps"

	"connvo/db"
	"connvo/domain/events"
	"connvo/domain/transcripts"
	"connvo/jobs"
)

// settled is what is done for chunks of transcripts once they are stored, besides
// what transcripts do by themselves.
func settled(happened *events.Log) []transcripts.Settled {
	return []transcripts.Settled{transcripts.Subject(happened)}
}

// withSettling returns the handlers together with the one that does it.
func withSettling(d *db.DB, happened *events.Log, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	handlers = maps.Clone(handlers)
	handlers[transcripts.Settle] = transcripts.NewSettler(d, settled(happened)...).Settle
	return handlers
}
