package analytics

import (
	"connvo/db"
	"connvo/domain"
)

// forgotten is how many rows Forget deletes at once, in about a millisecond.
const forgotten = 50

// Forget deletes what people thought of the meeting, a few rows at a time, and
// returns how many, 0 when none is left. How much was written in it stays: that is
// of nobody, and the log that it was counted in is gone. It joins the caller's
// transaction.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	return tx.Exec(deleteRatings, m, forgotten)
}

const deleteRatings = `
DELETE FROM ratings
WHERE meeting_id = ?1 AND user_id IN (
  SELECT user_id
  FROM ratings
  WHERE meeting_id = ?1
  ORDER BY user_id
  LIMIT ?2
)`
