package retention

import (
	"context"
	"errors"
	"time"

	"connvo/db"
)

// firstDue returns the organization whose oldest row falls due first, and when;
// where there is no row, when one that is stored now would. It reads beside the
// writer, a page of organizations at a time.
func (s *Sweeper) firstDue(ctx context.Context, c Collection) (org string, due time.Time, err error) {
	due = s.db.Now().Add(c.shortest())
	at, more := "", true
	for more {
		err = s.db.Read(ctx, func(tx db.Reader) error {
			for range orgsPage {
				d, err := c.dueIn(tx, at)
				if err != nil {
					return err
				}
				if !d.IsZero() && d.Before(due) {
					org, due = at, d
				}
				if at, more, err = c.next(tx, at); err != nil || !more {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", time.Time{}, err
		}
	}
	return org, due, nil
}

// shortest is how long anything is kept at least.
func (c Collection) shortest() time.Duration {
	if c.NextOrg != nil {
		return MinDays * Day
	}
	return c.Lifetime(Standard)
}

// dueIn returns when the organization's oldest row falls due, the zero time when it
// has none.
func (c Collection) dueIn(tx db.Reader, org string) (time.Time, error) {
	oldest, err := c.Oldest(tx, org)
	if errors.Is(err, db.ErrNone) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	policy, err := Of(tx, org)
	return oldest.Add(c.Lifetime(policy)), err
}

func (c Collection) next(tx db.Reader, after string) (org string, more bool, err error) {
	if c.NextOrg == nil {
		return "", false, nil
	}
	org, err = c.NextOrg(tx, after)
	if errors.Is(err, db.ErrNone) {
		return "", false, nil
	}
	return org, err == nil, err
}
