package db

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"connvo/domain"
)

// ErrDuplicate is in the chain of the error of a statement that would have
// stored a second row with a key that must be unique.
var ErrDuplicate = errors.New("a row with this key exists")

// failure gives a driver's error the kind that callers decide by: what passes
// by itself is Unavailable, a duplicate key is ErrDuplicate, the rest is a
// defect and stays internal.
func failure(err error) error {
	e, found := errors.AsType[*sqlite.Error](err)
	if !found {
		return err
	}
	switch e.Code() {
	case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY, sqlitelib.SQLITE_CONSTRAINT_ROWID:
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL:
		return domain.Because(domain.Unavailable, err, "the disk is full")
	case sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_NOMEM, sqlitelib.SQLITE_INTERRUPT,
		sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_CANTOPEN:
		return domain.Because(domain.Unavailable, err, "the database cannot answer now")
	}
	return err
}
