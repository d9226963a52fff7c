package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// started is a server that runs as its command does.
type started struct {
	t         *testing.T
	said      *spoken
	URL       string
	client    *http.Client
	transport *http.Transport
}

// startServe runs the command with the flags until the test ends.
func startServe(t *testing.T, flags ...string) *started {
	t.Helper()
	return startServeAt(t, nil, flags...)
}

// startServeAt is startServe by another clock.
func startServeAt(t *testing.T, clock func() time.Time, flags ...string) *started {
	t.Helper()
	c := &serveCommand{clock: clock}
	parser, err := kong.New(c)
	if err == nil {
		_, err = parser.Parse(append([]string{"--listen=127.0.0.1:0", "--db=" + filepath.Join(t.TempDir(), "connvo.db"), "--region=loc", "--log-format=json"}, flags...))
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	transport := &http.Transport{}
	s := &started{t: t, said: &spoken{more: make(chan struct{}, 1)}, transport: transport, client: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, terminal{out: io.Discard, err: s.said}) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	_, s.URL, _ = strings.Cut(s.said.await(t, `"listening","url":"http://127\.0\.0\.1:\d+`), `"url":"`)
	return s
}

// ask sends a request and returns the status and the body.
func (s *started) ask(method, address, body string, header ...string) (int, string) {
	s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.URL + address
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// TestFiguresOfARunningServer reads them where Prometheus would, after somebody
// has done what is counted.
func TestFiguresOfARunningServer(t *testing.T) {
	s := startServe(t, "--metrics-listen=127.0.0.1:0")
	_, monitor, _ := strings.Cut(s.said.await(t, `"figures are told","url":"http://127\.0\.0\.1:\d+/metrics`), `"url":"`)
	_, grant := s.ask("POST", "/dev/token", `{"email":"ada@example.com"}`)
	token := regexp.MustCompile(`"accessToken":"([^"]+)"`).FindStringSubmatch(grant)
	if token == nil {
		t.Fatal(grant)
	}
	ada := []string{"Authorization", "Bearer " + token[1]}
	for range 3 {
		s.ask("GET", "/v1/me", "", ada...)
	}
	s.ask("GET", "/v1/users/usr_secret", "", ada...)
	s.ask("GET", "/v1/me", "")
	s.ask("GET", "/v1/me", "", "Authorization", "Bearer not.a.token")
	s.ask("GET", "/v1/me", "", "Cookie", "connvo_session=guess")
	s.ask("GET", "/v1/me?ticket=guess", "", "Accept", "text/event-stream")
	s.ask("GET", "/made/up/path", "")
	s.ask("GET", "/auth/login?returnTo=https://elsewhere.example", "")
	s.ask("POST", "/v1/meetings", `{"title":"x"}`, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")

	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(ada[0], ada[1])
	r.Header.Set("Accept", "text/event-stream")
	stream, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	events := bufio.NewScanner(stream.Body)
	awaitEvent(t, events, "snapshot")
	s.ask("PATCH", "/v1/me", `{"displayName":"Countess"}`, ada...)
	awaitEvent(t, events, "snapshot")

	_, planned := s.ask("POST", "/v1/meetings", `{"title":"Plan"}`, ada...)
	meeting := "/v1/meetings/" + regexp.MustCompile(`"id":"(mtg_[^"]+)"`).FindStringSubmatch(planned)[1]
	s.ask("POST", meeting+"/start", "", ada...)
	s.ask("POST", meeting+"/transcripts", `{"chunks":[{"text":"One","confidence":1,"startMs":0,"endMs":900},{"text":"Two","confidence":1,"startMs":900,"endMs":1800}]}`, ada...)

	want := []string{
		`connvo_http_request_duration_seconds_count{class="2xx",route="GET /v1/me"} 3`,
		`connvo_http_request_duration_seconds_count{class="4xx",route="GET /v1/me"} 4`,
		`connvo_http_request_duration_seconds_count{class="4xx",route="GET /v1/users/{userId}"} 1`,
		`connvo_http_request_duration_seconds_count{class="4xx",route="none"} 1`,
		`connvo_http_request_duration_seconds_count{class="2xx",route="PATCH /v1/me"} 1`,
		`connvo_credentials_refused_total{credential="token",reason="malformed"} 1`,
		`connvo_credentials_refused_total{credential="cookie",reason="foreign"} 1`,
		`connvo_credentials_refused_total{credential="ticket",reason="malformed"} 1`,
		`connvo_redirects_refused_total 1`, `connvo_cross_site_refused_total 1`,
		`connvo_live_streams 1`, `connvo_live_runs_total{outcome="first"} 1`, `connvo_live_runs_total{outcome="changed"} 1`,
		`connvo_live_lag_seconds_count 1`, `connvo_db_writes_waiting 0`, `connvo_jobs{state="dead"} 0`,
		`connvo_transcript_meetings 1`, `connvo_transcript_chunks_waiting 0`, `connvo_transcript_chunks_per_second 0.2`, `connvo_transcript_refused_total 0`,
		`connvo_transcript_requests 0`, `connvo_audit_refused_total 0`, `connvo_webhooks_total{outcome="unsigned"} 0`,
	}
	// What is answered or sent is counted just afterwards, and some of it for ten seconds:
	// so each line may be told at a time of its own.
	text := ""
	for late := time.Now().Add(patience); text == "" || (len(want) > 0 && time.Now().Before(late)); {
		status := 0
		if status, text = s.ask("GET", monitor, ""); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		want = slices.DeleteFunc(want, func(line string) bool { return strings.Contains(text, "\n"+line+"\n") })
	}
	for _, line := range want {
		t.Errorf("there is no %s", line)
	}
	for _, name := range []string{"connvo_db_commits_total", "go_goroutines", "process_resident_memory_bytes"} {
		if !regexp.MustCompile(`(?m)^` + name + ` [1-9]`).MatchString(text) {
			t.Errorf("there is no %s", name)
		}
	}
	if strings.Contains(text, "made/up") || strings.Contains(text, "usr_secret") || strings.Contains(text, "guess") {
		t.Error("a label holds what somebody has made up")
	}
	if t.Failed() {
		t.Log(regexp.MustCompile(`(?m)^connvo_[^_]+_[^b]*$`).FindAllString(text, -1))
	}
	// There is nothing else to be read there, and nothing here.
	if status, _ := s.ask("GET", strings.TrimSuffix(monitor, "metrics")+"v1/me", "", ada...); status != http.StatusNotFound {
		t.Errorf("the listener of figures answers %d", status)
	}
	if status, _ := s.ask("GET", "/metrics", ""); status != http.StatusNotFound {
		t.Errorf("everybody reads the figures: %d", status)
	}
}

// awaitEvent reads up to the end of the next event of the name.
func awaitEvent(t *testing.T, events *bufio.Scanner, name string) {
	t.Helper()
	for found := false; events.Scan(); {
		if events.Text() == "event: "+name {
			found = true
		} else if found && events.Text() == "" {
			return
		}
	}
	t.Fatalf("no %s: %v", name, events.Err())
}

func TestWhereFiguresAreTold(t *testing.T) {
	for _, c := range []struct{ flag, client, want string }{
		{"", "", ""}, {"", "client_1", "127.0.0.1:9090"}, {"off", "client_1", ""}, {"[::]:1", "", "[::]:1"}, {"0.0.0.0:9090", "client_1", "0.0.0.0:9090"},
	} {
		if got := (&serveCommand{MetricsListen: c.flag, WorkOSClientID: c.client}).metricsListen(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	taken := startServe(t, "--metrics-listen=127.0.0.1:0")
	_, address, _ := strings.Cut(taken.said.await(t, `"figures are told","url":"http://127\.0\.0\.1:\d+`), "http://")
	c := &serveCommand{}
	parser, err := kong.New(c)
	if err == nil {
		_, err = parser.Parse([]string{"--listen=127.0.0.1:0", "--db=" + filepath.Join(t.TempDir(), "connvo.db"), "--metrics-listen=" + address})
	}
	if err != nil {
		t.Fatal(err)
	}
	err = c.Run(t.Context(), terminal{out: io.Discard, err: io.Discard})
	if err == nil || !strings.Contains(fmt.Sprint(err), "--metrics-listen "+address+": another program listens there") {
		t.Errorf("%v", err)
	}
}
