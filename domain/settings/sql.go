package settings

import (
	"connvo/db"
	"connvo/domain"
)

const selectSettings = `
SELECT visibility, sharing, tracking, email, push, sms
FROM settings
WHERE user_id = ?1
-- scope: settings.user_id=?1`

const upsertSettings = `
INSERT INTO settings (user_id, visibility, sharing, tracking, email, push, sms)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE
SET visibility = excluded.visibility, sharing = excluded.sharing, tracking = excluded.tracking,
  email = excluded.email, push = excluded.push, sms = excluded.sms`

const deleteSeen = `
DELETE FROM last_seen
WHERE user_id = ?`

const selectUntracked = `
SELECT user_id
FROM settings
WHERE user_id IN (SELECT value FROM json_each(?1)) AND tracking = 0
-- scope: settings.user_id=each(?1)`

const selectSharing = `
SELECT user_id
FROM settings
WHERE user_id IN (SELECT value FROM json_each(?1)) AND sharing = 1
-- scope: settings.user_id=each(?1)`

func scanSettings(r db.Row) (Settings, error) {
	var s Settings
	err := r.Scan(&s.Visibility, &s.Sharing, &s.Tracking, &s.Email, &s.Push, &s.SMS)
	return s, err
}

func scanUser(r db.Row) (domain.UserID, error) {
	var u domain.UserID
	err := r.Scan(&u)
	return u, err
}
