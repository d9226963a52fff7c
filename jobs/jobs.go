// Package jobs is the work that is done later.
//
// A job is a row, enqueued in the transaction that causes it: it exists when
// that commits, and never when it does not. What it changes in the database
// happens exactly once, in the transaction that deletes it; what it does outside
// happens at least once.
package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"connvo/db"
	"connvo/domain"
)

// The bounds of a job.
const (
	maxName    = 200      // a kind and an id or two
	maxPayload = 16 << 10 // ids and small settings; what is larger has a row of its own
)

// Job is work to be done later.
type Job struct {
	Kind string // which handler does it
	// Name makes the job the only one of that name; "" leaves it without. It
	// names the kind too, as in "insights:mtg_…".
	Name    string
	Org     string    // whose admins may see it, see Board; "" when it is nobody's
	Payload any       // what the handler needs, as JSON; small, and nothing that the database tells
	RunAt   time.Time // not before this instant; now when zero
}

// Enqueue makes tx leave j to be done once it has committed. It takes a number
// of the sequence, the job's id.
//
// A name that waits already stays one job: it keeps the earlier of both instants
// and gets the newer payload, so an instant is then the latest, not the earliest,
// and the handler looks at the state it finds. While it waits after a failure its
// instant stays, so that asking often does not hurry a provider that is down.
// Once its handler has begun it is done again afterwards, because what caused the
// second asking may not have been seen.
func Enqueue(tx *db.WriteTx, j Job) error {
	if j.Kind == "" || len(j.Kind) > maxName || len(j.Name) > maxName || len(j.Org) > maxName {
		return fmt.Errorf("enqueue %q: kind, name and organization have at most %d bytes, and a kind has one", j.Kind, maxName)
	}
	payload, err := json.Marshal(j.Payload)
	if err != nil {
		return fmt.Errorf("enqueue %s: %w", j.Kind, err)
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("enqueue %s: a payload of %d bytes, more than %d", j.Kind, len(payload), maxPayload)
	}
	// An instant in the past would overtake jobs that have waited for their turn.
	at := tx.Now
	if j.RunAt.After(at) {
		at = j.RunAt.Add(time.Millisecond - time.Nanosecond) // rounds up: never early
	}
	_, err = tx.Exec(insertJob, tx.Next(), at.UnixMilli(), j.Kind, j.Name, tx.Now.UnixMilli(), string(payload), j.Org)
	if err != nil {
		return fmt.Errorf("enqueue %s: %w", j.Kind, err)
	}
	return nil
}

// Waits reports whether a job of the name waits or runs. One that runs may have
// looked already for what it has to do: whoever does not ask for it again because of
// this must know that its effect looks once more. It joins the caller's transaction.
func Waits(tx db.Reader, name string) (bool, error) {
	_, err := db.One(tx, db.Int, selectWaiting, name)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// Letter is a dead job: one that failed too often to be tried again by itself.
type Letter struct {
	ID        int64
	Kind      string
	Name      string // "" when it has none
	Attempts  int
	CreatedAt time.Time
	DiedAt    time.Time
	LastError string
}

// Dead returns the dead jobs, the last to die first, at most limit of them.
func Dead(tx db.Reader, limit int) ([]Letter, error) {
	return db.All(tx, scanLetter, selectDead, limit)
}

// Lifetime is how long dead jobs are kept.
const Lifetime = 90 * 24 * time.Hour

// deleted is how many dead jobs Delete deletes at once, in about a millisecond.
const deleted = 50

// Oldest returns the instant at which the first of the dead jobs has died, or
// db.ErrNone. It joins the caller's transaction.
func Oldest(tx db.Reader) (time.Time, error) { return db.One(tx, scanInstant, selectOldestDead) }

// Delete deletes a few jobs that had died by the instant, the first to die first,
// and returns how many, 0 when none is left. It joins the caller's transaction.
func Delete(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deleteDead, until.UnixMilli(), deleted)
}

// Retry brings a dead job back as if it had never failed. Errors: NotFound when
// no dead job has the id, Conflict when another of its name waits.
func Retry(tx *db.WriteTx, id int64) error {
	n, err := tx.Exec(reviveJob, tx.Now.UnixMilli(), id)
	switch {
	case errors.Is(err, db.ErrDuplicate):
		return domain.Because(domain.Conflict, err, "another job of this name waits already")
	case err != nil:
		return fmt.Errorf("retry job %d: %w", id, err)
	case n == 0:
		return domain.Fail(domain.NotFound, "there is no dead job %d", id)
	}
	return nil
}

// Figures are how many jobs there are.
type Figures struct {
	Waiting int64 // running ones included
	Dead    int64
}

// Count returns the figures. It reads an index entry for each job.
func Count(tx db.Reader) (Figures, error) {
	return db.One(tx, scanFigures, selectFigures)
}
