package notifications

import (
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
)

const selectAfter = `
SELECT position, type, meeting_id, actor_id, subject, created_at
FROM notifications
WHERE user_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: notifications.user_id=?1`

const selectBefore = `
SELECT position, type, meeting_id, actor_id, subject, created_at
FROM notifications
WHERE user_id = ?1 AND position < ?2
ORDER BY position DESC
LIMIT ?3
-- scope: notifications.user_id=?1`

// selectStanding counts no further than its second argument.
const selectStanding = `
SELECT coalesce((SELECT read_up_to FROM notification_marks WHERE user_id = ?1), 0), (
  SELECT count(*)
  FROM (
    SELECT 1
    FROM notifications
    WHERE user_id = ?1 AND position > coalesce((SELECT read_up_to FROM notification_marks WHERE user_id = ?1), 0)
    LIMIT ?2
  )
)
-- scope: notifications.user_id=?1
-- scope: notification_marks.user_id=?1`

const upsertMark = `
INSERT INTO notification_marks (user_id, read_up_to)
VALUES (?1, ?2)
ON CONFLICT (user_id) DO UPDATE
SET read_up_to = excluded.read_up_to
WHERE excluded.read_up_to > notification_marks.read_up_to`

const insertNotification = `
INSERT INTO notifications (position, user_id, type, cause, meeting_id, actor_id, subject, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, type, cause, user_id) DO NOTHING`

const selectTold = `
SELECT 1
FROM notifications
WHERE meeting_id = ?1 AND type = ?2 AND cause = ?3
LIMIT 1`

const selectAudience = `
SELECT user_id
FROM participants
WHERE meeting_id = ?1 AND user_id > ?2 AND user_id <> ?3
ORDER BY user_id
LIMIT ?4`

const selectPlan = `
SELECT state, scheduled_at
FROM meetings
WHERE id = ?1`

// selectOldest is the instant of the first row.
// whole table: it ends at the first row that it reads.
const selectOldest = `
SELECT created_at
FROM notifications
ORDER BY position
LIMIT 1`

// deletePortion looks at the oldest rows only: instants ascend with positions.
// whole table: the limit ends it.
const deletePortion = `
DELETE FROM notifications
WHERE created_at <= ?1 AND position IN (
  SELECT position
  FROM notifications
  ORDER BY position
  LIMIT ?2
)`

func scanNotification(r db.Row) (Notification, error) {
	var n Notification
	var at int64
	err := r.Scan(&n.Position, &n.Type, &n.Meeting, &n.Actor, &n.Subject, &at)
	n.CreatedAt = time.UnixMilli(at).UTC()
	return n, err
}

func scanStanding(r db.Row) (Standing, error) {
	var s Standing
	err := r.Scan(&s.ReadUpTo, &s.Unread)
	return s, err
}

func scanUser(r db.Row) (domain.UserID, error) {
	var u domain.UserID
	err := r.Scan(&u)
	return u, err
}

// plan is when a meeting is to begin, and whether it still may.
type plan struct {
	state participants.State
	at    time.Time // zero when it has no time
}

func scanPlan(r db.Row) (plan, error) {
	var p plan
	var at *int64
	err := r.Scan(&p.state, &at)
	p.at = db.Instant(at)
	return p, err
}
