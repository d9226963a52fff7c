package clients_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestTwoBrowsersChat signs two browsers in on the first page and lets them talk.
func TestTwoBrowsersChat(t *testing.T) {
	t.Parallel()
	chromium, node, modules := find(t, os.Getenv("CHROMIUM"), "chromium"), find(t, "", "node"), module(t, "playwright-core")
	s := serve(t, limited)
	ctx, cancel := context.WithTimeout(t.Context(), 3*deadline) // for several pages, one after the other
	defer cancel()
	run := exec.CommandContext(ctx, node, "home.mjs", s.URL, t.TempDir())
	run.Env = append(os.Environ(), "CHROMIUM="+chromium, "MODULES="+modules)
	run.WaitDelay = 5 * time.Second
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("home.mjs: %v\n%s", err, out)
	}
}
