package clients_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPagesOfOtherOrigins opens a page that is listed, and one that is not, in a
// browser that is signed in.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Page</title><link rel=icon href=data:,>") // the browser may be gone
	}))
	t.Cleanup(page.Close)
	s := serve(t, "CONNVO_CORS_ORIGINS="+page.URL, limited)
	unlisted := strings.Replace(page.URL, "127.0.0.1", "localhost", 1)
	node(t, browser, nil, "origin.mjs", s.URL, page.URL, unlisted)
}
