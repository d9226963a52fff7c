package insights

import (
	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/transcripts"
)

// forgotten is how many insights Forget deletes at once, each with some thirty lines.
const forgotten = 5

// Forget deletes the insights into a meeting, a few at a time, and returns how many, 0
// when none is left. It joins the caller's transaction, which has found that the
// meeting's time is over.
func Forget(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	return tx.Exec(deleteForgotten, m, forgotten)
}

// Unhear deletes, of a meeting whose transcript is deleted, the insights that were made of
// it, a few at a time, has others made of the rest for those people, and returns how many
// it were, 0 when none is left. It joins the caller's transaction.
func Unhear(tx *db.WriteTx, m domain.MeetingID) (int64, error) {
	people, err := db.All(tx, scanUser, selectHeard, m, forgotten)
	if err != nil || len(people) == 0 {
		return 0, err
	}
	org, err := meetings.OrgOf(tx, m)
	if err != nil {
		return 0, err
	}
	for _, user := range people {
		if _, err := tx.Exec(deleteOf, user, m); err != nil {
			return 0, err
		}
		if err := renew(tx, m, user, org); err != nil {
			return 0, err
		}
	}
	return int64(len(people)), nil
}

// checkKept refuses material of a transcript that was deleted after it had been read: the
// job begins anew, and reads none.
func checkKept(tx db.Reader, mat Material) error {
	if !mat.heard() {
		return nil
	}
	deleted, err := transcripts.Deleted(tx, mat.Meeting)
	if err == nil && deleted {
		err = domain.Fail(domain.Unavailable, "the transcript was deleted while insights were made of it")
	}
	return err
}

func scanUser(r db.Row) (user domain.UserID, err error) {
	err = r.Scan(&user)
	return user, err
}

const selectHeard = `
SELECT user_id
FROM insights
WHERE meeting_id = ?1 AND heard = 1
ORDER BY user_id
LIMIT ?2
-- scope: insights.meeting_id=?1`

const deleteForgotten = `
DELETE FROM insights
WHERE (user_id, meeting_id) IN (
  SELECT user_id, meeting_id
  FROM insights
  WHERE meeting_id = ?1
  ORDER BY user_id
  LIMIT ?2
)`
