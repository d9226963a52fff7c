package audio

import (
	"time"

	"connvo/db"
)

const insertPiece = `
INSERT INTO audio (number, meeting_id, user_id, created_at, start_ms, duration_ms, format, size, sound)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

// selectSinceStart is how long the meeting has gone on at an instant.
const selectSinceStart = `
SELECT ?2 - coalesce(started_at, created_at)
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectBacklogOf = `
SELECT count(*), coalesce(sum(size), 0)
FROM audio
WHERE meeting_id = ?1
-- scope: audio.meeting_id=?1`

// whole table: an index of it, of maxPieces entries at most.
const selectBacklog = `
SELECT count(*), coalesce(sum(size), 0)
FROM audio`

// selectPieces does not read what is in the pieces.
// whole table: maxPieces rows at most, and where each begins decides.
const selectPieces = `
SELECT number, meeting_id, user_id, created_at, start_ms, duration_ms, format
FROM audio
ORDER BY start_ms, number
LIMIT ?1`

const selectSound = `
SELECT sound
FROM audio
WHERE number = ?1`

const deletePiece = `
DELETE FROM audio
WHERE number = ?1`

const selectOldest = `
SELECT created_at
FROM audio
WHERE number > 0
ORDER BY number
LIMIT 1`

// deleteOldest looks at the first few only: instants ascend with numbers.
const deleteOldest = `
DELETE FROM audio
WHERE created_at <= ?1 AND number IN (
  SELECT number
  FROM audio
  WHERE number > 0
  ORDER BY number
  LIMIT ?2
)`

const deleteOfMeeting = `
DELETE FROM audio
WHERE number IN (
  SELECT number
  FROM audio
  WHERE meeting_id = ?1
  LIMIT ?2
)`

func scanPiece(r db.Row) (p Piece, err error) {
	var created, start, duration int64
	err = r.Scan(&p.Number, &p.Meeting, &p.Speaker, &created, &start, &duration, &p.Format)
	p.CreatedAt = time.UnixMilli(created).UTC()
	p.Start, p.Duration = time.Duration(start)*time.Millisecond, time.Duration(duration)*time.Millisecond
	return p, err
}

func scanBacklog(r db.Row) (b Backlog, err error) {
	err = r.Scan(&b.Pieces, &b.Bytes)
	return b, err
}

func scanSound(r db.Row) (sound []byte, err error) {
	err = r.Scan(&sound)
	return sound, err
}
