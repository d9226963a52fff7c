package idempotency

import "connvo/db"

// selectKept looks in two days, since an answer lives for the length of one. At
// most one row is young enough: no other is stored while that is found.
const selectKept = `
SELECT request, status, header, body
FROM idempotency
WHERE day IN (?1, ?1 - 1) AND key = ?2 AND created_at > ?3
LIMIT 1`

const selectAny = `
SELECT 1
FROM idempotency
WHERE day = ?1
LIMIT 1`

const insertKept = `
INSERT INTO idempotency (day, key, request, created_at, status, header, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`

// deletePortion takes the first rows of the day until their bodies come to the
// given size, and one at least.
const deletePortion = `
DELETE FROM idempotency
WHERE day = ?1 AND key IN (
  SELECT key
  FROM (
    SELECT key, sum(size) OVER (ORDER BY key) - size AS before
    FROM (
      SELECT key, length(body) AS size
      FROM idempotency
      WHERE day = ?1
      ORDER BY key
      LIMIT ?2
    )
  )
  WHERE before < ?3
)`

const selectNextDay = `
SELECT day
FROM idempotency
WHERE day > ?1
ORDER BY day
LIMIT 1`

// deleteOf is deletePortion within a range of keys.
const deleteOf = `
DELETE FROM idempotency
WHERE day = ?1 AND key IN (
  SELECT key
  FROM (
    SELECT key, sum(size) OVER (ORDER BY key) - size AS before
    FROM (
      SELECT key, length(body) AS size
      FROM idempotency
      WHERE day = ?1 AND key BETWEEN ?4 AND ?5
      ORDER BY key
      LIMIT ?2
    )
  )
  WHERE before < ?3
)`

func scanKept(r db.Row) (kept, error) {
	var k kept
	err := r.Scan(&k.request, &k.answer.Status, &k.header, &k.answer.Body)
	return k, err
}
