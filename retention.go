package main

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/domain/analytics"
	"connvo/domain/audio"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/notifications"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/jobs"
	"connvo/privacy"
	"connvo/retention"
)

// collections is everything that is kept for a time only, but for kept answers,
// which live a day and expire by it.
func collections() []retention.Collection {
	return []retention.Collection{
		{Name: "messages", Lifetime: retention.Policy.Messages, NextOrg: messages.NextOrg, Oldest: messages.Oldest, Delete: messages.Delete, Swept: purgeLater(purgeWords)},
		{Name: "transcripts", Lifetime: retention.Policy.Transcripts, NextOrg: transcripts.NextOrg, Oldest: transcripts.Oldest, Delete: transcripts.Delete, Swept: purgeLater(purgeTranscripts)},
		retention.Fixed("audio", audio.Lifetime, audio.Oldest, audio.Delete),
		retention.Fixed("events", events.Lifetime, events.Oldest, events.Delete),
		retention.Fixed("audit", audit.Lifetime, audit.Oldest, audit.Delete),
		retention.Fixed("notifications", notifications.Lifetime, notifications.Oldest, notifications.Delete),
		retention.Fixed("dead-jobs", jobs.Lifetime, jobs.Oldest, jobs.Delete),
		retention.Fixed("meetings", meetings.Remembered, meetings.OldestConcluded,
			meetings.ForgetConcluded(conversation.Forget, transcripts.Forget, notes.Forget, analytics.Forget, insights.Forget)),
		retention.Fixed("erased-subjects", users.ErasedLifetime, users.OldestErased, users.ForgetSubjects),
	}
}

// newSweeper returns what deletes them.
func newSweeper(d *db.DB) *retention.Sweeper { return retention.NewSweeper(d, collections()...) }

// withSweeps returns the handlers together with those that delete.
func withSweeps(d *db.DB, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	sweeper, handlers := newSweeper(d), maps.Clone(handlers)
	handlers[retention.Sweep], handlers[retention.Review] = sweeper.Sweep, sweeper.Review
	handlers[purgeWords], handlers[purgeTranscripts] = purge(d, messages.Purge), purge(d, transcripts.Purge)
	handlers[users.Erased] = privacy.NewEraser(d).Erase
	return handlers
}

const (
	// purgeWords is the kind of the jobs that take the words of deleted messages out
	// of the index, purgeTranscripts of those of deleted chunks; the payload says whether
	// one has only begun.
	purgeWords       = "messages.purge"
	purgeTranscripts = "transcripts.purge"
	// purgeEvery is how long these words stay at most: taking them out writes the
	// whole index, which is worth it once a day.
	purgeEvery = 24 * time.Hour
	// maxPurged is how many transactions such a job does, of about a millisecond each.
	maxPurged = 1000
)

// purgeLater is what follows a sweep of what has words: a job of the kind.
func purgeLater(kind string) func(tx *db.WriteTx) error {
	return func(tx *db.WriteTx) error {
		return jobs.Enqueue(tx, jobs.Job{Kind: kind, Name: kind, Payload: true, RunAt: tx.Now.Add(purgeEvery)})
	}
}

// purge returns the handler of the jobs of a kind, by what does a part of the work.
func purge(d *db.DB, part func(tx *db.WriteTx, begin bool) (more bool, err error)) jobs.Handler {
	return func(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
		var begin bool
		if err := json.Unmarshal(t.Payload, &begin); err != nil {
			return nil, err
		}
		for range maxPurged {
			more := false
			err := d.WriteBackground(ctx, func(tx *db.WriteTx) (err error) {
				more, err = part(tx, begin)
				return err
			})
			if err != nil || !more {
				return nil, err
			}
			begin = false
		}
		return func(tx *db.WriteTx) error {
			return jobs.Enqueue(tx, jobs.Job{Kind: t.Kind, Name: t.Name, Payload: false})
		}, nil
	}
}
