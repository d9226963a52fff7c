package insights

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

// selectOf leaves out what was made of a transcript that is deleted.
const selectOf = `
SELECT id, meeting_id, created_at, generated_by, helpful
FROM insights
WHERE user_id = ?1 AND meeting_id = ?2
  AND (heard = 0 OR NOT EXISTS (SELECT 1 FROM deleted_transcripts WHERE meeting_id = ?2))
-- scope: insights.user_id=?1
-- scope: insights.meeting_id=?2
-- scope: deleted_transcripts.meeting_id=?2`

// selectList leaves out meetings of which the person is no member any more, and what was
// made of a transcript that is deleted.
const selectList = `
SELECT i.id, i.meeting_id, i.created_at, i.generated_by, i.helpful
FROM insights AS i
JOIN participants AS p ON p.user_id = ?1 AND p.meeting_id = i.meeting_id
WHERE i.user_id = ?1 AND i.id < ?2
  AND (i.heard = 0 OR NOT EXISTS (SELECT 1 FROM deleted_transcripts AS d WHERE d.meeting_id = i.meeting_id))
ORDER BY i.id DESC
LIMIT ?3
-- scope: insights.user_id=?1
-- scope: participants.user_id=?1`

const selectLines = `
SELECT meeting_id, part, owner_id, due_at, confidence, message, message_position, quote_from, quote_to, segment, reason, text
FROM insight_lines
WHERE user_id = ?1 AND meeting_id IN (SELECT value FROM json_each(?2))
ORDER BY meeting_id, part, place
-- scope: insight_lines.user_id=?1`

const selectPeople = `
SELECT meeting_id, other_id
FROM insight_people
WHERE user_id = ?1 AND meeting_id IN (SELECT value FROM json_each(?2))
ORDER BY meeting_id, place
-- scope: insight_people.user_id=?1`

const selectWhen = `
SELECT started_at, ended_at
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectMaterial = `
SELECT material
FROM insights
WHERE user_id = ?1 AND meeting_id = ?2
-- scope: insights.user_id=?1
-- scope: insights.meeting_id=?2`

const insertInsight = `
INSERT INTO insights (user_id, meeting_id, id, created_at, generated_by, heard, material)
VALUES (?, ?, ?, ?, ?, ?, ?)`

const insertLine = `
INSERT INTO insight_lines (user_id, meeting_id, part, place, owner_id, due_at, confidence, message, message_position, quote_from, quote_to, segment, reason, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertPerson = `
INSERT INTO insight_people (user_id, meeting_id, other_id, place)
VALUES (?, ?, ?, ?)`

const updateHelpful = `
UPDATE insights
SET helpful = ?3
WHERE id = ?1 AND user_id = ?2`

const deleteInsight = `
DELETE FROM insights
WHERE id = ?1 AND user_id = ?2`

const deleteOf = `
DELETE FROM insights
WHERE user_id = ?1 AND meeting_id = ?2`

func scanInsight(r db.Row) (i Insight, err error) {
	var created int64
	err = r.Scan(&i.ID, &i.Meeting, &created, &i.GeneratedBy, &i.Helpful)
	i.CreatedAt = time.UnixMilli(created).UTC()
	return i, err
}

func scanLine(r db.Row) (l line, err error) {
	var owner *domain.UserID
	var due, seq, version, from, to *int64
	var confidence *float64
	err = r.Scan(&l.meeting, &l.part, &owner, &due, &confidence, &seq, &version, &from, &to, &l.segment, &l.reason, &l.text)
	if owner != nil {
		l.owner = *owner
	}
	if confidence != nil {
		l.confidence = *confidence
	}
	if seq != nil && version != nil && from != nil && to != nil {
		l.seq, l.version, l.quoted = *seq, *version, span{int(*from), int(*to)}
	}
	l.due = db.Instant(due)
	return l, err
}

func scanPerson(r db.Row) (p met, err error) {
	err = r.Scan(&p.meeting, &p.user)
	return p, err
}

// when is how long a meeting was.
type when struct{ began, ended time.Time }

func scanWhen(r db.Row) (when, error) {
	var began, ended *int64
	err := r.Scan(&began, &ended)
	return when{db.Instant(began), db.Instant(ended)}, err
}

func scanMaterial(r db.Row) (material []byte, err error) {
	err = r.Scan(&material)
	return material, err
}
