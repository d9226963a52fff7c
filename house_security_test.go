package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

// fieldsFile tells of every column what it is, who may read it and how long it is
// kept.
const fieldsFile = "docs/security.md"

// classes are how sensitive a column can be.
var classes = []string{"secret", "content", "personal", "internal", "public"}

// selectColumns answers the columns that people know: neither those of shadow
// tables nor the hidden ones of virtual tables.
const selectColumns = `
SELECT l.name || '.' || c.name
FROM pragma_table_list AS l, pragma_table_xinfo(l.name) AS c
WHERE l.schema = 'main' AND l.type NOT IN ('view', 'shadow') AND l.name NOT LIKE 'sqlite_%' AND c.hidden = 0
ORDER BY 1`

func columnsOf(t *testing.T, d *db.DB) (all []string) {
	t.Helper()
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		all, err = db.All(tx, func(r db.Row) (name string, err error) { return name, r.Scan(&name) }, selectColumns)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

func TestHouseFieldsAreClassified(t *testing.T) {
	b, err := os.ReadFile(fieldsFile)
	if err != nil {
		t.Fatal(err)
	}
	report(t, fieldComplaints(columnsOf(t, dbtest.Open(t)), string(b)))
}

func TestHouseFieldsCanFail(t *testing.T) {
	d := dbtest.Open(t, func(o *db.Options) { o.Schema += "\nCREATE TABLE plans (id INTEGER, secret TEXT) STRICT;" })
	if all := columnsOf(t, d); !slices.Contains(all, "plans.secret") || !slices.Contains(all, "message_words.content") {
		t.Errorf("the columns lack some: %v", all)
	}
	const head = "# T\n| plans | id | none of the fields |\n\n## Fields\n\n| table | columns | class | who | kept |\n| --- | --- | --- | --- | --- |\n"
	const id = "| plans | id | public | all | always |\n"
	for rows, complaint := range map[string]string{
		id + "| plans | secret | secret | nobody | always |\n": "",
		"| plans | id, secret | public | all | always |\n":     "",
		id: "plans.secret has no class: add",
		id + "| plans | secret | dark | nobody | always |\n":    `the class "dark"`,
		id + "| plans | secret | secret | | always |\n":         "says not who",
		id + "| plans | secret, id | secret | all | always |\n": "plans.id stands twice",
		id + "| plans | secret, gone | secret | a | always |\n": "plans.gone is no column: take it out",
		id + "| plans | secret | secret | nobody |\n":           "has 4 cells",
	} {
		complaints := fieldComplaints([]string{"plans.id", "plans.secret"}, head+rows)
		complaints = slices.DeleteFunc(complaints, func(c string) bool {
			return complaint != "" && !strings.Contains(c, complaint) && strings.Contains(c, "plans.secret has no class")
		})
		expect(t, complaints, complaint)
	}
}

// fieldComplaints compares columns, each as table.column, with the rows of the table
// under "## Fields".
func fieldComplaints(columns []string, text string) []string {
	var complaints []string
	_, fields, _ := strings.Cut(text, "\n## Fields\n")
	fields, _, _ = strings.Cut(fields, "\n## ")
	listed := map[string]bool{}
	for line := range strings.Lines(fields) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| table ") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 5 {
			complaints = append(complaints, fmt.Sprintf("%s: %q has %d cells: table, columns, class, who may read them, how long they are kept", fieldsFile, line, len(cells)))
			continue
		}
		if !slices.Contains(classes, cells[2]) {
			complaints = append(complaints, fmt.Sprintf("%s: the class %q of %s is none of %v", fieldsFile, cells[2], cells[0], classes))
		}
		if cells[3] == "" || cells[4] == "" {
			complaints = append(complaints, fmt.Sprintf("%s: a row of %s says not who may read it, or how long it is kept", fieldsFile, cells[0]))
		}
		for column := range strings.SplitSeq(cells[1], ",") {
			name := cells[0] + "." + strings.TrimSpace(column)
			switch {
			case listed[name]:
				complaints = append(complaints, fmt.Sprintf("%s: %s stands twice: keep one", fieldsFile, name))
			case !slices.Contains(columns, name):
				complaints = append(complaints, fmt.Sprintf("%s: %s is no column: take it out", fieldsFile, name))
			}
			listed[name] = true
		}
	}
	for _, name := range columns {
		if !listed[name] {
			table, column, _ := strings.Cut(name, ".")
			complaints = append(complaints, fmt.Sprintf("%s has no class: add \"| %s | %s | class | who may read it | how long it is kept |\" under \"## Fields\" of %s, with one of %v",
				name, table, column, fieldsFile, classes))
		}
	}
	return complaints
}
