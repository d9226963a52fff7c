package main

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

// A full-text index copies the texts of another table, and stands for that table:
// what is found in it depends on the rows there, in or out of a scope.

var (
	indexLine = regexp.MustCompile(`(?s)CREATE VIRTUAL TABLE (\w+) USING fts5 \([^;]*\bcontent = '(\w+)', content_rowid = '(\w+)'`)
	viewLine  = regexp.MustCompile(`CREATE VIEW (\w+) AS SELECT [^;]* FROM (\w+);`)
)

// original is the table that an index copies, and the key by which it is found.
type original struct{ table, key string }

// fullText returns the full-text indexes of the schema.
func fullText(t *testing.T, schema string) map[string]original {
	t.Helper()
	views := map[string]string{}
	for _, m := range viewLine.FindAllStringSubmatch(schema, -1) {
		views[m[1]] = m[2]
	}
	all := map[string]original{}
	for _, m := range indexLine.FindAllStringSubmatch(schema, -1) {
		o := original{table: m[2], key: m[3]}
		if table, found := views[m[2]]; found {
			o.table = table
		}
		all[m[1]] = o
	}
	if n := len(regexp.MustCompile(`(?i)CREATE VIRTUAL TABLE`).FindAllString(schema, -1)); n != len(all) {
		t.Errorf("schema.sql has %d virtual tables, of which %d are indexes over a table: mend indexLine of house_index_test.go", n, len(all))
	}
	return all
}

// scoped returns the tables that a statement needs a scope for: those whose
// changes are published, without the indexes that stand for them.
func scoped(t *testing.T, d *db.DB) map[string]bool {
	t.Helper()
	tables := watched(t, d)
	for name := range fullText(t, dbtest.Schema(t)) {
		delete(tables, name)
	}
	return tables
}

func TestHouseLookupsCanFail(t *testing.T) {
	indexes := map[string]original{"message_words": fullText(t, dbtest.Schema(t))["message_words"]}
	const from = "SELECT m.seq FROM message_words w JOIN messages m "
	const loose = "looks into message_words without its messages"
	for _, c := range []struct{ query, complaint string }{
		{from + "ON m.seq = w.rowid WHERE w.message_words MATCH ?2 AND m.meeting_id = ?1", ""},
		{from + "ON m.meeting_id = ?1 WHERE w.message_words MATCH ?2 AND w.rowid = m.seq", ""},
		{from + "ON m.meeting_id = ?1 WHERE w.message_words MATCH ?2", loose},
		{from + "ON m.seq = w.rowid OR 1 WHERE m.meeting_id = ?1", loose},
		{"SELECT m.seq FROM message_words w LEFT JOIN messages m ON m.seq = w.rowid WHERE w.message_words MATCH ?1", loose},
		{"SELECT count(*) FROM message_words WHERE message_words MATCH ?1", loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 AND seq IN (SELECT rowid FROM message_words WHERE message_words MATCH ?2)", loose},
	} {
		all, _ := statements([]source{declared(t, c.query)})
		expect(t, lookupComplaints(all, indexes), c.complaint)
	}
	expect(t, lookupComplaints(nil, indexes), "no statement looks into message_words")
}

// lookupComplaints tells of statements that find words in rows beyond those that
// a scope of the index's table could pin.
func lookupComplaints(all []statement, indexes map[string]original) []string {
	var complaints []string
	used := map[string]bool{}
	for _, s := range all {
		for _, q := range s.queries {
			for _, o := range q.from {
				of, found := indexes[o.table]
				used[o.table] = true
				if s.selects() && found && !joined(q, o, of) {
					complaints = append(complaints, fmt.Sprintf("%s looks into %s without its %s: join each row of it to its own by %s = %s.rowid, and let the scope pin that",
						s.title(), o.table, of.table, of.key, o.alias))
				}
			}
		}
	}
	for name := range indexes {
		if !used[name] {
			complaints = append(complaints, fmt.Sprintf("no statement looks into %s: take it out of schema.sql", name))
		}
	}
	return complaints
}

// joined reports whether each row that the query takes from an index is one with
// a row of the table that it copies.
func joined(q query, index occurrence, of original) bool {
	all := conjuncts(q.where)
	for _, o := range q.from {
		if !q.outer && !q.left {
			all = append(all, conjuncts(o.on)...)
		}
	}
	return slices.ContainsFunc(q.from, func(o occurrence) bool {
		own, copied := o.alias+" . "+of.key, index.alias+" . rowid"
		return o.table == of.table && (slices.Contains(all, own+" = "+copied) || slices.Contains(all, copied+" = "+own))
	})
}
