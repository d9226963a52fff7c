package users

import (
	"time"

	"connvo/db"
)

const selectActive = `
SELECT active
FROM users
WHERE id = ?1
-- scope: users.id=?1
-- decides`

const selectAccount = `
SELECT id, active, org_id, org_role, claims_at
FROM users
WHERE subject = ?1`

const selectUser = `
SELECT id, email, display_name, avatar_url, org_id, org_role, created_at, updated_at
FROM users
WHERE id = ?1
-- scope: users.id=?1`

const selectCard = `
SELECT id, display_name, avatar_url
FROM users
WHERE id = ?1
-- scope: users.id=?1`

const selectCards = `
SELECT id, display_name, avatar_url
FROM users
WHERE id IN (SELECT value FROM json_each(?1))
-- scope: users.id=each(?1)`

const insertUser = `
INSERT INTO users (id, subject, org_id, org_role, claims_at, email, display_name, avatar_url, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updateClaims = `
UPDATE users
SET org_id = ?, org_role = ?, claims_at = ?, updated_at = ?
WHERE id = ?`

const updateUser = `
UPDATE users
SET display_name = ?, avatar_url = ?, updated_at = ?
WHERE id = ?`

func scanAccount(r db.Row) (Account, error) {
	var a Account
	var at int64
	err := r.Scan(&a.User, &a.Active, &a.Org, &a.OrgRole, &at)
	a.ClaimsAt = time.UnixMilli(at).UTC()
	return a, err
}

func scanUser(r db.Row) (User, error) {
	var u User
	var created, updated int64
	err := r.Scan(&u.ID, &u.Email, &u.DisplayName, &u.AvatarURL, &u.Org, &u.OrgRole, &created, &updated)
	u.CreatedAt, u.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return u, err
}

func scanCard(r db.Row) (Card, error) {
	var c Card
	err := r.Scan(&c.ID, &c.DisplayName, &c.AvatarURL)
	return c, err
}
