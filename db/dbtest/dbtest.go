// Package dbtest opens fresh databases for tests: real files with the real
// schema.
package dbtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"connvo/db"
)

// Schema returns the text of schema.sql.
func Schema(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	b, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Open returns a fresh database in a directory of the test's own, which is
// closed when the test ends. Each option may change how it is opened.
func Open(t testing.TB, options ...func(*db.Options)) *db.DB {
	t.Helper()
	o := db.Options{Path: filepath.Join(t.TempDir(), "connvo.db"), Schema: Schema(t), Readers: 4}
	for _, change := range options {
		change(&o)
	}
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}
