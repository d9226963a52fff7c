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

// selectUnreadMention is whether the newest in the meeting is not read.
const selectUnreadMention = `
SELECT coalesce((
  SELECT max(position)
  FROM notifications
  WHERE user_id = ?1 AND meeting_id = ?2 AND type = 'message.mentioned'
), 0) > coalesce((
  SELECT read_up_to
  FROM notification_marks
  WHERE user_id = ?1
), 0)
-- scope: notifications.user_id=?1
-- scope: notification_marks.user_id=?1`

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

// whole table: channels has three rows at most.
const deleteChannels = `
DELETE FROM channels
WHERE name NOT IN (SELECT value FROM json_each(?1))`

const insertChannels = `
INSERT INTO channels (name)
SELECT value
FROM json_each(?1)
WHERE TRUE
ON CONFLICT DO NOTHING`

// selectWishes takes what those want who have set nothing.
// whole table: channels has three rows at most, mostly none.
const selectWishes = `
SELECT u.value, c.name
FROM channels AS c
CROSS JOIN json_each(?1) AS u
LEFT JOIN settings AS s ON s.user_id = u.value
WHERE CASE c.name
  WHEN 'email' THEN coalesce(s.email, ?2)
  WHEN 'push' THEN coalesce(s.push, ?3)
  WHEN 'sms' THEN coalesce(s.sms, ?4)
END = 1`

// selectLetter answers nothing for who may not know of it any more.
const selectLetter = `
SELECT n.position, n.type, n.meeting_id, n.actor_id, n.subject, n.created_at,
  u.id, u.display_name, u.address, coalesce(m.title, ''), coalesce(a.display_name, '')
FROM notifications AS n
JOIN users AS u ON u.id = n.user_id AND u.active = 1
LEFT JOIN participants AS p ON p.meeting_id = n.meeting_id AND p.user_id = n.user_id
LEFT JOIN meetings AS m ON m.id = n.meeting_id
LEFT JOIN users AS a ON a.id = n.actor_id
WHERE n.position = ?1 AND (n.meeting_id = '' OR p.user_id IS NOT NULL)`

// wish is that somebody wants to be told by a channel.
type wish struct {
	user    domain.UserID
	channel Channel
}

func scanWish(r db.Row) (w wish, err error) {
	return w, r.Scan(&w.user, &w.channel)
}

func scanLetter(r db.Row) (l Letter, err error) {
	var at int64
	err = r.Scan(&l.Position, &l.Type, &l.Meeting, &l.Actor, &l.Subject, &at, &l.User, &l.Name, &l.Address, &l.Title, &l.ActorName)
	l.CreatedAt = time.UnixMilli(at).UTC()
	return l, err
}
