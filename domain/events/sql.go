package events

import (
	"time"

	"connvo/db"
)

const insertEvent = `
INSERT INTO events (position, meeting_id, type, actor_id, subject_id, created_at)
VALUES (?, ?, ?, ?, ?, ?)`

const selectEventsAfter = `
SELECT position, meeting_id, type, actor_id, subject_id, created_at
FROM events
WHERE meeting_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: events.meeting_id=?1`

const selectEventsBefore = `
SELECT position, meeting_id, type, actor_id, subject_id, created_at
FROM events
WHERE meeting_id = ?1 AND position < ?2
ORDER BY position DESC
LIMIT ?3
-- scope: events.meeting_id=?1`

const countTypes = `
WITH page AS (
  SELECT position, type
  FROM events
  WHERE meeting_id = ?1 AND position > ?2
  ORDER BY position
  LIMIT ?4
)
SELECT type, count(*), max(position)
FROM page
WHERE position <= coalesce((SELECT min(CASE type WHEN ?3 THEN position END) FROM page), 9007199254740991)
GROUP BY type
-- scope: events.meeting_id=?1`

// selectOldest is the instant of the first row.
// whole table: it ends at the first row that it reads.
const selectOldest = `
SELECT created_at
FROM events
ORDER BY position
LIMIT 1`

// deleteOldest looks at the first rows only: instants ascend with positions.
// whole table: the limit ends it.
const deleteOldest = `
DELETE FROM events
WHERE created_at <= ?1 AND position IN (
  SELECT position
  FROM events
  ORDER BY position
  LIMIT ?2
)`

type count struct {
	of      Type
	n, last int64
}

func scanCount(r db.Row) (c count, err error) {
	err = r.Scan(&c.of, &c.n, &c.last)
	return c, err
}

func scanEvent(r db.Row) (Event, error) {
	var e Event
	var at int64
	err := r.Scan(&e.Position, &e.Meeting, &e.Type, &e.Actor, &e.Subject, &at)
	e.CreatedAt = time.UnixMilli(at).UTC()
	return e, err
}
