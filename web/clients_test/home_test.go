package clients_test

import (
	"os"
	"testing"
)

// TestTwoBrowsersChat signs two browsers in on the first page and lets them talk.
func TestTwoBrowsersChat(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	node(t, browser, nil, "home.mjs", serve(t, limited).URL, t.TempDir())
}

// chromium returns the environment of a script that starts a browser.
func chromium(t *testing.T) []string {
	t.Helper()
	return []string{"CHROMIUM=" + find(t, os.Getenv("CHROMIUM"), "chromium"), "MODULES=" + module(t, "playwright-core")}
}
