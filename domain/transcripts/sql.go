package transcripts

import (
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
)

const insertChunk = `
INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertUtterance = `
INSERT INTO utterances (meeting_id, utterance, position)
VALUES (?, ?, ?)`

const selectUtterance = `
SELECT position
FROM utterances
WHERE meeting_id = ?1 AND utterance = ?2
-- scope: utterances.meeting_id=?1`

const selectAfter = `
SELECT t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.confidence,
  coalesce(nullif(t.speaker_id, ''), s.user_id, ''), t.label, t.language, t.utterance, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = ?1 AND s.label = t.label
WHERE t.meeting_id = ?1 AND t.position > ?2
ORDER BY t.position
LIMIT ?3
-- scope: transcripts.meeting_id=?1
-- scope: speakers.meeting_id=?1`

const selectBefore = `
SELECT t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.confidence,
  coalesce(nullif(t.speaker_id, ''), s.user_id, ''), t.label, t.language, t.utterance, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = ?1 AND s.label = t.label
WHERE t.meeting_id = ?1 AND t.position < ?2
ORDER BY t.position DESC
LIMIT ?3
-- scope: transcripts.meeting_id=?1
-- scope: speakers.meeting_id=?1`

// The filtered ones take the speaker, or ”, and the span of time before the
// position.
const selectFilteredAfter = `
SELECT t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.confidence,
  coalesce(nullif(t.speaker_id, ''), s.user_id, ''), t.label, t.language, t.utterance, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = ?1 AND s.label = t.label
WHERE t.meeting_id = ?1 AND t.position BETWEEN ?5 AND ?6
  AND (?2 = '' OR t.speaker_id = ?2 OR t.label = ?2 OR s.user_id = ?2) AND t.end_ms > ?3 AND t.start_ms < ?4
ORDER BY t.position
LIMIT ?7
-- scope: transcripts.meeting_id=?1
-- scope: speakers.meeting_id=?1`

const selectFilteredBefore = `
SELECT t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.confidence,
  coalesce(nullif(t.speaker_id, ''), s.user_id, ''), t.label, t.language, t.utterance, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = ?1 AND s.label = t.label
WHERE t.meeting_id = ?1 AND t.position BETWEEN ?5 AND ?6
  AND (?2 = '' OR t.speaker_id = ?2 OR t.label = ?2 OR s.user_id = ?2) AND t.end_ms > ?3 AND t.start_ms < ?4
ORDER BY t.position DESC
LIMIT ?7
-- scope: transcripts.meeting_id=?1
-- scope: speakers.meeting_id=?1`

const selectSpeakers = `
SELECT label, user_id, named_at, named_by
FROM speakers
WHERE meeting_id = ?1
ORDER BY label
LIMIT ?2
-- scope: speakers.meeting_id=?1`

const selectSpeaker = `
SELECT label, user_id, named_at, named_by
FROM speakers
WHERE meeting_id = ?1 AND label = ?2
-- scope: speakers.meeting_id=?1`

const countSpeakers = `
SELECT count(*)
FROM speakers
WHERE meeting_id = ?1
-- scope: speakers.meeting_id=?1`

const selectUnattributed = `
SELECT total_ms, words
FROM speakers
WHERE meeting_id = ?1 AND label = ?2
-- scope: speakers.meeting_id=?1`

const upsertSpeaker = `
INSERT INTO speakers (meeting_id, label, user_id, named_at, named_by)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (meeting_id, label) DO UPDATE
SET user_id = excluded.user_id, named_at = excluded.named_at, named_by = excluded.named_by, total_ms = 0, words = 0`

func scanChunk(r db.Row) (c Chunk, err error) {
	var created, start, end int64
	err = r.Scan(&c.Position, &c.Meeting, &created, &start, &end, &c.Confidence, &c.Speaker, &c.Label, &c.Language, &c.Utterance, &c.Text)
	c.CreatedAt = time.UnixMilli(created).UTC()
	c.Start, c.End = time.Duration(start)*time.Millisecond, time.Duration(end)*time.Millisecond
	return c, err
}

func scanUnattributed(r db.Row) (u conversation.Utterance, err error) {
	var ms int64
	err = r.Scan(&ms, &u.Words)
	u.End = time.Duration(ms) * time.Millisecond
	return u, err
}

func scanSpeaker(r db.Row) (s Speaker, err error) {
	var named *int64
	var user, by *domain.UserID
	err = r.Scan(&s.Label, &user, &named, &by)
	if user != nil && by != nil {
		s.User, s.NamedBy, s.NamedAt = *user, *by, db.Instant(named)
	}
	return s, err
}
