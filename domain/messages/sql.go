package messages

import (
	"time"

	"connvo/db"
)

const insertMessage = `
INSERT INTO messages (seq, meeting_id, position, user_id, reply_to, created_at, content)
VALUES (?, ?, ?, ?, ?, ?, ?)`

const updateMessage = `
UPDATE messages
SET position = ?2, content = ?3, edited_at = ?4, deleted_at = ?5
WHERE seq = ?1`

const selectMessage = `
SELECT seq, position, user_id, reply_to, created_at, edited_at, deleted_at, content
FROM messages
WHERE seq = ?1 AND meeting_id = ?2`

const selectMessagesAfter = `
SELECT seq, position, user_id, reply_to, created_at, edited_at, deleted_at, content
FROM messages
WHERE meeting_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: messages.meeting_id=?1`

const selectMessagesBefore = `
SELECT seq, position, user_id, reply_to, created_at, edited_at, deleted_at, content
FROM messages
WHERE meeting_id = ?1 AND seq < ?2
ORDER BY seq DESC
LIMIT ?3
-- scope: messages.meeting_id=?1`

const selectEndedAt = `
SELECT ended_at
FROM meetings
WHERE id = ?1`

func scanMessage(r db.Row) (Message, error) {
	var m Message
	var created int64
	var replyTo, edited, deleted *int64
	err := r.Scan(&m.Seq, &m.Position, &m.User, &replyTo, &created, &edited, &deleted, &m.Content)
	if replyTo != nil {
		m.ReplyTo = *replyTo
	}
	m.CreatedAt, m.EditedAt, m.DeletedAt = time.UnixMilli(created).UTC(), db.Instant(edited), db.Instant(deleted)
	return m, err
}

func null(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}
