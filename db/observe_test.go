package db_test

import (
	"context"
	"testing"

	"connvo/db"
)

// dependencies returns what a statement depends on that is run once, live.
func dependencies(t *testing.T, d *db.DB, query string, args ...any) []db.Dependency {
	t.Helper()
	s, err := observe(t.Context(), d, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s.Deps
}

func observe(ctx context.Context, d *db.DB, query string, args ...any) (db.Snapshot, error) {
	return d.Observe(ctx, func(ctx context.Context, _ int64) error {
		return d.Read(ctx, func(tx db.Reader) error {
			_, err := db.All(tx, func(db.Row) (int, error) { return 0, nil }, query, args...)
			return err
		})
	})
}
