package notes

import (
	"time"

	"connvo/db"
	"connvo/domain"
)

const selectHead = `
SELECT version, floor, locked, edits_since, bytes_since, units, updated_at, updated_by
FROM notes
WHERE meeting_id = ?1
-- scope: notes.meeting_id=?1`

const selectFloor = `
SELECT floor
FROM notes
WHERE meeting_id = ?1
-- scope: notes.meeting_id=?1`

const upsertHead = `
INSERT INTO notes (meeting_id, version, floor, locked, edits_since, bytes_since, units, updated_at, updated_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id) DO UPDATE
SET version = excluded.version, floor = excluded.floor, locked = excluded.locked,
  edits_since = excluded.edits_since, bytes_since = excluded.bytes_since, units = excluded.units,
  updated_at = excluded.updated_at, updated_by = excluded.updated_by`

const insertOps = `
INSERT INTO note_ops (meeting_id, version, client_id, client_seq, user_id, created_at, ops)
VALUES (?, ?, ?, ?, ?, ?, ?)`

const selectOpsAfter = `
SELECT version, client_id, client_seq, ops
FROM note_ops
WHERE meeting_id = ?1 AND version > ?2
ORDER BY version
LIMIT ?3
-- scope: note_ops.meeting_id=?1`

const selectVersion = `
SELECT version
FROM note_ops
WHERE meeting_id = ?1 AND version = ?2
-- scope: note_ops.meeting_id=?1`

// selectAnswers is bounded by the number of edits in a request.
const selectAnswers = `
SELECT version, client_id, client_seq, ops
FROM note_ops
WHERE meeting_id = ?1 AND client_id = ?2 AND client_id <> '' AND client_seq BETWEEN ?3 AND ?4
ORDER BY client_seq
-- scope: note_ops.meeting_id=?1`

const selectLoggedAfter = `
SELECT version, client_id, client_seq, user_id, created_at, ops
FROM note_ops
WHERE meeting_id = ?1 AND version > ?2
ORDER BY version
LIMIT ?3
-- scope: note_ops.meeting_id=?1`

const selectLoggedBefore = `
SELECT version, client_id, client_seq, user_id, created_at, ops
FROM note_ops
WHERE meeting_id = ?1 AND version < ?2
ORDER BY version DESC
LIMIT ?3
-- scope: note_ops.meeting_id=?1`

// selectLoggedBetween is bounded by what is between two snapshots.
const selectLoggedBetween = `
SELECT version, client_id, client_seq, user_id, created_at, ops
FROM note_ops
WHERE meeting_id = ?1 AND version > ?2 AND version <= ?3
ORDER BY version
-- scope: note_ops.meeting_id=?1`

const countOps = `
SELECT count(*), coalesce(sum(client_id <> ''), 0), coalesce(max(version), 0)
FROM (
  SELECT version, client_id
  FROM note_ops
  WHERE meeting_id = ?1 AND version > ?2 AND version <= ?3
  ORDER BY version
  LIMIT ?4
)
-- scope: note_ops.meeting_id=?1`

const deleteOps = `
DELETE FROM note_ops
WHERE meeting_id = ?1 AND version IN (
  SELECT version
  FROM note_ops
  WHERE meeting_id = ?1 AND version <= ?2
  ORDER BY version
  LIMIT ?3
)`

const deleteOpsOf = `
DELETE FROM note_ops
WHERE meeting_id = ?1 AND version IN (
  SELECT version
  FROM note_ops
  WHERE meeting_id = ?1
  ORDER BY version
  LIMIT ?2
)`

const deleteSnapshots = `
DELETE FROM note_snapshots
WHERE meeting_id = ?1 AND version IN (
  SELECT version
  FROM note_snapshots
  WHERE meeting_id = ?1
  ORDER BY version
  LIMIT ?2
)`

const deleteClients = `
DELETE FROM note_clients
WHERE client_id IN (
  SELECT client_id
  FROM note_clients
  WHERE meeting_id = ?1
  LIMIT ?2
)`

const deleteHead = `
DELETE FROM notes
WHERE meeting_id = ?1`

const selectEndedAt = `
SELECT ended_at
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const insertSnapshot = `
INSERT INTO note_snapshots (meeting_id, version, created_at, user_id, content)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, version) DO NOTHING`

const selectSnapshot = `
SELECT version, created_at, user_id, content
FROM note_snapshots
WHERE meeting_id = ?1 AND version <= ?2
ORDER BY version DESC
LIMIT 1
-- scope: note_snapshots.meeting_id=?1`

// selectSnapshotUntil steps back over the snapshots that are younger.
const selectSnapshotUntil = `
SELECT version
FROM note_snapshots
WHERE meeting_id = ?1 AND created_at <= ?2
ORDER BY version DESC
LIMIT 1
-- scope: note_snapshots.meeting_id=?1`

const selectClient = `
SELECT client_id, meeting_id, user_id, seq, base, known
FROM note_clients
WHERE client_id = ?1
-- scope: note_clients.client_id=?1`

const upsertClient = `
INSERT INTO note_clients (client_id, meeting_id, user_id, seq, base, known)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (client_id) DO UPDATE
SET seq = excluded.seq, base = excluded.base, known = excluded.known`

func scanHead(r db.Row) (head, error) {
	var h head
	var updated *int64
	err := r.Scan(&h.version, &h.floor, &h.locked, &h.edits, &h.bytes, &h.units, &updated, &h.by)
	h.at = db.Instant(updated)
	return h, err
}

// scanOps scans a revision and returns how many bytes it has.
func scanOps(r db.Row) (Revision, int, error) {
	var v Revision
	var ops []byte
	if err := r.Scan(&v.Version, &v.Client, &v.Seq, &ops); err != nil {
		return v, 0, err
	}
	return v, len(ops), v.Delta.UnmarshalJSON(ops)
}

func scanRevision(r db.Row) (Revision, error) {
	v, _, err := scanOps(r)
	return v, err
}

func scanLogged(r db.Row) (Logged, error) {
	var l Logged
	var at int64
	var ops []byte
	if err := r.Scan(&l.Version, &l.Client, &l.Seq, &l.User, &at, &ops); err != nil {
		return l, err
	}
	l.CreatedAt = time.UnixMilli(at).UTC()
	return l, l.Delta.UnmarshalJSON(ops)
}

func scanNote(r db.Row) (Note, error) {
	var n Note
	var at int64
	err := r.Scan(&n.Version, &at, &n.UpdatedBy, &n.Content)
	n.UpdatedAt = time.UnixMilli(at).UTC()
	return n, err
}

// owned is a client and whose it is.
type owned struct {
	Client
	meeting domain.MeetingID
	user    domain.UserID
}

func scanClient(r db.Row) (owned, error) {
	var o owned
	var known []byte
	if err := r.Scan(&o.ID, &o.meeting, &o.user, &o.Seq, &o.Base, &known); err != nil {
		return o, err
	}
	var err error
	o.Known, err = decode(known)
	return o, err
}

type count struct{ seen, edits, last int64 }

func scanCount(r db.Row) (c count, err error) {
	err = r.Scan(&c.seen, &c.edits, &c.last)
	return c, err
}
