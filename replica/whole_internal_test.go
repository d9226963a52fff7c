package replica

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFileCutOffAnywhereIsRefused by a restore, which never ends the process.
func TestFileCutOffAnywhereIsRefused(t *testing.T) {
	s := newSource(t)
	for range 3 {
		s.write()
	}
	files, err := filepath.Glob(filepath.Join(s.place, directoryOf(1), "ltx", "0", "*.ltx"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	newest := files[2]
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "restored.db")
	for n := range whole {
		if err := os.WriteFile(newest, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = s.replica.Restore(t.Context(), output, Moment{}, nil)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
	if err := os.WriteFile(newest, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.replica.Restore(t.Context(), output, Moment{}, nil); err != nil {
		t.Error(err)
	}
}
