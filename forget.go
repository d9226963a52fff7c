package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"connvo/db"
	"connvo/domain/audio"
	"connvo/domain/insights"
	"connvo/domain/meetings"
	"connvo/domain/transcripts"
	"connvo/jobs"
	"connvo/privacy"
)

const (
	// maxForgotten is how many transactions one job deletes a transcript in, of about a
	// millisecond each; another goes on.
	maxForgotten = 1000
	// settlePause is how long a deletion waits for what was said last to be settled.
	settlePause = time.Second
	// purgeSoon is how long the words of transcripts that were deleted on request stay in
	// the index: taking them out writes all of it, once for those of a minute.
	purgeSoon = time.Minute
)

// withDeletion returns the handlers together with the one that deletes transcripts. Those
// of the sweeps, which take words out of the index, are among them.
func withDeletion(d *db.DB, handlers map[string]jobs.Handler) map[string]jobs.Handler {
	handlers = maps.Clone(handlers)
	handlers[transcripts.Deletion] = deleteTranscript(d)
	handlers[purgeTranscripts] = thenEmptyLog(d, handlers[purgeTranscripts])
	return handlers
}

// deleteTranscript returns the handler that deletes all that is stored of a transcript.
// Stopped anywhere it goes on with what is left.
func deleteTranscript(d *db.DB) jobs.Handler {
	parts := []meetings.Forget{audio.Forget, insights.Unhear, transcripts.Erase}
	return func(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
		var doomed transcripts.Doomed
		if err := json.Unmarshal(t.Payload, &doomed); err != nil {
			return nil, err
		}
		again := func(after time.Duration) jobs.Effect {
			return func(tx *db.WriteTx) error {
				return jobs.Enqueue(tx, jobs.Job{Kind: t.Kind, Name: t.Name, Org: t.Org, Payload: doomed, RunAt: tx.Now.Add(after)})
			}
		}
		for range maxForgotten {
			n := int64(0)
			err := d.WriteBackground(ctx, func(tx *db.WriteTx) (err error) {
				for _, part := range parts {
					if n, err = part(tx, doomed.Meeting); err != nil || n > 0 {
						return err
					}
				}
				return nil
			})
			switch {
			case errors.Is(err, transcripts.ErrUnsettled):
				return again(settlePause), nil
			case err != nil:
				return nil, err
			case n == 0:
				return purgeOnce(doomed), privacy.EmptyLog(ctx, d)
			}
		}
		return again(0), nil
	}
}

// purgeOnce is the end of a deletion.
func purgeOnce(doomed transcripts.Doomed) jobs.Effect {
	return func(tx *db.WriteTx) error {
		if !doomed.Words {
			return nil
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: purgeTranscripts, Name: purgeTranscripts, Payload: true, RunAt: tx.Now.Add(purgeSoon)})
	}
}

// thenEmptyLog returns the handler followed, once it has nothing left to do, by the
// emptying of the write-ahead log.
func thenEmptyLog(d *db.DB, purge jobs.Handler) jobs.Handler {
	return func(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
		more, err := purge(ctx, t)
		if err != nil || more != nil {
			return more, err
		}
		return nil, privacy.EmptyLog(ctx, d)
	}
}
