package db

import (
	"fmt"
	"hash/maphash"
	"slices"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// ChangeSet is what one commit changed.
type ChangeSet struct {
	Commit  int64 // the last number of the commit
	Changes []Change

	catalog *catalog
}

// Has reports whether a row of the table changed.
func (s ChangeSet) Has(table string) bool {
	for _, c := range s.Changes {
		if s.catalog.tables[c.Table].name == table {
			return true
		}
	}
	return false
}

// Change is one row inserted, updated or deleted.
type Change struct {
	Table   uint16 // a number of this DB, as in Dependency
	Columns uint64 // a bit for each column that changed; all for a row that came or went
	Keys    []Key  // the values of its key columns, before and after
}

// Key is a hash of what a key column holds. Two values may share a hash, which
// costs a re-run for nothing, never a missed one.
type Key struct {
	Column uint8
	Value  uint64
}

// allColumns is the Columns of a row that came or went.
const allColumns = ^uint64(0)

// installHooks lets the writer's connection report every row it changes.
func (w *writer) installHooks() error {
	return w.conn.raw.Raw(func(driverConn any) error {
		hooks, ok := driverConn.(sqlite.HookRegisterer)
		if !ok {
			return fmt.Errorf("the driver has no hooks")
		}
		hooks.RegisterPreUpdateHook(w.capture)
		hooks.RegisterRollbackHook(func() {
			if !w.ending {
				w.rolledBack = true
			}
		})
		return nil
	})
}

// capture notes one row that is about to change. It runs inside the statement,
// which it cannot fail: a closure whose change cannot be told fails when it has
// run.
func (w *writer) capture(row sqlite.SQLitePreUpdateData) {
	w.touched++
	if err := w.note(row); err != nil && w.uncaptured == nil {
		w.uncaptured = fmt.Errorf("capture a change of %s: %w", row.TableName, err)
	}
}

func (w *writer) note(row sqlite.SQLitePreUpdateData) error {
	number, found := w.db.catalog.numbers[row.TableName]
	if !found {
		return nil // a shadow table of an extension, or one that is unwatched
	}
	t := &w.db.catalog.tables[number]
	if n := row.Count(); n != len(t.columns) {
		return fmt.Errorf("it has %d columns, not %d", n, len(t.columns))
	}
	c := Change{Table: number, Columns: allColumns, Keys: make([]Key, 0, 2*len(t.keys)+2)}
	switch row.Op {
	case sqlitelib.SQLITE_INSERT:
		after := make([]any, t.keyed)
		if err := row.New(after...); err != nil {
			return err
		}
		c.addKeys(w.db.catalog.seed, t, after)
	case sqlitelib.SQLITE_DELETE:
		before := make([]any, t.keyed)
		if err := row.Old(before...); err != nil {
			return err
		}
		c.addKeys(w.db.catalog.seed, t, before)
	default:
		before, after := make([]any, len(t.columns)), make([]any, len(t.columns))
		if err := row.Old(before...); err != nil {
			return err
		}
		if err := row.New(after...); err != nil {
			return err
		}
		c.Columns = differing(before, after)
		if c.Columns == 0 {
			return nil
		}
		c.addKeys(w.db.catalog.seed, t, before)
		c.addKeys(w.db.catalog.seed, t, after)
	}
	w.changes = append(w.changes, c)
	return nil
}

// addKeys adds the values of t's key columns, and of a primary key of two, each
// once.
func (c *Change) addKeys(seed maphash.Seed, t *table, values []any) {
	for _, column := range t.keys {
		c.addKey(Key{Column: column, Value: hashValue(seed, values[column])})
	}
	if t.pair != nil {
		c.addKey(Key{Column: pairKey, Value: hashPair(seed, values[t.pair[0]], values[t.pair[1]])})
	}
}

func (c *Change) addKey(k Key) {
	if !slices.Contains(c.Keys, k) {
		c.Keys = append(c.Keys, k)
	}
}

// differing returns a bit for each column whose value changes.
func differing(before, after []any) uint64 {
	var columns uint64
	for i := range before {
		if !sameValue(before[i], after[i]) {
			columns |= 1 << i
		}
	}
	return columns
}

func sameValue(a, b any) bool {
	x, isBlob := a.([]byte)
	if !isBlob {
		if _, other := b.([]byte); other {
			return false
		}
		return a == b
	}
	y, isBlob := b.([]byte)
	return isBlob && string(x) == string(y)
}

// hashValue hashes a value as SQLite stores it: integer, float, text, blob, or
// null.
func hashValue(seed maphash.Seed, v any) uint64 {
	switch v := v.(type) {
	case string:
		return maphash.String(seed, v)
	case []byte:
		return maphash.Bytes(seed, v)
	default:
		return maphash.Comparable(seed, v)
	}
}

// hashPair hashes two values as one.
func hashPair(seed maphash.Seed, a, b any) uint64 {
	return maphash.Comparable(seed, [2]uint64{hashValue(seed, a), hashValue(seed, b)})
}
