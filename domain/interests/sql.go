package interests

import "connvo/db"

// selectCounts reads a row for each interest of the catalogue.
// whole table: it has a row for each interest of the catalogue, about a hundred.
const selectCounts = `
SELECT interest, people
FROM interest_counts
LIMIT 1000`

const selectMine = `
SELECT interest
FROM user_interests
WHERE user_id = ?1
ORDER BY interest
LIMIT ?2
-- scope: user_interests.user_id=?1`

const deleteOthers = `
DELETE FROM user_interests
WHERE user_id = ?1 AND interest NOT IN (SELECT value FROM json_each(?2))`

const insertMissing = `
INSERT INTO user_interests (user_id, interest)
SELECT ?1, value
FROM json_each(?2)
WHERE TRUE
ON CONFLICT DO NOTHING`

// count is a row of interest_counts.
type count struct {
	key    string
	people int64
}

func scanCount(r db.Row) (c count, err error) {
	return c, r.Scan(&c.key, &c.people)
}

func scanKey(r db.Row) (key string, err error) {
	return key, r.Scan(&key)
}
