package audit

import (
	"time"

	"connvo/db"
)

const insertLine = `
INSERT INTO audit (position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const selectLinesAfter = `
SELECT position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail
FROM audit
WHERE org_id = ?1 AND position > ?8 AND position <= ?7
  AND (?2 = '' OR actor_id = ?2) AND (?3 = '' OR action = ?3) AND at >= ?4 AND at < ?5 AND (?6 = '' OR outcome = ?6)
ORDER BY position
LIMIT ?9
-- scope: audit.org_id=?1`

const selectLinesBefore = `
SELECT position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail
FROM audit
WHERE org_id = ?1 AND position < ?8 AND position >= ?7
  AND (?2 = '' OR actor_id = ?2) AND (?3 = '' OR action = ?3) AND at >= ?4 AND at < ?5 AND (?6 = '' OR outcome = ?6)
ORDER BY position DESC
LIMIT ?9
-- scope: audit.org_id=?1`

const selectTouchesAfter = `
SELECT position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail
FROM audit
WHERE org_id = ?1 AND resource = ?8 AND position > ?9 AND position <= ?7
  AND (?2 = '' OR actor_id = ?2) AND (?3 = '' OR action = ?3) AND at >= ?4 AND at < ?5 AND (?6 = '' OR outcome = ?6)
ORDER BY position
LIMIT ?10
-- scope: audit.org_id=?1`

const selectTouchesBefore = `
SELECT position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail
FROM audit
WHERE org_id = ?1 AND resource = ?8 AND position < ?9 AND position >= ?7
  AND (?2 = '' OR actor_id = ?2) AND (?3 = '' OR action = ?3) AND at >= ?4 AND at < ?5 AND (?6 = '' OR outcome = ?6)
ORDER BY position DESC
LIMIT ?10
-- scope: audit.org_id=?1`

const selectWindowAfter = `
SELECT position
FROM audit
WHERE org_id = ?1 AND position > ?2
ORDER BY position
LIMIT 1 OFFSET ?3
-- scope: audit.org_id=?1`

const selectWindowBefore = `
SELECT position
FROM audit
WHERE org_id = ?1 AND position < ?2
ORDER BY position DESC
LIMIT 1 OFFSET ?3
-- scope: audit.org_id=?1`

const selectTouchWindowAfter = `
SELECT position
FROM audit
WHERE org_id = ?1 AND resource = ?4 AND position > ?2
ORDER BY position
LIMIT 1 OFFSET ?3
-- scope: audit.org_id=?1`

const selectTouchWindowBefore = `
SELECT position
FROM audit
WHERE org_id = ?1 AND resource = ?4 AND position < ?2
ORDER BY position DESC
LIMIT 1 OFFSET ?3
-- scope: audit.org_id=?1`

// selectOldest is the instant of the first row.
// whole table: it ends at the first row that it reads.
const selectOldest = `
SELECT at
FROM audit
ORDER BY position
LIMIT 1`

// deleteOldest looks at the first rows only: instants ascend with positions, to
// within a second.
// whole table: the limit ends it.
const deleteOldest = `
DELETE FROM audit
WHERE at <= ?1 AND position IN (
  SELECT position
  FROM audit
  ORDER BY position
  LIMIT ?2
)`

func scanLine(r db.Row) (Line, error) {
	var l Line
	var at int64
	err := r.Scan(&l.Position, &l.Org, &l.Actor, &l.Action, &at, &l.Resource,
		&l.Outcome, &l.Session, &l.Request, &l.Address, &l.Agent, &l.Detail)
	l.At = time.UnixMilli(at).UTC()
	return l, err
}
