package ratelimit

import "connvo/db"

const selectBuckets = `
SELECT policy, who, full_at
FROM rate_limits
WHERE full_at > ?1
ORDER BY full_at DESC
LIMIT ?2`

// upsertBuckets takes a list of policy, who and instant.
const upsertBuckets = `
INSERT INTO rate_limits (policy, who, full_at)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM json_each(?1)
WHERE TRUE
ON CONFLICT (policy, who) DO UPDATE
SET full_at = excluded.full_at`

const deleteFull = `
DELETE FROM rate_limits
WHERE (policy, who) IN (
  SELECT policy, who
  FROM rate_limits
  WHERE full_at <= ?1
  ORDER BY full_at
  LIMIT ?2
)`

// row is a bucket in the database.
type row struct {
	policy, who string
	fullAt      int64 // Unix milliseconds
}

func scanRow(r db.Row) (b row, err error) {
	return b, r.Scan(&b.policy, &b.who, &b.fullAt)
}
