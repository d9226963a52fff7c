package messages

import (
	"errors"
	"time"

	"connvo/db"
)

// deleted is how many messages Delete deletes at once: of short ones a millisecond's
// work, of the longest a few, for their words leave the index at once.
const deleted = 20

// NextOrg returns the first organization after the one given, in the order of their
// ids, whose meetings have messages, or db.ErrNone. It joins the caller's
// transaction.
func NextOrg(tx db.Reader, after string) (string, error) {
	return db.One(tx, scanText, selectNextOrg, after)
}

// Oldest returns the instant of the oldest message in the organization's meetings,
// or db.ErrNone. It joins the caller's transaction.
func Oldest(tx db.Reader, org string) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest, org)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few messages of one of the organization's meetings that are not
// younger than the instant, the oldest first, and returns how many, 0 when none is
// left. It joins the caller's transaction.
func Delete(tx *db.WriteTx, org string, until time.Time) (int64, error) {
	meeting, err := db.One(tx, scanText, selectOldestChat, org, until.UnixMilli())
	if errors.Is(err, db.ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := tx.Exec(deleteOldest, meeting, until.UnixMilli(), deleted)
	if err != nil {
		return 0, err
	}
	oldest, err := db.One(tx, db.Int, selectOldestIn, meeting)
	switch {
	case errors.Is(err, db.ErrNone):
		_, err = tx.Exec(deleteChat, meeting)
	case err == nil:
		_, err = tx.Exec(updateChat, meeting, oldest)
	}
	return n, err
}

func scanText(r db.Row) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}

const selectNextOrg = `
SELECT org_id
FROM chats
WHERE org_id > ?1
ORDER BY org_id
LIMIT 1`

const selectOldest = `
SELECT oldest_at
FROM chats
WHERE org_id = ?1
ORDER BY oldest_at
LIMIT 1`

const selectOldestChat = `
SELECT meeting_id
FROM chats
WHERE org_id = ?1 AND oldest_at <= ?2
ORDER BY oldest_at
LIMIT 1`

const selectOldestIn = `
SELECT created_at
FROM messages
WHERE meeting_id = ?1
ORDER BY seq
LIMIT 1`

// deleteOldest looks at the meeting's first messages only: instants ascend with seq.
const deleteOldest = `
DELETE FROM messages
WHERE created_at <= ?2 AND seq IN (
  SELECT seq
  FROM messages
  WHERE meeting_id = ?1
  ORDER BY seq
  LIMIT ?3
)`

const updateChat = `
UPDATE chats
SET oldest_at = ?2
WHERE meeting_id = ?1 AND oldest_at <> ?2`

const deleteChat = `
DELETE FROM chats
WHERE meeting_id = ?1`
