package blocks

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

const selectPair = `
SELECT 1
FROM blocks
WHERE user_id = ?1 AND other_id = ?2
-- scope: blocks.user_id=?1
-- scope: blocks.other_id=?2`

const selectHidden = `
SELECT 1
FROM blocks
WHERE user_id = ?1 AND other_id = ?2
-- scope: blocks.user_id=?1
-- scope: blocks.other_id=?2
-- decides`

const selectAmong = `
SELECT other_id
FROM blocks
WHERE user_id = ?1 AND other_id IN (SELECT value FROM json_each(?2))
-- scope: blocks.user_id=?1`

const selectMine = `
SELECT other_id, created_at
FROM blocks
WHERE user_id = ?1 AND other_id = ?2 AND mine = 1
-- scope: blocks.user_id=?1
-- scope: blocks.other_id=?2`

// selectOf begins below an instant and, of those at it, below an id.
const selectOf = `
SELECT other_id, created_at
FROM blocks
WHERE user_id = ?1 AND mine = 1 AND (created_at, other_id) < (?2, ?3)
ORDER BY created_at DESC, other_id DESC
LIMIT ?4
-- scope: blocks.user_id=?1`

const countOf = `
SELECT count(*)
FROM blocks
WHERE user_id = ?1 AND mine = 1
-- scope: blocks.user_id=?1`

const insertMine = `
INSERT INTO blocks (user_id, other_id, mine, created_at)
VALUES (?1, ?2, 1, ?3)
ON CONFLICT (user_id, other_id) DO UPDATE
SET mine = 1, created_at = excluded.created_at`

const insertTheirs = `
INSERT INTO blocks (user_id, other_id, mine, created_at)
VALUES (?1, ?2, 0, ?3)
ON CONFLICT (user_id, other_id) DO NOTHING`

const updateMine = `
UPDATE blocks
SET mine = 0
WHERE user_id = ?1 AND other_id = ?2 AND mine = 1`

const deleteRow = `
DELETE FROM blocks
WHERE user_id = ?1 AND other_id = ?2`

func scanUser(r db.Row) (domain.UserID, error) {
	var id domain.UserID
	err := r.Scan(&id)
	return id, err
}

func scanBlock(r db.Row) (Block, error) {
	var b Block
	var at int64
	err := r.Scan(&b.User, &at)
	b.CreatedAt = time.UnixMilli(at).UTC()
	return b, err
}
