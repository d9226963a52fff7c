package conversation

import (
	"connvo/db"
	"connvo/domain"
)

// forgotten is how many rows Forget deletes at once, in about a millisecond.
const forgotten = 50

// Forget deletes who has spoken how much in the meeting and what it was about, a few
// rows at a time, and returns how many, 0 when none is left. It joins the caller's
// transaction.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	n, err := tx.Exec(deleteSpeaking, m, forgotten)
	if err != nil || n > 0 {
		return n, err
	}
	return tx.Exec(deleteConversation, m)
}

const deleteSpeaking = `
DELETE FROM speaking
WHERE meeting_id = ?1 AND user_id IN (
  SELECT user_id
  FROM speaking
  WHERE meeting_id = ?1
  ORDER BY user_id
  LIMIT ?2
)`

const deleteConversation = `
DELETE FROM conversations
WHERE meeting_id = ?1`
