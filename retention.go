package main

import (
	"maps"

	"connvo/audit"
	"connvo/db"
	"connvo/domain/analytics"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notifications"
	"connvo/jobs"
	"connvo/retention"
)

// collections is everything that is kept for a time only, but for kept answers,
// which live a day and expire by it.
func collections() []retention.Collection {
	return []retention.Collection{
		{Name: "messages", Lifetime: retention.Policy.Messages, NextOrg: messages.NextOrg, Oldest: messages.Oldest, Delete: messages.Delete},
		retention.Fixed("events", events.Lifetime, events.Oldest, events.Delete),
		retention.Fixed("audit", audit.Lifetime, audit.Oldest, audit.Delete),
		retention.Fixed("notifications", notifications.Lifetime, notifications.Oldest, notifications.Delete),
		retention.Fixed("dead-jobs", jobs.Lifetime, jobs.Oldest, jobs.Delete),
		retention.Fixed("meetings", meetings.Remembered, meetings.OldestConcluded,
			meetings.ForgetConcluded(conversation.Forget, analytics.Forget)),
	}
}

// newSweeper returns what deletes them.
func newSweeper(d *db.DB) *retention.Sweeper { return retention.NewSweeper(d, collections()...) }

// withSweeps returns the handlers together with those that delete.
func withSweeps(d *db.DB, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	sweeper, handlers := newSweeper(d), maps.Clone(handlers)
	handlers[retention.Sweep], handlers[retention.Review] = sweeper.Sweep, sweeper.Review
	return handlers
}
