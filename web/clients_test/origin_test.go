package clients_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPagesOfOtherOrigins opens a page that is listed, and one that is not, in a
// browser that is signed in.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	chromium, node, modules := find(t, os.Getenv("CHROMIUM"), "chromium"), find(t, "", "node"), module(t, "playwright-core")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Page</title><link rel=icon href=data:,>") // the browser may be gone
	}))
	t.Cleanup(page.Close)
	s := serve(t, "CONNVO_CORS_ORIGINS="+page.URL, limited)
	ctx, cancel := context.WithTimeout(t.Context(), 3*deadline) // for several pages, one after the other
	defer cancel()
	unlisted := strings.Replace(page.URL, "127.0.0.1", "localhost", 1)
	run := exec.CommandContext(ctx, node, "origin.mjs", s.URL, page.URL, unlisted)
	run.Env = append(os.Environ(), "CHROMIUM="+chromium, "MODULES="+modules)
	run.WaitDelay = 5 * time.Second
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("origin.mjs: %v\n%s", err, out)
	}
}
