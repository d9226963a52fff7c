package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// maxFindings bounds what Check reports of each kind.
const maxFindings = 100

const (
	selectSchema      = `SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND tbl_name NOT LIKE '\_litestream\_%' ESCAPE '\' ORDER BY type, name`
	selectForeignKeys = `SELECT 'foreign key: ' || "table" || ' row ' || coalesce(rowid, '?') || ' names no row of ' || parent FROM pragma_foreign_key_check LIMIT ?`
)

// Check reads the whole file at path, which no process may have open, and
// returns what is wrong with it: damage, broken references, and where its
// schema is not the one given. An error means that it could not be read.
func Check(ctx context.Context, path, schema string) (findings []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("database %s: there is no such file", path)
	}
	path, unlock, err := claim(path, slog.Default())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	pool, err := sql.Open("sqlite", dsn(Options{Path: path}))
	if err != nil {
		return nil, openError(path, err)
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, openError(path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	damage, err := textColumn(ctx, conn, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFindings))
	if err != nil {
		return nil, openError(path, err)
	}
	for _, d := range damage {
		if d != "ok" {
			findings = append(findings, "damage: "+d)
		}
	}
	orphans, err := textColumn(ctx, conn, selectForeignKeys, maxFindings)
	if err != nil {
		return nil, openError(path, err)
	}
	different, err := compareSchema(ctx, conn, schema)
	if err != nil {
		return nil, openError(path, err)
	}
	return append(append(findings, orphans...), different...), nil
}

// compareSchema returns where the schema of the file differs from what the text
// makes.
func compareSchema(ctx context.Context, conn *sql.Conn, schema string) ([]string, error) {
	memory, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		return nil, err
	}
	defer func() { _ = memory.Close() }()
	fresh, err := memory.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = fresh.Close() }()
	if _, err := fresh.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	want, err := textColumn(ctx, fresh, selectSchema)
	if err != nil {
		return nil, err
	}
	have, err := textColumn(ctx, conn, selectSchema)
	if err != nil {
		return nil, err
	}
	return append(missing(want, have, "the file lacks "), missing(have, want, "the file has ")...), nil
}

// missing returns what a has and b has not, each with the words before it.
func missing(a, b []string, words string) []string {
	known := map[string]bool{}
	for _, s := range b {
		known[s] = true
	}
	var all []string
	for _, s := range a {
		if !known[s] {
			all = append(all, words+s)
		}
	}
	return all
}
