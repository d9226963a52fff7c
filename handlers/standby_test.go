package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connvo/handlers"
)

// TestStandbySendsToTheOwner, by the proxy on Fly and by a redirect elsewhere, and asks
// to wait where nobody is known.
func TestStandbySendsToTheOwner(t *testing.T) {
	t.Parallel()
	owner := &handlers.Owner{Machine: "17811953c92e18", URL: "https://a.example.com/"}
	for _, c := range []struct {
		fly    bool
		owner  *handlers.Owner
		path   string
		stream bool
		status int
		want   string // of the headers or the body
	}{
		{true, owner, "/v1/meetings", false, 307, "Fly-Replay: instance=17811953c92e18;timeout=5s;fallback=force_self\n"},
		{true, owner, "/v1/meetings", true, 307, "Fly-Replay: instance=17811953c92e18;timeout=5s;fallback=force_self\n"},
		{true, owner, "/readyz", false, 200, `{"status":"standby"}`},
		{true, owner, "/healthz", false, 200, `{"status":"ok"}`},
		{true, nil, "/v1/meetings", false, 503, `"code":"unavailable"`},
		{true, &handlers.Owner{URL: "https://a.example.com"}, "/", false, 503, "Retry-After: "},
		{false, owner, "/v1/meetings?limit=2", false, 307, "Location: https://a.example.com/v1/meetings?limit=2"},
		{false, owner, "//elsewhere.example.com/x", false, 307, "Location: https://a.example.com//elsewhere"},
		{false, owner, "/readyz", false, 503, `{"status":"standby"}`},
		{false, &handlers.Owner{Machine: "17811953c92e18"}, "/", false, 503, "Retry-After: "},
		{false, nil, "/v1/meetings", true, 200, "retry: 1000\n\n"},
	} {
		s := handlers.NewStandby(c.fly)
		s.Own(c.owner)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://standby"+c.path, nil)
		if c.stream {
			r.Header.Set("Accept", "text/event-stream")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var said strings.Builder
		_ = w.Header().Write(&said) // which cannot fail
		said.WriteString(w.Body.String())
		if w.Code != c.status || !strings.Contains(strings.ReplaceAll(said.String(), "\r\n", "\n"), c.want) {
			t.Errorf("%+v: %d %s", c, w.Code, said.String())
		}
	}
}

// TestStandbyWhoseOwnerIsGone has the caller come again with what the proxy brings back,
// streams too.
func TestStandbyWhoseOwnerIsGone(t *testing.T) {
	t.Parallel()
	s := handlers.NewStandby(true)
	s.Own(&handlers.Owner{Machine: "17811953c92e18"})
	for accept, c := range map[string]struct {
		status int
		want   string
	}{
		"application/json":  {503, `"code":"unavailable"`},
		"text/event-stream": {200, "retry: 1000\n\n"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://standby/v1/meetings", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Fly-Replay-Failed", "instance=17811953c92e18;reason=no_candidate")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Fly-Replay") != "" || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %v %s", accept, w.Code, w.Header(), w.Body)
		}
	}
}
