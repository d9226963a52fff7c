package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/users"
	"connvo/handlers"
	"connvo/idempotency"
)

// lawServer is the real thing behind the law: database, tokens, HTTP.
type lawServer struct {
	ctx    context.Context
	url    string
	client *http.Client
	db     *db.DB
	routes []handlers.Route
	people atomic.Int64
}

// lawSecond is the unit of heartbeats: settling takes a few of them.
const lawSecond = 10 * time.Millisecond

func newLawServer(t *testing.T) *lawServer {
	t.Helper()
	d := dbtest.Open(t)
	people := users.NewStore(d)
	happened := events.NewLog(nil)
	dev, err := auth.NewDevProvider(t.Context(), d, people)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(t.Context(), dev.Config(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	s, err := handlers.New(handlers.Config{
		DB: d, Log: slog.New(slog.DiscardHandler), Auth: auth.NewAuthenticator(verifier, people, dev),
		Kept:  idempotency.NewStore(func(*db.WriteTx, int64, time.Time) error { return nil }),
		Users: people, Meetings: meetings.NewStore(d, happened, "loc"), Messages: messages.NewStore(d, happened),
		Version: "test", Dev: dev, Second: lawSecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Drain()
		h.Close()
		s.Close()
	})
	return &lawServer{ctx: t.Context(), url: h.URL, client: h.Client(), db: d, routes: s.Routes()}
}

type lawAnswer struct {
	status int
	body   []byte
	commit int64
}

func (s *lawServer) do(t *rapid.T, token, method, path, body string) lawAnswer {
	r, err := http.NewRequestWithContext(s.ctx, method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, b)
	}
	commit, _ := strconv.ParseInt(answer.Header.Get("Connvo-Commit"), 10, 64)
	return lawAnswer{status: answer.StatusCode, body: b, commit: commit}
}

// newcomer signs in somebody new.
func (s *lawServer) newcomer(t *rapid.T) (token, id string) {
	answer := s.do(t, "", http.MethodPost, "/dev/token", fmt.Sprintf(`{"email":"law-%d@example.com"}`, s.people.Add(1)))
	var grant struct {
		AccessToken string
		User        struct{ ID string }
	}
	if err := json.Unmarshal(answer.body, &grant); err != nil {
		t.Fatal(err)
	}
	return grant.AccessToken, grant.User.ID
}

// isFeed reports whether the path is one of a feed.
func (s *lawServer) isFeed(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for _, r := range s.routes {
		if !r.Feed {
			continue
		}
		before, after, _ := strings.Cut(r.Path, "{meetingId}")
		if strings.HasPrefix(path, before) && strings.HasSuffix(path, after) {
			return true
		}
	}
	return false
}
