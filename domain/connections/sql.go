package connections

import (
	"time"

	"connvo/db"
)

// selectList finds the page in the index alone, and reads the rows of no more: ten
// times quicker where most are filtered out.
const selectList = `
SELECT id, other_id, status, direction, created_at, accepted_at, message
FROM connections
WHERE user_id = ?1 AND other_id IN (
  SELECT other_id
  FROM connections
  WHERE user_id = ?1 AND id < ?2 AND (?3 = '' OR status = ?3) AND (?4 = '' OR direction = ?4)
  ORDER BY id DESC
  LIMIT ?5
)
ORDER BY +id DESC -- not by an index, which would read every row
-- scope: connections.user_id=?1`

const selectByID = `
SELECT id, other_id, status, direction, created_at, accepted_at, message
FROM connections
WHERE user_id = ?1 AND id = ?2
-- scope: connections.user_id=?1`

const selectPair = `
SELECT id, other_id, status, direction, created_at, accepted_at, message
FROM connections
WHERE user_id = ?1 AND other_id = ?2
-- scope: connections.user_id=?1
-- scope: connections.other_id=?2`

const countWaiting = `
SELECT count(*)
FROM connections
WHERE user_id = ?1 AND status = 'pending' AND direction = ?2
-- scope: connections.user_id=?1`

const countAccepted = `
SELECT count(*)
FROM connections
WHERE user_id = ?1 AND status = 'accepted'
-- scope: connections.user_id=?1`

const insertSide = `
INSERT INTO connections (user_id, other_id, id, status, direction, created_at, message)
VALUES (?, ?, ?, 'pending', ?, ?, ?)`

const updateAccepted = `
UPDATE connections
SET status = 'accepted', accepted_at = ?3
WHERE user_id = ?1 AND other_id = ?2`

const deleteSide = `
DELETE FROM connections
WHERE user_id = ?1 AND other_id = ?2`

const selectEnded = `
SELECT declined, ended_at
FROM ended_requests
WHERE requester_id = ?1 AND addressee_id = ?2
-- scope: ended_requests.requester_id=?1
-- scope: ended_requests.addressee_id=?2`

const upsertEnded = `
INSERT INTO ended_requests (requester_id, addressee_id, declined, ended_at)
VALUES (?, ?, ?, ?)
ON CONFLICT (requester_id, addressee_id) DO UPDATE
SET declined = excluded.declined, ended_at = excluded.ended_at`

// maxForgotten is how many ended requests a new one forgets whose time has come:
// more than the one it may add, so that they do not pile up, and a fraction of a
// millisecond of the writer's time.
const maxForgotten = 50

const deleteForgotten = `
DELETE FROM ended_requests
WHERE (requester_id, addressee_id) IN (
  SELECT requester_id, addressee_id
  FROM ended_requests
  WHERE ended_at <= ?1
  ORDER BY ended_at
  LIMIT ?2
)`

func scanConnection(r db.Row) (Connection, error) {
	var c Connection
	var created int64
	var accepted *int64
	err := r.Scan(&c.ID, &c.Other, &c.Status, &c.Direction, &created, &accepted, &c.Message)
	c.CreatedAt, c.AcceptedAt = time.UnixMilli(created).UTC(), db.Instant(accepted)
	return c, err
}

// ended is how a request ended that is not there any more.
type ended struct {
	declined bool // else withdrawn
	at       time.Time
}

func scanEnded(r db.Row) (ended, error) {
	var e ended
	var at int64
	err := r.Scan(&e.declined, &at)
	e.at = time.UnixMilli(at).UTC()
	return e, err
}
