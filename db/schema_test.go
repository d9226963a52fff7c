package db_test

import (
	"regexp"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

// forbidden is what a schema must not say, and why. Comments do not count.
var forbidden = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`(?i)\bDEFERR(ED|ABLE)\b`), "a deferred constraint fails the COMMIT of everyone in the group"},
	{regexp.MustCompile(`(?i)\bON\s+CONFLICT\s+ROLLBACK\b`), "it undoes the neighbours in the group"},
	{regexp.MustCompile(`(?i)\bRAISE\s*\(\s*ROLLBACK\b`), "it undoes the neighbours in the group"},
	{regexp.MustCompile(`(?i)\b(INSERT|UPDATE)\s+OR\s+ROLLBACK\b`), "it undoes the neighbours in the group"},
	{regexp.MustCompile(`(?i)\bCOLLATE\b`), "change sets compare keys byte by byte"},
}

var comment = regexp.MustCompile(`--[^\n]*`)

func violations(schema string) (found []string) {
	text := comment.ReplaceAllString(schema, "")
	for _, f := range forbidden {
		if m := f.pattern.FindString(text); m != "" {
			found = append(found, strings.Join(strings.Fields(m), " ")+": "+f.why)
		}
	}
	return found
}

func TestSchemaEndsNoTransactionByItself(t *testing.T) {
	for _, v := range violations(dbtest.Schema(t)) {
		t.Errorf("schema.sql says %s", v)
	}
}

func TestSchemaRulesFindWhatTheyForbid(t *testing.T) {
	for _, text := range []string{
		"a INTEGER REFERENCES b (id) DEFERRABLE INITIALLY DEFERRED",
		"a TEXT UNIQUE ON CONFLICT ROLLBACK",
		"BEGIN SELECT raise ( rollback, 'no'); END",
		"BEGIN INSERT OR\nROLLBACK INTO a VALUES (1); END",
		"a TEXT COLLATE NOCASE",
	} {
		if len(violations(text)) == 0 {
			t.Errorf("%q is not found", text)
		}
	}
	if v := violations("a TEXT UNIQUE ON CONFLICT IGNORE, -- no ON CONFLICT ROLLBACK\nb INTEGER"); len(v) != 0 {
		t.Errorf("found %v", v)
	}
}

// A setting made any other way than in the name of the file would hold for one
// connection of the pool.
func TestSettingsHoldForEveryConnection(t *testing.T) {
	d := dbtest.Open(t)
	for pragma, want := range map[string]int64{
		"PRAGMA foreign_keys": 1, "PRAGMA synchronous": 2, "PRAGMA trusted_schema": 0, "PRAGMA page_size": 4096,
		"PRAGMA secure_delete": 1,
	} {
		if got := count(t, d, pragma); got != want {
			t.Errorf("a reader has %s = %d, want %d", pragma, got, want)
		}
		do(t, d, func(tx *db.WriteTx) error {
			if got, err := db.One(tx, db.Int, pragma); err != nil || got != want {
				t.Errorf("the writer has %s = %d, want %d: %v", pragma, got, want, err)
			}
			return nil
		})
	}
}
