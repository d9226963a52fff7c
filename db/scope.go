package db

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// scope pins every row of a table that a statement reads to a value of one
// column: its argument, or each element of it, a JSON array.
type scope struct {
	column   uint8
	declared string // the column's type
	argument int
	each     bool
}

// pairKey is the Column of the Key of a primary key of two columns.
const pairKey uint8 = 255

var (
	// scopeComment is "-- scope: meetings.id=?1", or "…=each(?1)" where the
	// argument is a JSON array.
	scopeComment   = regexp.MustCompile(`(?m)^\s*-- scope: (\w+)\.(\w+)=(?:\?(\d)|each\(\?(\d)\))\s*$`)
	decidesComment = regexp.MustCompile(`(?m)^\s*-- decides\s*$`)
)

// declarations reads the scopes that the statement's comments declare, and
// whether it serves an access decision. Two scopes of one table hold together:
// they are the columns of its primary key.
func (c *catalog) declarations(query string) (scopes map[uint16][]*scope, decides bool, err error) {
	scopes = map[uint16][]*scope{}
	count := 0
	for _, m := range scopeComment.FindAllStringSubmatch(query, -1) {
		number, known := c.numbers[m[1]]
		if !known {
			return nil, false, fmt.Errorf("a scope names table %s, which is unknown or unwatched", m[1])
		}
		t := c.tables[number]
		column := slices.Index(t.columns, m[2])
		if column < 0 || !slices.Contains(t.keys, uint8(column)) {
			return nil, false, fmt.Errorf("a scope names %s.%s, which is no key column", m[1], m[2])
		}
		s := &scope{column: uint8(column), declared: t.types[column], each: m[4] != ""}
		s.argument, _ = strconv.Atoi(m[3] + m[4]) // one digit, by the pattern
		if first := scopes[number]; len(first) > 0 {
			if len(first) > 1 || first[0].each || s.each || !slices.Equal(t.pair, sorted(first[0].column, s.column)) {
				return nil, false, fmt.Errorf("two scopes for table %s that are not its primary key", m[1])
			}
		}
		scopes[number] = append(scopes[number], s)
		count++
	}
	if n := strings.Count(query, "-- scope:"); n != count {
		return nil, false, fmt.Errorf("%d scope comments, of which %d can be read", n, count)
	}
	return scopes, decidesComment.MatchString(query), nil
}

// keysOf returns the keys that the scopes pin a table to.
func (c *catalog) keysOf(scopes []*scope, args []any) ([]Key, error) {
	var pinned [2][]any
	for i, sc := range scopes {
		values, err := sc.values(args)
		if err != nil {
			return nil, err
		}
		pinned[i] = values
	}
	if len(scopes) == 2 {
		first, second := pinned[0][0], pinned[1][0]
		if scopes[0].column > scopes[1].column {
			first, second = second, first
		}
		return []Key{{Column: pairKey, Value: hashPair(c.seed, first, second)}}, nil
	}
	keys := make([]Key, len(pinned[0]))
	for i, v := range pinned[0] {
		keys[i] = Key{Column: scopes[0].column, Value: hashValue(c.seed, v)}
	}
	return keys, nil
}

func sorted(a, b uint8) []uint8 { return []uint8{min(a, b), max(a, b)} }

// values returns what the scope pins the column to, as SQLite stores it. An
// argument that SQLite would convert to compare it is refused: its hash would
// not be that of the value in the row.
func (sc *scope) values(args []any) ([]any, error) {
	if sc.argument < 1 || sc.argument > len(args) {
		return nil, fmt.Errorf("a scope names argument %d of %d", sc.argument, len(args))
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(args[sc.argument-1])
	if err != nil {
		return nil, fmt.Errorf("scope: %w", err)
	}
	if b, ok := v.(bool); ok { // the driver binds it as 0 or 1
		v = int64(0)
		if b {
			v = int64(1)
		}
	}
	if !sc.each {
		return []any{v}, sc.storable(v)
	}
	text, ok := v.(string)
	if !ok {
		return nil, errors.New("a scope of each element needs a JSON array")
	}
	var elements []string
	if err := json.Unmarshal([]byte(text), &elements); err != nil {
		return nil, fmt.Errorf("scope: %w", err)
	}
	values := make([]any, len(elements))
	for i, e := range elements {
		values[i] = e
	}
	if len(values) == 0 {
		return nil, nil
	}
	return values, sc.storable(values[0])
}

// storable reports whether the column holds v the way v is.
func (sc *scope) storable(v any) error {
	ok := v == nil // equals nothing, so that no change can matter
	switch v.(type) {
	case string:
		ok = sc.declared == "TEXT"
	case int64:
		ok = sc.declared == "INTEGER"
	case []byte:
		ok = sc.declared == "BLOB"
	}
	if !ok {
		return fmt.Errorf("a scope pins a column of %s to a %T", sc.declared, v)
	}
	return nil
}
