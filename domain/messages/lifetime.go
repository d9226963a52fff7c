package messages

import (
	"errors"
	"time"

	"connvo/db"
)

// deleted and deletedText are how many messages Delete deletes at once, and how many
// characters they have together: a few milliseconds' work.
const (
	deleted     = 30
	deletedText = 4000
)

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
	n, err := deleteMarking(tx, meeting, until)
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

// deleteMarking deletes a few of the meeting's messages. To take each word out of the
// index where it stands takes milliseconds for a message, so here they are only
// marked; Purge takes them out, all in one go.
//
// Marking adds a segment to the index. By itself the index then merges some hundred
// pages in one go, up to 90 ms; here it does not, but a few pages each time.
func deleteMarking(tx *db.WriteTx, meeting string, until time.Time) (int64, error) {
	if _, err := tx.Exec(setAutomerge, 0); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(setSecureDelete, false); err != nil {
		return 0, err
	}
	n, err := tx.Exec(deleteOldest, meeting, until.UnixMilli(), deleted, deletedText)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(setSecureDelete, true); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(mergeWords, purgedPages); err != nil {
		return 0, err
	}
	_, err = tx.Exec(setAutomerge, automerge)
	return n, err
}

// automerge is from how many segments of a size on the index merges them by itself:
// its own default.
const automerge = 4

// purgedPages is how many pages of the index Purge writes at once, in about a
// millisecond.
const purgedPages = 8

// Purge takes the words of messages that Delete has deleted out of the index, a part
// at a time: begin is true for the first. It reports whether there is more to do. It
// joins the caller's transaction.
func Purge(tx *db.WriteTx, begin bool) (more bool, err error) {
	pages := purgedPages
	if begin {
		pages = -pages // every part of the index takes part
	}
	before, err := db.One(tx, db.Int, selectTotalChanges)
	if err != nil {
		return false, err
	}
	if _, err := tx.Exec(mergeWords, pages); err != nil {
		return false, err
	}
	after, err := db.One(tx, db.Int, selectTotalChanges)
	return after-before >= 2, err // fewer are the statement itself
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
  FROM (
    SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before
    FROM (
      SELECT seq, length(content) AS size
      FROM messages
      WHERE meeting_id = ?1
      ORDER BY seq
      LIMIT ?3
    )
  )
  WHERE before < ?4
)`

// setSecureDelete stores what waits in the mode that was before.
const setSecureDelete = `
INSERT INTO message_words (message_words, rank)
VALUES ('secure-delete', ?1)`

const setAutomerge = `
INSERT INTO message_words (message_words, rank)
VALUES ('automerge', ?1)`

const mergeWords = `
INSERT INTO message_words (message_words, rank)
VALUES ('merge', ?1)`

const selectTotalChanges = `SELECT total_changes()`

const updateChat = `
UPDATE chats
SET oldest_at = ?2
WHERE meeting_id = ?1 AND oldest_at <> ?2`

const deleteChat = `
DELETE FROM chats
WHERE meeting_id = ?1`
