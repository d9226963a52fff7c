package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"connvo/db"
)

// spoken is what a command has printed.
type spoken struct {
	mu   sync.Mutex // guards the rest
	text bytes.Buffer
	more chan struct{} // holds one: something was printed
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

// await waits until what was printed matches, and returns the match.
func (s *spoken) await(t *testing.T, pattern string) string {
	t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		found, text := regexp.MustCompile(pattern).FindString(s.text.String()), s.text.String()
		s.mu.Unlock()
		if found != "" {
			return found
		}
		select {
		case <-s.more:
		case <-late:
			t.Fatalf("nothing like %s in %s", pattern, text)
		}
	}
}

// TestServeHearsWhatWorkOSTells starts a server as its command does, and tells it
// of the end of two sessions: in WorkOS's list of events, and by a webhook.
func TestServeHearsWhatWorkOSTells(t *testing.T) {
	const revoked = `{"id":"event_%[1]s","event":"session.revoked","data":{"id":"session_%[1]s","updated_at":"2026-01-01T00:00:00Z"},"created_at":"2026-01-01T00:00:00Z"}`
	workos := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" || r.Header.Get("Authorization") != "Bearer sk_1" {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprintf(w, `{"data":[`+revoked+`],"list_metadata":{"after":null}}`, "listed")
	}))
	defer workos.Close()
	file := filepath.Join(t.TempDir(), "connvo.db")
	c := &serveCommand{}
	parser, err := kong.New(c)
	if err == nil {
		_, err = parser.Parse([]string{
			"--listen=127.0.0.1:0", "--db=" + file, "--region=loc", "--log-format=json",
			"--workos-client-id=client_1", "--workos-api-key=sk_1", "--workos-api-url=" + workos.URL, "--workos-webhook-secret=whsec_1",
			"--metrics-listen=127.0.0.1:0",
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, ended := &spoken{more: make(chan struct{}, 1)}, make(chan error, 1)
	go func() {
		err := c.Run(ctx, terminal{out: io.Discard, err: said})
		if err != nil {
			_, _ = fmt.Fprintln(said, err) // where somebody waits for something else
		}
		ended <- err
	}()
	_, url, _ := strings.Cut(said.await(t, `"listening","url":"http://127\.0\.0\.1:\d+`), `"url":"`)

	body := fmt.Sprintf(revoked, "hooked")
	now := fmt.Sprint(time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(c.WorkOSHookSecret))
	mac.Write([]byte(now + "." + body))
	for signature, status := range map[string]int{"t=" + now + ",v1=" + hex.EncodeToString(mac.Sum(nil)): 200, "t=" + now + ",v1=00": 401} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/webhooks/workos", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("WorkOS-Signature", signature)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != status {
			t.Errorf("%d, want %d", a.StatusCode, status)
		}
	}
	_, monitor, _ := strings.Cut(said.await(t, `"figures are told","url":"http://127\.0\.0\.1:\d+/metrics`), `"url":"`)
	a, err := http.Get(monitor)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	for _, line := range []string{`connvo_webhooks_total{outcome="accepted"} `, `connvo_webhooks_total{outcome="wrong"} 1`, `connvo_webhooks_total{outcome="unsigned"} 0`} {
		if !strings.Contains(string(figures), line) {
			t.Errorf("there is no %s in %s", line, figures)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	said.await(t, `an event of WorkOS(?s:.*)an event of WorkOS`)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), db.Options{Path: file, Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	err = d.Read(t.Context(), func(tx db.Reader) error {
		n, err := db.One(tx, db.Int, `SELECT count(*) FROM ended_sessions WHERE session IN ('session_listed', 'session_hooked')`)
		if n != 2 {
			t.Errorf("%d sessions have ended", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
