package auth

import (
	"time"

	"connvo/db"
)

const selectKey = `
SELECT private_key
FROM dev_keys
WHERE id = ?`

const insertKey = `
INSERT INTO dev_keys (id, private_key, created_at)
VALUES (?, ?, ?)`

const selectByEmail = `
SELECT email, subject, name
FROM dev_users
WHERE email = ?`

const selectBySubject = `
SELECT email, subject, name
FROM dev_users
WHERE subject = ?`

const insertDevUser = `
INSERT INTO dev_users (email, subject, name)
VALUES (?, ?, ?)`

const updateDevUser = `
UPDATE dev_users
SET name = ?
WHERE email = ?`

const insertEvent = `
INSERT INTO provider_events (id, received_at)
VALUES (?, ?)
ON CONFLICT (id) DO NOTHING`

const deleteOldEvents = `
DELETE FROM provider_events
WHERE id IN (
  SELECT id
  FROM provider_events
  WHERE received_at <= ?1
  ORDER BY received_at
  LIMIT ?2
)`

const selectCursor = `
SELECT event, since
FROM provider_cursor
WHERE id = 1`

const upsertCursor = `
INSERT INTO provider_cursor (id, event, since)
VALUES (1, ?, ?)
ON CONFLICT (id) DO UPDATE
SET event = excluded.event, since = excluded.since`

func scanCursor(r db.Row) (cursor, error) {
	var c cursor
	var since int64
	err := r.Scan(&c.event, &since)
	c.since = time.UnixMilli(since).UTC()
	return c, err
}

func scanKey(r db.Row) ([]byte, error) {
	var key []byte
	err := r.Scan(&key)
	return key, err
}

func scanDevUser(r db.Row) (devUser, error) {
	var u devUser
	err := r.Scan(&u.email, &u.subject, &u.name)
	return u, err
}
