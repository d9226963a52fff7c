package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestInstantIsFoundWithFewRequests among many files in a bucket.
func TestInstantIsFoundWithFewRequests(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, newS3(t))
	d := newDrill(t, f.url())
	d.start("--new")
	const writes = 40
	var at []time.Time
	for i := range writes {
		d.planned(fmt.Sprint(i), true)
		at = append(at, tick())
	}
	d.end()
	f.mu.Lock()
	clear(f.asked)
	f.mu.Unlock()
	const wanted = 3
	for i := range wanted {
		last := 5 + 15*i
		output := filepath.Join(t.TempDir(), "restored.db")
		restore := exec.CommandContext(t.Context(), d.binary, "restore", "--replica-url="+d.url, "--output="+output, "--at="+at[last].UTC().Format(time.RFC3339Nano))
		restore.Env = d.env
		if said, err := restore.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if have := value(t, output, `SELECT max(CAST(title AS INTEGER)) || ' ' || count(*) FROM meetings`); have != fmt.Sprint(last, " ", last+1) {
			t.Errorf("%s, want %d and all before", have, last)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("%v requests", f.asked)
	if n := f.asked["HEAD"]; n == 0 || n > wanted*20 {
		t.Errorf("%d files were asked when they were made", n)
	}
}
