package db

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
)

// restoreJump is by how much the sequence jumps ahead in a restored database, so
// that no number is used again that was given out after the state it holds.
const restoreJump = 1 << 32

const (
	nameDatabase   = `INSERT INTO meta (key, value) SELECT 'database', ? WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'database')`
	selectMeta     = `SELECT value FROM meta WHERE key = ?`
	insertGap      = `INSERT INTO meta (key, value) VALUES ('skipped up to ' || ?, ?)`
	selectGaps     = `SELECT CAST(value AS INTEGER), CAST(substr(key, 15) AS INTEGER) FROM meta WHERE key > 'skipped up to ' AND key < 'skipped up to a'`
	upsertRestored = `INSERT INTO meta (key, value) VALUES ('restored', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
)

// Identity is what tells a database from others.
type Identity struct {
	ID       string // made with the file, and the same in all its copies
	Last     int64  // the last number of its sequence
	Restored string // where the replica was when the file was restored from it, "" for nowhere
	Before   int64  // the last number that had been given out by then
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
		i.Restored, err = One(tx, scanText, selectMeta, "restored")
		if errors.Is(err, ErrNone) {
			return nil
		}
		return err
	})
	for _, g := range *d.gaps.Load() {
		i.Before = max(i.Before, g.to-restoreJump)
	}
	return i, err
}

func scanText(r Row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// MarkRestored notes in a file that was restored from a replica up to where the
// replica went, and lets the sequence jump ahead of newest, the last
// number that was ever given out, and of its own.
func (d *DB) MarkRestored(ctx context.Context, replica string, newest int64) error {
	var skipped gap
	err := d.Write(ctx, func(tx *WriteTx) error {
		skipped = gap{after: tx.w.sequence, to: max(tx.w.sequence, newest) + restoreJump}
		if _, err := tx.Exec(upsertRestored, replica); err != nil {
			return err
		}
		if _, err := tx.Exec(insertGap, skipped.to, strconv.FormatInt(skipped.after, 10)); err != nil {
			return err
		}
		tx.w.sequence = skipped.to
		return nil
	})
	if err == nil {
		all := append(slices.Clone(*d.gaps.Load()), skipped)
		d.gaps.Store(&all)
	}
	return err
}

// gap is numbers that were never given out in this database: those above after, up
// to the other.
type gap struct{ after, to int64 }

// Known reports whether a number may have been given out in this database. Those that
// a restore has skipped may have been in what it has left behind: whoever knows one of
// them holds what this database does not.
func (d *DB) Known(n int64) bool {
	for _, g := range *d.gaps.Load() {
		if n > g.after && n <= g.to {
			return false
		}
	}
	return n <= d.Committed()
}

func readGaps(ctx context.Context, conn *sql.Conn) (all []gap, err error) {
	rows, err := conn.QueryContext(ctx, selectGaps)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var g gap
		if err := rows.Scan(&g.after, &g.to); err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, rows.Err()
}
