package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connvo/handlers"
	"connvo/telemetry"
)

// What the server decides not to do now is no failure of it, for which somebody is to
// be woken; what fails is.
func TestRefusalsAreNoErrorsInTheLog(t *testing.T) {
	s := startServer(t, false, func(c *handlers.Config) { c.Audio = nil })
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/start", nil)
	if a := ada.do("POST", meeting+"/audio", wav(time.Second)); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for range 100 {
		ada.ticket("/v1/me")
	}
	if a := ada.do("POST", "/v1/stream-tickets", `{"path":"/v1/me"}`); a.Status != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	s.exec(`ALTER TABLE settings RENAME TO elsewhere`)
	if a := ada.do("GET", "/v1/me/settings", nil); a.Status != http.StatusInternalServerError {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	s.exec(`ALTER TABLE elsewhere RENAME TO settings`)
	st, many := ada.follow("/v1/me"), ada.follow(live("/v1/me"))
	for _, st := range []*stream{st, many} {
		st.ready()
		st.any()
	}
	s.API.Drain()
	st.endsWith("shutting_down")
	many.endsWith("shutting_down")
	if a := s.nobody().do("GET", "/readyz", nil); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	var told []string
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "refused for now") {
			told = append(told, line)
		}
	}
	if len(told) != 2 || !strings.Contains(told[0], "no transcription endpoint") || !strings.Contains(told[1], "no such table") {
		t.Errorf("%s", told)
	}
}

// A stream that is one too many is answered 200, so that an EventSource comes again,
// and counted like any other request that was.
func TestStreamsThatAreOneTooManyAreCounted(t *testing.T) {
	figures := telemetry.New()
	s := limited(t, func(c *handlers.Config) { c.Metrics = figures })
	ada := s.signIn("ada")
	s.until("requests", 1000, "1", func() answer { return ada.do("GET", "/v1/me", nil) })
	if a := ada.do("GET", "/v1/me", nil, "Accept", "text/event-stream"); !strings.Contains(string(a.Body), `"rate_limited"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	const want = `connvo_http_rate_limited_total{route="GET /v1/me"} 2`
	until(t, want, func() bool { // the first is counted once it is answered
		told := httptest.NewRecorder()
		figures.Handler().ServeHTTP(told, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(told.Body.String(), want)
	})
}
