package meetings

import (
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Remembered is how long after its end what a meeting has left is kept. That it took
// place stays.
const Remembered = 365 * 24 * time.Hour

// Forget deletes a few rows of what the meeting has left, in about a millisecond, and
// returns how many, 0 when none is left. It joins the caller's transaction.
type Forget func(tx *db.WriteTx, m domain.MeetingID) (int64, error)

// OldestConcluded returns when the first of the meetings that are remembered has
// ended, or db.ErrNone. It joins the caller's transaction.
func OldestConcluded(tx db.Reader) (time.Time, error) {
	c, err := db.One(tx, scanConcluded, selectConcluded)
	return time.UnixMilli(c.endedAt).UTC(), err
}

// ForgetConcluded returns what deletes, by all of parts, what the meetings have left
// that had ended by an instant, the first to end first: a few rows at a time, and 0
// when none is left.
func ForgetConcluded(parts ...Forget) func(tx *db.WriteTx, until time.Time) (int64, error) {
	return func(tx *db.WriteTx, until time.Time) (int64, error) {
		c, err := db.One(tx, scanConcluded, selectConcluded)
		if errors.Is(err, db.ErrNone) || (err == nil && c.endedAt > until.UnixMilli()) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		for _, part := range parts {
			if n, err := part(tx, c.meeting); err != nil || n > 0 {
				return n, err
			}
		}
		return tx.Exec(deleteConcluded, c.endedAt, c.meeting)
	}
}

// selectConcluded is the first row.
// whole table: it ends at the first row that it reads.
const selectConcluded = `
SELECT ended_at, meeting_id
FROM concluded
ORDER BY ended_at, meeting_id
LIMIT 1`

const deleteConcluded = `
DELETE FROM concluded
WHERE ended_at = ?1 AND meeting_id = ?2`

// concluded is a row of the table of that name.
type concluded struct {
	endedAt int64
	meeting domain.MeetingID
}

func scanConcluded(r db.Row) (c concluded, err error) {
	err = r.Scan(&c.endedAt, &c.meeting)
	return c, err
}
