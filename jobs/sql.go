package jobs

import (
	"encoding/json"
	"time"

	"connvo/db"
)

const insertJob = `
INSERT INTO jobs (id, run_at, kind, name, asked, created_at, payload, org_id)
VALUES (?1, ?2, ?3, nullif(?4, ''), ?1, ?5, ?6, ?7)
ON CONFLICT (name) WHERE dead = 0 DO UPDATE
SET run_at = CASE WHEN attempts = 0 THEN min(run_at, excluded.run_at) ELSE run_at END,
    kind = excluded.kind,
    org_id = excluded.org_id,
    asked = excluded.asked,
    payload = excluded.payload`

const selectWaiting = `
SELECT id
FROM jobs
WHERE name = ?1 AND dead = 0`

const selectDue = `
SELECT id, kind, coalesce(name, ''), org_id, asked, attempts, created_at, payload
FROM jobs
WHERE dead = 0 AND run_at <= ?1
ORDER BY run_at, id
LIMIT ?2`

const selectNext = `
SELECT run_at
FROM jobs
WHERE dead = 0 AND run_at > ?1
ORDER BY run_at
LIMIT 1`

// deleteDone spares a job that was asked for again while it ran.
const deleteDone = `
DELETE FROM jobs
WHERE id = ?1 AND dead = 0 AND asked = ?2`

// renewDone leaves a job that was asked for again to be done again, now.
const renewDone = `
UPDATE jobs
SET attempts = 0, last_error = ''
WHERE id = ?1 AND dead = 0`

// updateFailed lets a job die only when it was not asked for again while it ran.
const updateFailed = `
UPDATE jobs
SET attempts = ?3,
    last_error = ?4,
    dead = (?5 AND asked = ?2),
    run_at = CASE WHEN ?5 AND asked = ?2 THEN ?6 ELSE ?7 END
WHERE id = ?1 AND dead = 0`

const reviveJob = `
UPDATE jobs
SET dead = 0, attempts = 0, run_at = ?1
WHERE id = ?2 AND dead = 1`

const selectDead = `
SELECT id, kind, coalesce(name, ''), attempts, created_at, run_at, last_error
FROM jobs
WHERE dead = 1
ORDER BY run_at DESC, id DESC
LIMIT ?1`

const selectOldestDead = `
SELECT run_at
FROM jobs
WHERE dead = 1
ORDER BY run_at
LIMIT 1`

const deleteDead = `
DELETE FROM jobs
WHERE id IN (
  SELECT id
  FROM jobs
  WHERE dead = 1 AND run_at <= ?1
  ORDER BY run_at
  LIMIT ?2
)`

const selectFigures = `
SELECT (SELECT count(*) FROM jobs WHERE dead = 0),
       (SELECT count(*) FROM jobs WHERE dead = 1)`

// selectOfOrg takes as its sixth argument the ids of the jobs that run. It says
// that the organization is one, so that the index of those is used.
const selectOfOrg = `
SELECT id, kind, coalesce(name, ''), dead, id IN (SELECT value FROM json_each(?6)), attempts, created_at, run_at, last_error
FROM jobs
WHERE org_id = ?1 AND org_id <> '' AND id < ?2
  AND (?3 = '' OR kind = ?3)
  AND (?4 = '' OR ?4 = CASE WHEN dead = 1 THEN 'dead' WHEN id IN (SELECT value FROM json_each(?6)) THEN 'running' ELSE 'waiting' END)
ORDER BY id DESC
LIMIT ?5
-- scope: jobs.org_id=?1`

const selectOneOfOrg = `
SELECT id, kind, coalesce(name, ''), dead, 0, attempts, created_at, run_at, last_error
FROM jobs
WHERE id = ?1 AND org_id = ?2
-- scope: jobs.org_id=?2`

func scanTask(r db.Row) (Task, error) {
	var t Task
	var created int64
	var payload string
	err := r.Scan(&t.ID, &t.Kind, &t.Name, &t.Org, &t.asked, &t.Attempt, &created, &payload)
	t.Attempt++ // the row counts those that have failed
	t.CreatedAt, t.Payload = time.UnixMilli(created).UTC(), json.RawMessage(payload)
	return t, err
}

func scanInstant(r db.Row) (time.Time, error) {
	ms, err := db.Int(r)
	return time.UnixMilli(ms).UTC(), err
}

func scanLetter(r db.Row) (Letter, error) {
	var l Letter
	var created, died int64
	err := r.Scan(&l.ID, &l.Kind, &l.Name, &l.Attempts, &created, &died, &l.LastError)
	l.CreatedAt, l.DiedAt = time.UnixMilli(created).UTC(), time.UnixMilli(died).UTC()
	return l, err
}

func scanFigures(r db.Row) (Figures, error) {
	var f Figures
	err := r.Scan(&f.Waiting, &f.Dead)
	return f, err
}
