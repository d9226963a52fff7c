package analytics

import (
	"time"

	"connvo/db"
)

const selectMeeting = `
SELECT started_at, ended_at
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const upsertRating = `
INSERT INTO ratings (meeting_id, user_id, rated_at, rating, comment)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, user_id) DO UPDATE
SET rated_at = excluded.rated_at, rating = excluded.rating, comment = excluded.comment`

const selectAverage = `
SELECT avg(rating)
FROM ratings
WHERE meeting_id = ?1
-- scope: ratings.meeting_id=?1`

const selectCounts = `
SELECT messages, edits
FROM meeting_counts
WHERE meeting_id = ?1
-- scope: meeting_counts.meeting_id=?1`

const insertCounts = `
INSERT INTO meeting_counts (meeting_id, messages, edits)
VALUES (?, ?, ?)
ON CONFLICT (meeting_id) DO NOTHING`

func scanMeeting(r db.Row) (a Analytics, err error) {
	var started, ended *int64
	err = r.Scan(&started, &ended)
	if started != nil && ended != nil {
		a.Duration = time.Duration(*ended-*started) * time.Millisecond
	}
	return a, err
}

func scanAverage(r db.Row) (float64, error) {
	var average *float64
	err := r.Scan(&average)
	if average == nil {
		return 0, err
	}
	return *average, err
}

func scanCounts(r db.Row) (c counts, err error) {
	err = r.Scan(&c.messages, &c.edits)
	return c, err
}
