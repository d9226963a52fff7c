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

func scanEvent(r db.Row) (Event, error) {
	var e Event
	var at int64
	err := r.Scan(&e.Position, &e.Meeting, &e.Type, &e.Actor, &e.Subject, &at)
	e.CreatedAt = time.UnixMilli(at).UTC()
	return e, err
}
