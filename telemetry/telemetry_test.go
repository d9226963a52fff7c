package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told returns what a monitor is told, over HTTP.
func told(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	a, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v %v", a.StatusCode, a.Header, err)
	}
	return string(body)
}

func TestFiguresAreTold(t *testing.T) {
	m := telemetry.New()
	refused := m.Counts("refused_total", "What was refused.", "what", "why")
	m.Counts("nothing_total", "What has not happened.")
	m.Durations("nothing_seconds", "Nor this.")
	took := m.Durations("took_seconds", "How long it took.", "route")
	m.Gauge("open", "What is open.", func() float64 { return 3 })
	m.Counter("runs_total", "What ran.", func() float64 { return 4 })
	known := map[string]float64{"dead": 1, "waiting": 2}
	m.Gauges("jobs", "Jobs.", "state", func() map[string]float64 { return known })
	m.Counters("hooks_total", "Hooks.", "outcome", func() map[string]float64 { return map[string]float64{"stale": 5} })
	refused("token", "expired")
	refused("token", "expired")
	took(3*time.Millisecond, "GET /v1/me")
	took(time.Minute, "GET /v1/me")
	text := told(t, m)
	for _, line := range []string{
		`refused_total{what="token",why="expired"} 2`, `took_seconds_bucket{route="GET /v1/me",le="0.0025"} 0`, `took_seconds_bucket{route="GET /v1/me",le="0.005"} 1`,
		`took_seconds_bucket{route="GET /v1/me",le="+Inf"} 2`, "# TYPE open gauge\nopen 3", "nothing_total 0", "nothing_seconds_count 0", "# TYPE runs_total counter\nruns_total 4",
		`jobs{state="dead"} 1`, `jobs{state="waiting"} 2`, `hooks_total{outcome="stale"} 5`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, line+"\n") && !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s in:\n%s", line, text)
		}
	}
	known = nil // cannot be read now
	if text := told(t, m); strings.Contains(text, "jobs{") || !strings.Contains(text, "open 3") {
		t.Errorf("%s", text)
	}
}
