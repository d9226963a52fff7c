package db

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// A full-text index is a copy of columns of other rows, kept by triggers. What a
// statement finds in it depends on those columns, which the authorizer does not
// report, so the catalogue has them stand for it.

const (
	selectVirtual = `SELECT name || ' ' || sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name`
	selectNames   = `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = ? ORDER BY name`
)

// indexOver is a full-text index over another table, or a view of one.
var indexOver = regexp.MustCompile(`(?is)^(\w+) CREATE VIRTUAL TABLE \w+ USING fts5\b.*\bcontent\s*=\s*'(\w+)'`)

// virtualTables are table-valued functions: they hold nothing of ours.
var virtualTables = []string{"json_each", "json_tree"}

// readIndexes learns what each full-text index is made of. What an index keeps
// for itself is none of a statement's business: it names the index.
func (c *catalog) readIndexes(ctx context.Context) error {
	shadows, err := textColumn(ctx, c.conn, selectNames, "shadow")
	if err != nil {
		return err
	}
	c.ignored = append(shadows, virtualTables...)
	views, err := textColumn(ctx, c.conn, selectNames, "view")
	if err != nil {
		return err
	}
	virtual, err := textColumn(ctx, c.conn, selectVirtual)
	if err != nil {
		return err
	}
	for _, v := range virtual {
		m := indexOver.FindStringSubmatch(v)
		if m == nil {
			continue // a statement that reads it is refused
		}
		if err := c.prepare(fmt.Sprintf("EXPLAIN SELECT * FROM %q", m[2])); err != nil {
			return fmt.Errorf("the index %s: %w", m[1], err)
		}
		// What stands behind a view is reported together with it.
		c.indexes[m[1]] = slices.DeleteFunc(slices.Clone(c.columns), func(read [2]string) bool { return slices.Contains(views, read[0]) })
	}
	return nil
}
