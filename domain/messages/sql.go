package messages

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

const insertMessage = `
INSERT INTO messages (seq, meeting_id, thread, position, user_id, reply_to, created_at, attachments, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updateMessage = `
UPDATE messages
SET position = ?2, content = ?3, edited_at = ?4, deleted_at = ?5, attachments = ?6
WHERE seq = ?1`

const selectMessage = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE seq = ?1 AND meeting_id = ?2`

const selectThis = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE seq = ?1
-- scope: messages.seq=?1`

const selectThread = `
SELECT thread
FROM messages
WHERE seq = ?1 AND meeting_id = ?2
-- scope: messages.seq=?1`

const selectMessagesAfter = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE meeting_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: messages.meeting_id=?1`

const selectMessagesBefore = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE meeting_id = ?1 AND seq < ?2
ORDER BY seq DESC
LIMIT ?3
-- scope: messages.meeting_id=?1`

const selectThreadAfter = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE thread = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
-- scope: messages.thread=?1`

const selectThreadBefore = `
SELECT seq, position, thread, user_id, reply_to, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE thread = ?1 AND seq < ?2
ORDER BY seq DESC
LIMIT ?3
-- scope: messages.thread=?1`

// selectMatches looks for words in one meeting, newest message first. The order
// is never that of rank, which rests on the messages of all meetings.
const selectMatches = `
SELECT m.seq, m.position, m.thread, m.user_id, m.reply_to, m.created_at, m.edited_at, m.deleted_at, m.attachments, m.content,
  snippet(message_words, 1, '⟦', '⟧', '…', 24)
FROM message_words w
JOIN messages m ON m.seq = w.rowid
WHERE w.message_words MATCH ?2 AND w.rowid < ?3 AND m.meeting_id = ?1 AND m.user_id IS NOT NULL
ORDER BY w.rowid DESC
LIMIT ?4
-- scope: messages.meeting_id=?1`

const selectEndedAt = `
SELECT ended_at
FROM meetings
WHERE id = ?1`

func scanMessage(r db.Row) (Message, error) { return scanWith(r) }

func scanMatch(r db.Row) (f Found, err error) {
	f.Message, err = scanWith(r, &f.Snippet)
	return f, err
}

// scanWith scans a message, and what follows it in the row.
func scanWith(r db.Row, more ...any) (Message, error) {
	var m Message
	var created int64
	var replyTo, edited, deleted *int64
	var user *domain.UserID
	var attachments string
	into := []any{&m.Seq, &m.Position, &m.Thread, &user, &replyTo, &created, &edited, &deleted, &attachments, &m.Content}
	if err := r.Scan(append(into, more...)...); err != nil {
		return m, err
	}
	if replyTo != nil {
		m.ReplyTo = *replyTo
	}
	if user != nil {
		m.User = *user
	}
	m.CreatedAt, m.EditedAt, m.DeletedAt = time.UnixMilli(created).UTC(), db.Instant(edited), db.Instant(deleted)
	var err error
	m.Attachments, err = decode(attachments)
	return m, err
}

func null(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// author is null where nobody said it.
func author(u domain.UserID) *domain.UserID {
	if u == "" {
		return nil
	}
	return &u
}
