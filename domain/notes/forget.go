package notes

import (
	"connvo/db"
	"connvo/domain"
)

// How many rows Forget deletes at once, in about a millisecond each.
const (
	forgottenRows  = 100
	forgottenTexts = 5 // as long as they may be
)

// Forget deletes the notes of a meeting with their history, a few rows at a time, and
// returns how many it has deleted, 0 when none is left. It joins the caller's
// transaction, which has found that the meeting's time is over; nobody may edit
// them by then.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	if n, err := tx.Exec(deleteOpsOf, m, forgottenRows); err != nil || n > 0 {
		return n, err
	}
	if n, err := tx.Exec(deleteSnapshots, m, forgottenTexts); err != nil || n > 0 {
		return n, err
	}
	if n, err := tx.Exec(deleteClients, m, forgottenRows); err != nil || n > 0 {
		return n, err
	}
	return tx.Exec(deleteHead, m)
}
