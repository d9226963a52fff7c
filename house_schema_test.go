package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

// maxColumns is how many columns of a table have a bit of their own in what a
// live query depends on.
const maxColumns = 62

// unwatchedLine is the list in schema.sql of tables whose changes are not
// published.
var unwatchedLine = regexp.MustCompile(`(?m)^-- unwatched:(.*)$`)

// tableFact is a table as the database describes it.
type tableFact struct {
	name    string
	columns int
	strict  bool
}

// selectTableFacts answers the tables of extensions too, which cannot be STRICT,
// but not those in which they keep what is theirs.
const selectTableFacts = `
SELECT name, ncol, strict OR type <> 'table'
FROM pragma_table_list
WHERE schema = 'main' AND type NOT IN ('view', 'shadow') AND name NOT LIKE 'sqlite_%'
ORDER BY name`

func tables(t *testing.T, d *db.DB) (all []tableFact) {
	t.Helper()
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		all, err = db.All(tx, func(r db.Row) (f tableFact, err error) {
			return f, r.Scan(&f.name, &f.columns, &f.strict)
		}, selectTableFacts)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d tables, %v", len(all), err)
	}
	return all
}

func unwatchedTables(schema string) (names []string) {
	for _, m := range unwatchedLine.FindAllStringSubmatch(schema, -1) {
		names = append(names, strings.Fields(m[1])...)
	}
	return names
}

// watched returns the tables whose changes are published.
func watched(t *testing.T, d *db.DB) map[string]bool {
	t.Helper()
	unwatched := unwatchedTables(dbtest.Schema(t))
	names := map[string]bool{}
	for _, f := range tables(t, d) {
		if !slices.Contains(unwatched, f.name) {
			names[f.name] = true
		}
	}
	return names
}

func TestHouseTables(t *testing.T) {
	all, _ := statements(house(t))
	report(t, tableComplaints(tables(t, dbtest.Open(t)), unwatchedTables(dbtest.Schema(t)), all))
}

func TestHouseTablesCanFail(t *testing.T) {
	all, _ := statements([]source{declared(t, "SELECT id FROM good")})
	good := tableFact{name: "good", columns: 3, strict: true}
	silent := tableFact{name: "silent", columns: 3, strict: true}
	for _, c := range []struct {
		facts     []tableFact
		unwatched []string
		complaint string
	}{
		{[]tableFact{good}, nil, ""},
		{[]tableFact{good, silent}, []string{"silent"}, ""},
		{[]tableFact{good, silent}, nil, "no statement reads table silent"},
		{[]tableFact{good}, []string{"gone"}, "gone is named as unwatched"},
		{[]tableFact{{name: "good", columns: 3}}, nil, "table good is not STRICT"},
		{[]tableFact{{name: "good", columns: 63, strict: true}}, nil, "table good has 63 columns"},
	} {
		expect(t, tableComplaints(c.facts, c.unwatched, all), c.complaint)
	}
	d := dbtest.Open(t, func(o *db.Options) { o.Schema += "\nCREATE TABLE loose (a, b);\nCREATE TABLE tight (a TEXT) STRICT;" })
	for _, want := range []tableFact{{name: "loose", columns: 2}, {name: "tight", columns: 1, strict: true}} {
		if all := tables(t, d); !slices.Contains(all, want) {
			t.Errorf("the tables %v lack %v", all, want)
		}
	}
}

func tableComplaints(facts []tableFact, unwatched []string, all []statement) []string {
	var complaints []string
	known := map[string]bool{}
	for _, f := range facts {
		known[f.name] = true
		if !f.strict {
			complaints = append(complaints, fmt.Sprintf("table %s is not STRICT: say so in schema.sql", f.name))
		}
		if f.columns > maxColumns {
			complaints = append(complaints, fmt.Sprintf("table %s has %d columns, more than %d: move some to a table of their own", f.name, f.columns, maxColumns))
		}
	}
	read := map[string]bool{}
	for _, s := range all {
		for _, name := range s.reads(known) {
			read[name] = read[name] || s.selects()
		}
	}
	for _, name := range unwatched {
		if !known[name] {
			complaints = append(complaints, fmt.Sprintf("%s is named as unwatched, but is no table: take it out of the list in schema.sql", name))
		}
	}
	for _, f := range facts {
		if !read[f.name] && !slices.Contains(unwatched, f.name) {
			complaints = append(complaints, fmt.Sprintf("no statement reads table %s: name it in \"-- unwatched:\" of schema.sql, or read it", f.name))
		}
	}
	return complaints
}

// TestHouseHasOneSchema: until the first tagged release schema.sql is all there
// is. With it this test becomes one that every numbered migration ends in the
// same schema.
func TestHouseHasOneSchema(t *testing.T) {
	if db.SchemaVersion != 1 {
		t.Errorf("SchemaVersion is %d: leave it at 1 until the first tagged release", db.SchemaVersion)
	}
	err := dbtest.Open(t).Read(context.Background(), func(tx db.Reader) error {
		version, err := db.One(tx, db.Int, "PRAGMA user_version")
		if version != db.SchemaVersion {
			t.Errorf("a fresh file has user_version %d: set it to SchemaVersion", version)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	report(t, migrationComplaints(files(t)))
}

func TestHouseMigrationsCanFail(t *testing.T) {
	expect(t, migrationComplaints([]string{"schema.sql", "db/open.go"}), "")
	expect(t, migrationComplaints([]string{"db/migrations/0001.sql"}), "db/migrations/0001.sql is a migration")
	expect(t, migrationComplaints([]string{"migrations.go"}), "migrations.go is a migration")
}

func migrationComplaints(files []string) []string {
	var complaints []string
	for _, f := range files {
		for part := range strings.SplitSeq(f, "/") {
			if strings.HasPrefix(part, "migrations") {
				complaints = append(complaints, f+" is a migration: change schema.sql instead, until the first tagged release")
				break
			}
		}
	}
	return complaints
}

// files returns every file below the root that is ours, by its path with slashes.
func files(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !entry.IsDir() {
			all = append(all, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
