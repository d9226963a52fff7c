package audit

import (
	"time"

	"connvo/db"
)

// Lifetime is how long entries are kept.
const Lifetime = 365 * 24 * time.Hour

// deleted is how many entries Delete deletes at once, in about a millisecond.
const deleted = 50

// Oldest returns the instant of the entry that was stored first, or db.ErrNone. It
// joins the caller's transaction.
func Oldest(tx db.Reader) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few entries that are not younger than the instant, the oldest
// first, and returns how many, 0 when none is left. It joins the caller's
// transaction.
func Delete(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deleteOldest, until.UnixMilli(), deleted)
}
