package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connvo/db"
	"connvo/jobs"
)

// The kinds of jobs.
const (
	Sweep  = "retention.sweep"  // deletes what is past its time in a collection; the payload is its name
	Review = "retention.review" // looks at every collection anew, for a policy has changed
)

const (
	// Grain is how much longer than its time something may be kept: a sweep is an
	// hour's worth, not one for each row.
	Grain = time.Hour
	// portionTime ends what one transaction deletes. With the step that is under way
	// by then, the writer is held for less than the 20 ms that jobs have.
	portionTime = 2 * time.Millisecond
	// maxPortions ends a job: some seconds. Another goes on.
	maxPortions = 200
	// orgsPage is how many organizations one read transaction looks at.
	orgsPage = 500
)

// Collection is rows of a kind that are kept for a time.
type Collection struct {
	Name string
	// Lifetime is how long they are kept under a policy.
	Lifetime func(Policy) time.Duration
	// NextOrg returns the first organization after the one given, in the order of
	// their ids, that has any; db.ErrNone where there is none. It is nil for rows
	// that all organizations keep equally long: then the only one is "".
	NextOrg func(tx db.Reader, after string) (string, error)
	// Oldest returns the instant of the organization's oldest row, or db.ErrNone.
	Oldest func(tx db.Reader, org string) (time.Time, error)
	// Swept is called once with the end of a sweep that has deleted something, where
	// it is not nil.
	Swept func(tx *db.WriteTx) error
	// Delete deletes a few of the organization's rows that are not younger than the
	// instant, the oldest first, in a millisecond or two, and returns how many; 0
	// when none is left.
	Delete func(tx *db.WriteTx, org string, until time.Time) (int64, error)
}

// Fixed returns a collection whose rows are kept equally long for everyone; its
// functions are those of a Collection.
func Fixed(name string, lifetime time.Duration, oldest func(tx db.Reader) (time.Time, error), remove func(tx *db.WriteTx, until time.Time) (int64, error)) Collection {
	return Collection{
		Name:     name,
		Lifetime: func(Policy) time.Duration { return lifetime },
		Oldest:   func(tx db.Reader, _ string) (time.Time, error) { return oldest(tx) },
		Delete:   func(tx *db.WriteTx, _ string, until time.Time) (int64, error) { return remove(tx, until) },
	}
}

// Sweeper deletes what is past its time, by jobs: each collection has one, which
// puts itself off until its oldest row falls due. Where there is no row, none can be
// due for a lifetime, so that whoever stores one arranges nothing.
type Sweeper struct {
	db  *db.DB
	all []Collection
}

// NewSweeper returns the sweeper of the collections, whose names differ.
func NewSweeper(d *db.DB, all ...Collection) *Sweeper { return &Sweeper{db: d, all: all} }

// Start arranges a sweep of each collection now. It is called at every start of the
// server, which makes up for a job that has failed for good.
func (s *Sweeper) Start(ctx context.Context) error { return s.db.Write(ctx, s.StartIn) }

// StartIn is Start within a transaction.
func (s *Sweeper) StartIn(tx *db.WriteTx) error {
	for _, c := range s.all {
		if err := c.enqueue(tx, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

func (c Collection) enqueue(tx *db.WriteTx, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Sweep, Name: Sweep + ":" + c.Name, Payload: c.Name, RunAt: at})
}

// Review is the handler of the jobs of that kind.
func (s *Sweeper) Review(context.Context, jobs.Task) (jobs.Effect, error) { return s.StartIn, nil }

// Sweep is the handler of the jobs of that kind.
func (s *Sweeper) Sweep(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	var name string
	if err := json.Unmarshal(t.Payload, &name); err != nil {
		return nil, err
	}
	for _, c := range s.all {
		if c.Name == name {
			return s.sweep(ctx, c)
		}
	}
	return nil, nil // of an older version, which kept something else
}

// sweep deletes what is past its time until nothing is, or for as long as a job
// should take, and returns what goes on.
func (s *Sweeper) sweep(ctx context.Context, c Collection) (jobs.Effect, error) {
	idle, swept := false, false
	for left := maxPortions; left > 0; {
		org, due, err := s.firstDue(ctx, c)
		if err != nil {
			return nil, err
		}
		if due.After(s.db.Now()) {
			return func(tx *db.WriteTx) error {
				if err := c.finish(tx, swept); err != nil {
					return err
				}
				if soonest := tx.Now.Add(Grain); due.Before(soonest) {
					due = soonest
				}
				return c.enqueue(tx, due)
			}, nil
		}
		deleted, portions, err := s.sweepOrg(ctx, c, org, left)
		switch {
		case err != nil:
			return nil, err
		case deleted == 0 && idle:
			return nil, fmt.Errorf("%s of %q were due at %s and are not deleted", c.Name, org, due.Format(time.RFC3339))
		}
		swept = swept || deleted > 0
		idle = deleted == 0 // the policy may have changed meanwhile
		left -= portions
	}
	return func(tx *db.WriteTx) error {
		if err := c.finish(tx, swept); err != nil {
			return err
		}
		return c.enqueue(tx, tx.Now)
	}, nil
}

func (c Collection) finish(tx *db.WriteTx, swept bool) error {
	if c.Swept == nil || !swept {
		return nil
	}
	return c.Swept(tx)
}

// sweepOrg deletes what is past its time in one organization, in so many
// transactions at most, and returns how many rows and transactions it were.
func (s *Sweeper) sweepOrg(ctx context.Context, c Collection, org string, limit int) (deleted int64, portions int, err error) {
	for more := true; more && portions < limit; portions++ {
		var n int64
		err := s.db.WriteBackground(ctx, func(tx *db.WriteTx) (err error) {
			n, more, err = c.portion(tx, org)
			return err
		})
		if err != nil {
			return deleted, portions, err
		}
		deleted += n
	}
	return deleted, portions, nil
}

// portion deletes for portionTime, and reports whether there may be more.
func (c Collection) portion(tx *db.WriteTx, org string) (deleted int64, more bool, err error) {
	began := time.Now()
	policy, err := Of(tx, org)
	if err != nil {
		return 0, false, err
	}
	until := tx.Now.Add(-c.Lifetime(policy))
	for time.Since(began) < portionTime {
		n, err := c.Delete(tx, org, until)
		if err != nil || n == 0 {
			return deleted, false, err
		}
		deleted += n
	}
	return deleted, true, nil
}
