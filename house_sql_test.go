package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

var (
	// sqlStart is how a string begins that is a statement.
	sqlStart = regexp.MustCompile(`^(?:\s|--[^\n]*\n)*(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\s`)
	// ofSchema is in a statement about the schema itself.
	ofSchema = regexp.MustCompile(`\bsqlite_schema\b|\bpragma_\w+`)
	// excused is in a comment on a statement that may read a whole table.
	excused = regexp.MustCompile(`whole table: \S+ \S+`)
)

// statement is an SQL constant of the program, read.
type statement struct {
	constant
	nodes   []node
	queries []query
}

// title is how a complaint calls the statement.
func (s statement) title() string {
	return fmt.Sprintf("%s: %s", s.at(s.node), cmp.Or(s.name, "a statement without a name"))
}

// reads returns the tables that the statement's SELECTs name, in order, of those
// that are given.
func (s statement) reads(tables map[string]bool) []string {
	named := map[string]bool{}
	for _, q := range s.queries {
		for _, o := range q.from {
			if tables[o.table] && !o.function {
				named[o.table] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(named))
}

// selects reports whether the statement only reads.
func (s statement) selects() bool {
	return sqlStart.FindStringSubmatch(s.value)[1] == "SELECT" || (len(s.nodes) > 0 && s.nodes[0].is("with") &&
		!slices.ContainsFunc(s.nodes, func(n node) bool { return n.is("insert", "update", "delete", "replace") }))
}

// statements returns the SQL constants of the program, and what is wrong with
// those that cannot be read.
func statements(sources []source) (all []statement, complaints []string) {
	for _, c := range constants(program(sources)) {
		if !sqlStart.MatchString(c.value) {
			continue
		}
		s := statement{constant: c}
		var err error
		if s.nodes, err = parse(c.value); err == nil {
			s.queries, err = queries(s.nodes)
		}
		if err != nil {
			complaints = append(complaints, fmt.Sprintf("%s cannot be read (%v): write it in a form that house_parse_test.go knows", s.title(), err))
			continue
		}
		all = append(all, s)
	}
	return all, complaints
}

func TestHouseStatementsPrepare(t *testing.T) {
	all, complaints := statements(house(t))
	report(t, complaints)
	if len(all) < 40 {
		t.Errorf("only %d statements were found: mend constants in house_source_test.go", len(all))
	}
	report(t, planComplaints(t, dbtest.Open(t), all))
}

func TestHouseStatementsCanFail(t *testing.T) {
	d := dbtest.Open(t)
	for _, c := range []struct{ declaration, complaint string }{
		{"const q = `SELECT id FROM meetings WHERE id = ?`", ""},
		{"const q = `SELECT id FROM meetngs`", "q does not prepare"},
		{"const q = `DELETE FROM meetings WHERE nme = ?`", "q does not prepare"},
		{"const q = `SELECT title FROM meetings`", "q reads the whole of meetings"},
		{"const q = `SELECT m.title FROM meetings AS m`", "q reads the whole of m"},
		{"const q = `SELECT title FROM meetings WHERE title = ?`", "q reads the whole of meetings"},
		{"const q = `SELECT user_id FROM participants ORDER BY user_id`", "q reads the whole of participants"},
		{"const q = `SELECT id FROM meetings WHERE title IN (SELECT content FROM messages WHERE seq = 1) AND id = ?`", ""},
		{"const q = `SELECT id FROM meetings WHERE id = ? AND title IN (SELECT content FROM messages)`", "q reads the whole of messages"},
		{"const q = `UPDATE meetings SET title = ''`", "q reads the whole of meetings"},
		{"const q = `SELECT a.id FROM messages b LEFT JOIN meetings a ON a.title = b.content WHERE b.seq = 1`", "q reads the whole of a"},
		{"const q = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n`", ""},
		{"const q = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT seq FROM n, messages m) SELECT i FROM n`", "q reads the whole of m"},
		{"const q = `SELECT s.title FROM (SELECT title FROM meetings LIMIT 9) AS s`", "q reads the whole of meetings"},
		{"const q = `SELECT j.value FROM json_each(?) AS j`", ""},
		{"const q = `SELECT title FROM meetings -- whole table: a backup wants all`", ""},
		{"// q reads it all; whole table: it has one row.\nconst q = `SELECT title FROM meetings`", ""},
		{"const a = `SELECT title `\nconst q = a + `FROM meetings`", "q reads the whole of meetings"},
		{"func f() { g(`SELECT title FROM meetings`) }", "a statement without a name reads the whole of meetings"},
		{"const q = `SELECT name FROM sqlite_schema`", ""},
	} {
		s := written(t, "x/x.go", "package x\n"+c.declaration)
		all, complaints := statements([]source{s})
		complaints = append(complaints, planComplaints(t, d, all)...)
		if strings.Contains(c.declaration, "const a") { // which is no statement by itself
			complaints = slices.DeleteFunc(complaints, func(c string) bool { return strings.Contains(c, ": a does not prepare") })
		}
		expect(t, complaints, c.complaint)
	}
}

// planComplaints asks the database how it would run each statement.
func planComplaints(t *testing.T, d *db.DB, all []statement) []string {
	t.Helper()
	var complaints []string
	for _, s := range all {
		steps, err := plan(t, d, s.value, parameters(s.nodes))
		if err != nil {
			complaints = append(complaints, fmt.Sprintf("%s does not prepare (%v): mend the statement or schema.sql", s.title(), err))
			continue
		}
		if ofSchema.MatchString(s.value) || excused.MatchString(s.value+s.doc) {
			continue
		}
		for _, name := range wholeTables(steps, s.made()) {
			complaints = append(complaints, fmt.Sprintf(
				"%s reads the whole of %s: give it an index, or write \"whole table: \" and the reason into its comment\n\t%s",
				s.title(), name, strings.Join(steps, "\n\t")))
		}
	}
	return complaints
}

// plan returns the steps by which the database would run a statement.
func plan(t *testing.T, d *db.DB, query string, arguments int) (steps []string, err error) {
	err = d.Read(t.Context(), func(tx db.Reader) error {
		steps, err = db.All(tx, scanStep, "EXPLAIN QUERY PLAN "+query, make([]any, arguments)...)
		return err
	})
	return steps, err
}

func scanStep(r db.Row) (string, error) {
	var id, parent, unused int64
	var step string
	err := r.Scan(&id, &parent, &unused, &step)
	return step, err
}

var (
	scanned = regexp.MustCompile(`^SCAN (\S+)(.*)$`)
	// indexedNow is a plan that reads a whole table to make the index it lacks.
	indexedNow = regexp.MustCompile(`^(?:SEARCH|SCAN) (\S+) USING AUTOMATIC`)
	// unasked is a virtual table that is not told what to look for.
	unasked = regexp.MustCompile(` VIRTUAL TABLE INDEX \d+:$`)
)

// wholeTables returns the names, as the plan calls them, of tables that are read
// from end to end; through an index is no less. made are the names that stand
// for no table.
func wholeTables(steps []string, made map[string]bool) []string {
	var all []string
	for _, step := range steps {
		if m := indexedNow.FindStringSubmatch(step); m != nil {
			all = append(all, m[1])
			continue
		}
		m := scanned.FindStringSubmatch(step)
		switch {
		case m == nil, m[1] == "CONSTANT", strings.HasPrefix(m[1], "("), made[m[1]]:
		case strings.Contains(m[2], "VIRTUAL TABLE") && !unasked.MatchString(m[2]):
		default:
			all = append(all, m[1])
		}
	}
	return all
}

// made returns the names in the statement that stand for no table: those of
// table-valued functions, of queries in FROM and of a WITH.
func (s statement) made() map[string]bool {
	made, real := map[string]bool{}, map[string]bool{}
	with := common(s.nodes)
	for _, q := range s.queries {
		for _, o := range q.from {
			if o.function || o.table == "" || with[o.table] {
				made[o.alias] = true
			} else {
				real[o.alias] = true
			}
		}
	}
	maps.DeleteFunc(made, func(name string, _ bool) bool { return real[name] })
	return made
}

// common returns the names that a WITH gives to queries.
func common(nodes []node) map[string]bool {
	names := map[string]bool{}
	for i, n := range nodes {
		if n.paren {
			maps.Copy(names, common(n.group))
		}
		if !n.is("as") {
			continue
		}
		after := slices.DeleteFunc(slices.Clone(nodes[i+1:]), func(n node) bool { return n.is("not", "materialized") })
		if len(after) == 0 || !after[0].paren {
			continue // a name for a column or a table
		}
		before := i - 1
		if before > 0 && nodes[before].paren {
			before-- // the names of its columns
		}
		names[nodes[max(before, 0)].text] = true
	}
	return names
}

var (
	trigger = regexp.MustCompile(`(?s)CREATE TRIGGER (\w+).*?\bBEGIN\s(.*?)\bEND;`)
	oldNew  = regexp.MustCompile(`\b(?:OLD|NEW)\.\w+`)
)

func TestHouseTriggersReadNoWholeTable(t *testing.T) {
	report(t, triggerComplaints(t, dbtest.Open(t), dbtest.Schema(t)))
}

func TestHouseTriggersCanFail(t *testing.T) {
	expect(t, triggerComplaints(t, dbtest.Open(t), `CREATE TRIGGER slow AFTER UPDATE ON users BEGIN
		UPDATE users SET email = '' WHERE id = NEW.id;
		UPDATE users SET email = '' WHERE display_name = NEW.display_name;
	END;`), "trigger slow reads the whole of users")
}

// triggerComplaints looks at what triggers do, which no plan of the statement
// that fires them shows.
func triggerComplaints(t *testing.T, d *db.DB, schema string) []string {
	t.Helper()
	var complaints []string
	for _, m := range trigger.FindAllStringSubmatch(schema, -1) {
		for _, body := range strings.Split(m[2], ";") {
			if strings.TrimSpace(body) == "" {
				continue
			}
			body = oldNew.ReplaceAllString(body, "?")
			steps, err := plan(t, d, body, strings.Count(body, "?"))
			if err != nil {
				complaints = append(complaints, fmt.Sprintf("trigger %s cannot be planned (%v): write one plain statement a line", m[1], err))
			}
			for _, name := range wholeTables(steps, nil) {
				complaints = append(complaints, fmt.Sprintf("trigger %s reads the whole of %s: give it an index", m[1], name))
			}
		}
	}
	return complaints
}
