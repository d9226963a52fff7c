package users

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

const selectActive = `
SELECT active
FROM users
WHERE id = ?1
-- scope: users.id=?1
-- decides`

const selectAccount = `
SELECT u.id, u.active, u.org_id, u.org_role, u.claims_at, e.session IS NOT NULL
FROM users AS u
LEFT JOIN ended_sessions AS e ON e.session = ?2
WHERE u.subject = ?1`

const selectStanding = `
SELECT u.active, e.session IS NOT NULL
FROM users AS u
LEFT JOIN ended_sessions AS e ON e.session = ?2
WHERE u.id = ?1
-- scope: users.id=?1
-- scope: ended_sessions.session=?2
-- decides`

const selectUser = `
SELECT id, email, display_name, avatar_url, org_id, org_role, created_at, updated_at, (
  SELECT completed_at
  FROM onboardings
  WHERE user_id = ?1
)
FROM users
WHERE id = ?1
-- scope: users.id=?1
-- scope: onboardings.user_id=?1`

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

const selectActiveCards = `
SELECT id, display_name, avatar_url
FROM users
WHERE id IN (SELECT value FROM json_each(?1)) AND active = 1
-- scope: users.id=each(?1)`

const insertUser = `
INSERT INTO users (id, subject, org_id, org_role, claims_at, email, display_name, name_key, avatar_url, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const selectByAddress = `
SELECT id
FROM users
WHERE address = ?1 AND active = 1 AND (id = ?2 OR (org_id <> '' AND org_id = (SELECT org_id FROM users WHERE id = ?2)))
ORDER BY id
LIMIT 1`

const countHolder = `
SELECT count(*)
FROM users
WHERE id = ?1 AND address = ?2 AND active = 1
-- scope: users.id=?1`

const updateAddress = `
UPDATE users
SET address = ?1
WHERE id = ?2 AND address <> ?1`

const updateClaims = `
UPDATE users
SET org_id = ?, org_role = ?, claims_at = ?, updated_at = ?
WHERE id = ?`

// updateClaimsAt notes that a source has told nothing new.
const updateClaimsAt = `
UPDATE users
SET claims_at = max(claims_at, ?)
WHERE id = ?`

const updateUser = `
UPDATE users
SET display_name = ?, name_key = ?, avatar_url = ?, updated_at = ?
WHERE id = ?`

const insertEnded = `
INSERT INTO ended_sessions (session, forget_at, ended_at)
VALUES (?, ?, ?)
ON CONFLICT (session) DO NOTHING`

const selectEnded = `
SELECT 1
FROM ended_sessions
WHERE session = ?1
-- scope: ended_sessions.session=?1`

// insertEndedNames ends the other name of a browser's session too.
const insertEndedNames = `
INSERT INTO ended_sessions (session, forget_at, ended_at)
SELECT name, ?2, ?3 FROM sessions WHERE current = ?1
UNION
SELECT current, ?2, ?3 FROM sessions WHERE name = ?1
ON CONFLICT (session) DO NOTHING`

const selectSession = `
SELECT s.id, s.user_id, s.name, s.current, s.renewed_at, s.token_ends_at, s.ends_at, s.impersonator, s.sealed,
  u.subject, u.active, u.org_id, u.org_role, u.claims_at
FROM sessions AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.id = ?1`

const insertSession = `
INSERT INTO sessions (id, user_id, name, current, created_at, renewed_at, token_ends_at, ends_at, impersonator, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updateSession = `
UPDATE sessions
SET current = ?, renewed_at = ?, token_ends_at = ?, sealed = ?
WHERE id = ?`

const deleteSession = `
DELETE FROM sessions
WHERE name = ?1 OR current = ?1`

const deleteExpired = `
DELETE FROM sessions
WHERE id IN (
  SELECT id
  FROM sessions
  WHERE ends_at <= ?1
  ORDER BY ends_at
  LIMIT ?2
)`

const deleteOldest = `
DELETE FROM sessions
WHERE id IN (
  SELECT id
  FROM sessions
  WHERE user_id = ?1
  ORDER BY renewed_at DESC
  LIMIT -1 OFFSET ?2
)`

const deleteForgotten = `
DELETE FROM ended_sessions
WHERE session IN (
  SELECT session
  FROM ended_sessions
  WHERE forget_at <= ?1
  ORDER BY forget_at
  LIMIT ?2
)`

// upsertSeen takes an object of instants by user. Who is no user, or not any
// more, and who does not want it, is left out.
const upsertSeen = `
INSERT INTO last_seen (user_id, seen_at)
SELECT u.id, s.value
FROM json_each(?1) AS s
JOIN users AS u ON u.id = s.key
LEFT JOIN settings AS w ON w.user_id = u.id
WHERE coalesce(w.tracking, 1) = 1 AND u.active = 1
ON CONFLICT (user_id) DO UPDATE
SET seen_at = excluded.seen_at
WHERE excluded.seen_at >= last_seen.seen_at + ?2`

// selectAwaited takes an object whose keys are users. Who is invited by somebody whom
// a block keeps from them is not awaited.
const selectAwaited = `
SELECT u.id, u.address
FROM json_each(?1) AS s
JOIN users AS u ON u.id = s.key
WHERE u.active = 1 AND u.address <> '' AND EXISTS (
  SELECT 1
  FROM invitations AS i
  WHERE i.email = u.address AND NOT EXISTS (
    SELECT 1
    FROM blocks AS b
    WHERE b.user_id = u.id AND b.other_id = i.invited_by
  )
)
LIMIT ?2`

// awaited is somebody who is invited by their address.
type awaited struct {
	user    domain.UserID
	address string
}

func scanAwaited(r db.Row) (a awaited, err error) {
	return a, r.Scan(&a.user, &a.address)
}

func scanAccount(r db.Row) (Account, error) {
	var a Account
	var at int64
	err := r.Scan(&a.User, &a.Active, &a.Org, &a.OrgRole, &at, &a.Ended)
	a.ClaimsAt = time.UnixMilli(at).UTC()
	return a, err
}

func scanSession(r db.Row) (Session, error) {
	var s Session
	var renewed, token, ends, at int64
	err := r.Scan(&s.ID, &s.User, &s.Name, &s.Current, &renewed, &token, &ends, &s.Impersonator, &s.Sealed,
		&s.Subject, &s.Account.Active, &s.Account.Org, &s.Account.OrgRole, &at)
	s.RenewedAt, s.TokenEnds, s.Ends = time.UnixMilli(renewed).UTC(), time.UnixMilli(token).UTC(), time.UnixMilli(ends).UTC()
	s.Account.User, s.Account.ClaimsAt = s.User, time.UnixMilli(at).UTC()
	return s, err
}

func scanStanding(r db.Row) (standing, error) {
	var s standing
	err := r.Scan(&s.active, &s.ended)
	return s, err
}

func scanUser(r db.Row) (User, error) {
	var u User
	var created, updated int64
	var onboarded *int64
	err := r.Scan(&u.ID, &u.Email, &u.DisplayName, &u.AvatarURL, &u.Org, &u.OrgRole, &created, &updated, &onboarded)
	u.CreatedAt, u.UpdatedAt, u.OnboardedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC(), db.Instant(onboarded)
	return u, err
}

func scanCard(r db.Row) (Card, error) {
	var c Card
	err := r.Scan(&c.ID, &c.DisplayName, &c.AvatarURL)
	return c, err
}
