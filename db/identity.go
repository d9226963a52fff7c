package db

import (
	"context"
	"errors"
	"strconv"
)

// restoreJump is by how much the sequence jumps ahead in a restored database, so
// that no number is used again that was given out after the state it holds.
const restoreJump = 1 << 32

const (
	nameDatabase   = `INSERT INTO meta (key, value) SELECT 'database', ? WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'database')`
	selectMeta     = `SELECT value FROM meta WHERE key = ?`
	upsertRestored = `INSERT INTO meta (key, value) VALUES ('restored', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
)

// Identity is what tells a database from others.
type Identity struct {
	ID       string // made with the file, and the same in all its copies
	Last     int64  // the last number of its sequence
	Restored uint64 // the newest transaction of the replica when the file was restored from it, 0 for none
}

// Identity returns what tells the database from others.
func (d *DB) Identity(ctx context.Context) (i Identity, err error) {
	err = d.Read(ctx, func(tx Reader) error {
		if i.ID, err = One(tx, scanText, selectMeta, "database"); err != nil {
			return err
		}
		if i.Last, err = One(tx, Int, selectSequence); err != nil {
			return err
		}
		restored, err := One(tx, scanText, selectMeta, "restored")
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err == nil {
			i.Restored, err = strconv.ParseUint(restored, 10, 64)
		}
		return err
	})
	return i, err
}

func scanText(r Row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// MarkRestored notes in a file that was restored from a replica up to which
// transaction the replica went, and lets the sequence jump ahead of newest, the last
// number that was ever given out, and of its own.
func (d *DB) MarkRestored(ctx context.Context, replica uint64, newest int64) error {
	return d.Write(ctx, func(tx *WriteTx) error {
		_, err := tx.Exec(upsertRestored, strconv.FormatUint(replica, 10))
		tx.w.sequence = max(tx.w.sequence, newest) + restoreJump
		return err
	})
}
