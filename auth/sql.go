package auth

import "connvo/db"

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
