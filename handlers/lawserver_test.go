package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain/insights"
	"connvo/handlers"
	"connvo/realtime"
)

// lawServer is a server as the law drives it: what fails, fails the run of
// random actions, so that rapid finds the shortest one that does.
type lawServer struct {
	ctx      context.Context
	url      string
	client   *http.Client
	db       *db.DB
	routes   []handlers.Route
	insights *insights.Store
	people   atomic.Int64
	expired  atomic.Bool // something of a feed was deleted
}

func newLawServer(t *testing.T) *lawServer {
	t.Helper()
	// On a machine that does other things a reader may be late, which ends nothing here.
	s := startServer(t, true, func(c *handlers.Config) { c.StreamTimeout = realtime.DefaultWriteTimeout })
	return &lawServer{ctx: t.Context(), url: s.URL, client: &http.Client{Transport: s.transport}, db: s.DB, routes: s.API.Routes(), insights: s.API.Insights}
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
		r.Header.Set("Content-Type", mediaFor(path))
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
func (s *lawServer) newcomer(t *rapid.T, org, role string) (token, id string) {
	answer := s.do(t, "", http.MethodPost, "/dev/token", fmt.Sprintf(`{"email":"law-%d@example.com","orgId":%q,"orgRole":%q}`, s.people.Add(1), org, role))
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
		before, after, inside := strings.Cut(r.Path, "{meetingId}")
		if path == r.Path || (inside && strings.HasPrefix(path, before) && strings.HasSuffix(path, after)) {
			return true
		}
	}
	return false
}
