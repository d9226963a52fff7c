package conversation

import (
	"encoding/json"
	"time"

	"connvo/db"
	"connvo/domain/participants"
)

const selectMeeting = `
SELECT state, started_at, ended_at, transcription
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectGoing = `
SELECT recording, severity, lull_since, shifted_at, topics
FROM conversations
WHERE meeting_id = ?1
-- scope: conversations.meeting_id=?1`

const upsertLull = `
INSERT INTO conversations (meeting_id, severity, lull_since)
SELECT id, ?2, ?3 FROM meetings WHERE id = ?1 AND state = 'active'
ON CONFLICT (meeting_id) DO UPDATE
SET severity = excluded.severity, lull_since = excluded.lull_since`

const updateLullEnded = `
UPDATE conversations
SET severity = 'none', lull_since = NULL
WHERE meeting_id = ?1 AND severity <> 'none'`

const upsertTopics = `
INSERT INTO conversations (meeting_id, topics)
VALUES (?1, ?2)
ON CONFLICT (meeting_id) DO UPDATE
SET topics = excluded.topics`

const updateTopicsForgotten = `
UPDATE conversations
SET topics = '[]', shifted_at = NULL
WHERE meeting_id = ?1 AND (topics <> '[]' OR shifted_at IS NOT NULL)`

const upsertShift = `
INSERT INTO conversations (meeting_id, shifted_at)
VALUES (?1, ?2)
ON CONFLICT (meeting_id) DO UPDATE
SET shifted_at = excluded.shifted_at
WHERE shifted_at IS NULL OR shifted_at < ?3`

const upsertRecording = `
INSERT INTO conversations (meeting_id, recording)
SELECT id, ?2 AND state = 'active' FROM meetings WHERE id = ?1
ON CONFLICT (meeting_id) DO UPDATE
SET recording = excluded.recording`

const updateClosed = `
UPDATE conversations
SET recording = 0, severity = 'none', lull_since = NULL
WHERE meeting_id = ?1`

const selectSpeaker = `
SELECT user_id, total_ms, words, newest, recent
FROM speaking
WHERE meeting_id = ?1 AND user_id = ?2
-- scope: speaking.meeting_id=?1`

const selectSpeakers = `
SELECT user_id, total_ms, words, newest, recent
FROM speaking
WHERE meeting_id = ?1
ORDER BY user_id
LIMIT ?2
-- scope: speaking.meeting_id=?1`

const countSpeakers = `
SELECT count(*)
FROM speaking
WHERE meeting_id = ?1 AND user_id > ''
-- scope: speaking.meeting_id=?1`

const selectLastAt = `
SELECT max(spoken_at)
FROM speaking
WHERE meeting_id = ?1
-- scope: speaking.meeting_id=?1`

const upsertSpeaker = `
INSERT INTO speaking (meeting_id, user_id, spoken_at, total_ms, words, newest, recent)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, user_id) DO UPDATE
SET spoken_at = excluded.spoken_at, total_ms = excluded.total_ms, words = excluded.words,
  newest = excluded.newest, recent = excluded.recent`

const upsertAttributed = `
INSERT INTO speaking (meeting_id, user_id, spoken_at, total_ms, words, newest, recent)
SELECT meeting_id, ?2, spoken_at, ?3, ?4, newest, '[]'
FROM speaking
WHERE meeting_id = ?1 AND user_id = '' AND (
  EXISTS (SELECT 1 FROM speaking WHERE meeting_id = ?1 AND user_id = ?2)
  OR (SELECT count(*) FROM speaking WHERE meeting_id = ?1 AND user_id > '') < ?5)
ON CONFLICT (meeting_id, user_id) DO UPDATE
SET total_ms = total_ms + excluded.total_ms, words = words + excluded.words`

const updateAttributed = `
UPDATE speaking
SET total_ms = total_ms - ?2, words = words - ?3
WHERE meeting_id = ?1 AND user_id = ''`

func scanMeeting(r db.Row) (s State, err error) {
	var state participants.State
	var started, ended *int64
	err = r.Scan(&state, &started, &ended, &s.Transcription)
	s.Active, s.StartedAt, s.EndedAt = state == participants.Active, db.Instant(started), db.Instant(ended)
	return s, err
}

func scanGoing(r db.Row) (g going, err error) {
	var since, shifted *int64
	var topics string
	if err := r.Scan(&g.recording, &g.lull.Severity, &since, &shifted, &topics); err != nil {
		return g, err
	}
	g.lull.Since, g.shiftedAt = db.Instant(since), db.Instant(shifted)
	return g, json.Unmarshal([]byte(topics), &g.topics)
}

func scanSpeaker(r db.Row) (s speaker, err error) {
	var recent string
	if err := r.Scan(&s.user, &s.totalMs, &s.words, &s.recent.newest, &recent); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(recent), &s.recent.ms)
}

func scanInstant(r db.Row) (time.Time, error) {
	var ms *int64
	err := r.Scan(&ms)
	return db.Instant(ms), err
}

// encode returns a JSON array, [] for nil.
func encode[T any](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings and numbers always encode
	return string(b)
}
