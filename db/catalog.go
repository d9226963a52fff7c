package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

// Dependency is what a statement's answer rests on: columns of a table, in all
// rows or in those whose key column holds one value.
type Dependency struct {
	Table   uint16
	Whole   bool // every row; Key is empty
	Decides bool // an access decision rests on it
	Key     Key
	Columns uint64
}

// dependencyKey is a Dependency without what merging adds up. What decides stays
// apart, or every change of the columns beside it would look like one of rights.
type dependencyKey struct {
	table   uint16
	whole   bool
	decides bool
	key     Key
}

// maxColumns leaves a bit for what rests on no column, such as count(*).
const (
	maxColumns = 63
	existence  = uint64(1) << maxColumns
)

type table struct {
	name    string
	columns []string
	types   []string // of the columns, as declared
	keys    []uint8  // columns of the primary key and of indexes
	keyed   int      // columns up to the last key
	pair    []uint8  // the columns of a primary key of two, in order; none of another
}

// catalog knows the tables and, for each statement that a live query runs, what
// it reads.
type catalog struct {
	seed      maphash.Seed
	tables    []table
	numbers   map[string]uint16
	unwatched []string
	indexes   map[string][][2]string // what the words of a full-text index are made of: tables and columns
	ignored   []string               // names behind which there is nothing, or what is reported by itself

	mu         sync.RWMutex // guards the rest
	statements map[string]*reads
	conn       *sql.Conn // its authorizer reports to columns
	columns    [][2]string
	ranks      bool // a statement asked for a rank
}

// reads is what one statement reads.
type reads struct {
	decides bool
	tables  []tableRead
}

type tableRead struct {
	table   uint16
	columns uint64
	scopes  []*scope // none: the whole table; two: the two columns of its primary key
}

const (
	selectTables  = `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\_litestream\_%' ESCAPE '\' ORDER BY name`
	selectColumns = `SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid`
	selectIndexed = `SELECT DISTINCT i.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE i.name IS NOT NULL`
)

// unwatchedComment is "-- unwatched: meta sequence" in the schema.
var unwatchedComment = regexp.MustCompile(`(?m)^-- unwatched:(.*)$`)

func unwatched(schema string) []string {
	var names []string
	for _, m := range unwatchedComment.FindAllStringSubmatch(schema, -1) {
		names = append(names, strings.Fields(m[1])...)
	}
	return names
}

func newCatalog(ctx context.Context, pool *sql.DB, unwatched []string) (*catalog, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &catalog{
		seed:       maphash.MakeSeed(),
		numbers:    map[string]uint16{},
		unwatched:  unwatched,
		indexes:    map[string][][2]string{},
		statements: map[string]*reads{},
		conn:       conn,
	}
	if err := c.readTables(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	err = conn.Raw(func(driverConn any) error {
		return driverConn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(
			func(action sqlite.AuthorizerActionCode, table, column, _, _ string) sqlite.AuthorizerReturnCode {
				switch action {
				case sqlite.AuthRead:
					c.columns = append(c.columns, [2]string{table, column})
				case sqlite.AuthFunction:
					c.ranks = c.ranks || column == "bm25"
				}
				return sqlite.AuthorizerOK
			})
	})
	if err == nil {
		err = c.readIndexes(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *catalog) close() error { return c.conn.Close() }

// readTables learns the columns and keys of every table that is watched.
func (c *catalog) readTables(ctx context.Context) error {
	names, err := textColumn(ctx, c.conn, selectTables)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(c.unwatched, name) {
			continue
		}
		t := table{name: name}
		indexed, err := textColumn(ctx, c.conn, selectIndexed, name)
		if err != nil {
			return err
		}
		rows, err := c.conn.QueryContext(ctx, selectColumns, name)
		if err != nil {
			return err
		}
		for rows.Next() {
			var column, declared string
			var pk int
			if err := rows.Scan(&column, &declared, &pk); err != nil {
				return errors.Join(err, rows.Close())
			}
			if pk > 0 {
				t.pair = append(t.pair, uint8(len(t.columns)))
			}
			if pk > 0 || slices.Contains(indexed, column) {
				t.keys = append(t.keys, uint8(len(t.columns)))
				t.keyed = len(t.columns) + 1
			}
			t.columns, t.types = append(t.columns, column), append(t.types, declared)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if len(t.pair) != 2 {
			t.pair = nil
		}
		if len(t.columns) > maxColumns {
			return fmt.Errorf("table %s has %d columns, more than %d", name, len(t.columns), maxColumns)
		}
		c.numbers[name] = uint16(len(c.tables))
		c.tables = append(c.tables, t)
	}
	return nil
}

func textColumn(ctx context.Context, conn *sql.Conn, query string, args ...any) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// describe returns what the statement reads; it is worked out once for each.
func (c *catalog) describe(query string) (*reads, error) {
	c.mu.RLock()
	r, found := c.statements[query]
	c.mu.RUnlock()
	if found {
		return r, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.prepare(query); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	r, err := c.interpret(query)
	if err != nil {
		return nil, err
	}
	c.statements[query] = r
	return r, nil
}

// prepare lets the authorizer report what the statement reads.
func (c *catalog) prepare(query string) error {
	c.columns, c.ranks = c.columns[:0], false
	s, err := c.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return err
	}
	return s.Close()
}

// interpret joins what the authorizer has reported with what the statement's
// comments declare.
func (c *catalog) interpret(query string) (*reads, error) {
	declared, decides, err := c.declarations(query)
	if err != nil {
		return nil, err
	}
	columns := map[uint16]uint64{}
	for _, read := range c.columns {
		if err := c.addColumn(columns, read[0], read[1]); err != nil {
			return nil, err
		}
	}
	if c.ranks {
		return nil, errors.New("a live query ranks by words, which rests on every row: order by a column")
	}
	r := &reads{decides: decides}
	for number, mask := range columns {
		r.tables = append(r.tables, tableRead{table: number, columns: mask, scopes: declared[number]})
	}
	for number := range declared {
		if _, used := columns[number]; !used {
			return nil, fmt.Errorf("a scope is declared for %s, which the statement does not read", c.tables[number].name)
		}
	}
	return r, nil
}

// addColumn adds what the authorizer has reported to the columns read of each
// table.
func (c *catalog) addColumn(columns map[uint16]uint64, name, column string) error {
	number, known := c.numbers[name]
	made, indexes := c.indexes[name]
	switch {
	case known && column == "":
		columns[number] |= existence
	case known:
		if i := slices.Index(c.tables[number].columns, column); i >= 0 {
			columns[number] |= 1 << i
		} else {
			columns[number] = allColumns // rowid
		}
	case indexes:
		c.ranks = c.ranks || column == "rank"
		for _, read := range made {
			if err := c.addColumn(columns, read[0], read[1]); err != nil {
				return err
			}
		}
	case slices.Contains(c.ignored, name):
	case slices.Contains(c.unwatched, name):
		return fmt.Errorf("a live query reads %s, whose changes are not published", name)
	default:
		return fmt.Errorf("a live query reads %s, which the catalogue does not know", name)
	}
	return nil
}

// record adds what the statement depends on to the snapshot.
func (s *Snapshot) record(query string, args []any) error {
	r, err := s.catalog.describe(query)
	if err != nil {
		return err
	}
	for _, t := range r.tables {
		d := Dependency{Table: t.table, Columns: t.columns, Decides: r.decides}
		keys, err := s.catalog.keysOf(t.scopes, args)
		if err != nil {
			return err
		}
		if d.Whole = len(t.scopes) == 0; d.Whole {
			s.add(d)
		}
		for _, d.Key = range keys {
			s.add(d)
		}
	}
	return nil
}

// add merges d with a dependency of its kind on the same rows.
func (s *Snapshot) add(d Dependency) {
	k := dependencyKey{table: d.Table, whole: d.Whole, decides: d.Decides, key: d.Key}
	if i, found := s.seen[k]; found {
		s.Deps[i].Columns |= d.Columns
		return
	}
	s.seen[k] = len(s.Deps)
	s.Deps = append(s.Deps, d)
}
