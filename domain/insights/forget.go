package insights

import (
	"connvo/db"
	"connvo/domain"
)

// forgotten is how many insights Forget deletes at once, each with some thirty lines.
const forgotten = 5

// Forget deletes the insights into a meeting, a few at a time, and returns how many, 0
// when none is left. It joins the caller's transaction, which has found that the
// meeting's time is over.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	return tx.Exec(deleteForgotten, m, forgotten)
}

const deleteForgotten = `
DELETE FROM insights
WHERE (user_id, meeting_id) IN (
  SELECT user_id, meeting_id
  FROM insights
  WHERE meeting_id = ?1
  ORDER BY user_id
  LIMIT ?2
)`
