package users

import (
	"context"
	"errors"
	"sync"
	"time"

	"connvo/audit"
	"connvo/db"
)

const (
	// begunFor is how long it is remembered that a session has begun: longer than
	// the record is kept that tells of it.
	begunFor = 400 * 24 * time.Hour
	// maxBegunForgotten is how many rows the beginning of a session deletes at most,
	// whose time is over: more than the one it adds, so that they do not pile up.
	maxBegunForgotten = 20
	// maxBegun is how many sessions are remembered in memory: those of a busy
	// server, some 100 bytes each.
	maxBegun = 1 << 15
)

// begunSessions are sessions that are known to have begun. It is safe for
// concurrent use.
type begunSessions struct {
	mu    sync.Mutex // guards known
	known map[string]struct{}
}

func (b *begunSessions) has(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, found := b.known[session]
	return found
}

func (b *begunSessions) add(session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.known) >= maxBegun {
		clear(b.known) // what is in use is back after one read
	}
	b.known[session] = struct{}{}
}

// Begins records the entry of a session that is seen for the first time: its
// person has signed in. Of one session it records one, however often it is asked,
// and by whomever, for as long as the record is kept. It asks for no rights: the
// caller has been believed. A token that belongs to no session, "", cannot be told
// from another, and begins nothing.
func (s *Store) Begins(ctx context.Context, session string, entry func() audit.Entry) error {
	if session == "" || s.begun.has(session) {
		return nil
	}
	err := s.db.Read(ctx, func(tx db.Reader) error {
		_, err := db.One(tx, db.Int, selectBegun, session)
		return err
	})
	if errors.Is(err, db.ErrNone) {
		err = s.db.Write(ctx, func(tx *db.WriteTx) error {
			if first, err := Begun(tx, session); err != nil || !first {
				return err
			}
			return audit.Record(tx, entry())
		})
	}
	if err == nil {
		s.begun.add(session)
	}
	return err
}

// Begun notes that the session has begun, and reports whether that is new: the
// caller then records it. It joins the caller's transaction.
func Begun(tx *db.WriteTx, session string) (first bool, err error) {
	n, err := tx.Exec(insertBegun, session, tx.Now.UnixMilli())
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(deleteOldBegun, tx.Now.Add(-begunFor).UnixMilli(), maxBegunForgotten)
	return true, err
}

const selectBegun = `
SELECT 1
FROM begun_sessions
WHERE session = ?1
-- scope: begun_sessions.session=?1`

const insertBegun = `
INSERT INTO begun_sessions (session, begun_at)
VALUES (?, ?)
ON CONFLICT (session) DO NOTHING`

const deleteOldBegun = `
DELETE FROM begun_sessions
WHERE session IN (
  SELECT session
  FROM begun_sessions
  WHERE begun_at <= ?1
  ORDER BY begun_at
  LIMIT ?2
)`
