package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"
)

// lawDeadline is when a stream that says nothing counts as broken.
const lawDeadline = 30 * time.Second

// lawStream follows one path and keeps what it was told, as a client would.
type lawStream struct {
	server *lawServer
	token  string
	path   string
	feed   bool

	cancel context.CancelFunc
	read   chan struct{} // closed when the reader has ended

	mu       sync.Mutex // guards the rest
	changed  chan struct{}
	status   int    // of the answer, 200 for a stream
	code     string // of the problem that ended it
	snapshot string
	items    map[string]json.RawMessage // by id, the newest
	start    int64                      // what the first connect had read up to
	lastID   string
	position int64 // the last one, ascending after the first page
	paged    bool  // the newest page has come
	commit   int64 // the last heartbeat's
	broken   string
}

func newLawStream(s *lawServer, token, path string, feed bool) *lawStream {
	return &lawStream{server: s, token: token, path: path, feed: feed, changed: make(chan struct{}), items: map[string]json.RawMessage{}}
}

// open connects, going on where an earlier connection was.
func (s *lawStream) open(t *rapid.T) {
	ctx, cancel := context.WithCancel(s.server.ctx)
	separator := "?"
	if strings.Contains(s.path, "?") {
		separator = "&"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.url+s.path+separator+"heartbeat=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Accept", "text/event-stream")
	if s.lastID != "" {
		r.Header.Set("Last-Event-ID", s.lastID)
	}
	answer, err := s.server.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	s.cancel, s.read, s.status, s.commit = cancel, make(chan struct{}), answer.StatusCode, 0
	if answer.StatusCode != http.StatusOK {
		var p struct{ Code string }
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
			t.Fatalf("%s: status %d without a problem", s.path, answer.StatusCode)
		}
		s.code = p.Code
		_ = answer.Body.Close()
		close(s.read)
		return
	}
	resumes := s.lastID != ""
	go s.follow(answer.Body, resumes)
}

func (s *lawStream) close() {
	s.cancel()
	<-s.read
}

func (s *lawStream) follow(body io.ReadCloser, resumes bool) {
	defer close(s.read)
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	var name, id, data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			s.take(name, id, data, resumes)
			name, id, data = "", "", ""
		}
	}
}

// take notes one event.
func (s *lawStream) take(name, id, data string, resumes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		s.lastID = id
	}
	var err error
	switch name {
	case "ready":
		var ready struct {
			Resumed bool
			Commit  int64
		}
		err = json.Unmarshal([]byte(data), &ready)
		if ready.Resumed != resumes {
			s.broken = fmt.Sprintf("resumed is %v", ready.Resumed)
		}
		if s.start == 0 {
			s.start = ready.Commit
		}
	case "snapshot":
		s.snapshot = data
	case "items":
		err = s.takeItems(data)
	case "heartbeat":
		var beat struct{ Commit int64 }
		err = json.Unmarshal([]byte(data), &beat)
		s.commit = beat.Commit
	case "problem":
		var p struct{ Code string }
		err = json.Unmarshal([]byte(data), &p)
		s.code = p.Code
	default:
		s.broken = "an event named " + name
	}
	if err != nil {
		s.broken = err.Error()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// takeItems merges items by id, as api clients do, and checks that positions
// ascend and nothing comes twice.
func (s *lawStream) takeItems(data string) error {
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		return err
	}
	newest := !s.paged && !strings.Contains(s.path, "after=")
	for _, item := range list.Items {
		id, position := itemOf(item)
		if !newest && position <= s.position {
			s.broken = fmt.Sprintf("position %d after %d", position, s.position)
		}
		s.items[id] = item
		s.position = max(s.position, position)
	}
	s.paged = true
	if len(list.Items) > 200 {
		s.broken = fmt.Sprintf("%d items at once", len(list.Items))
	}
	return nil
}

// itemOf returns what names an item, and its position.
func itemOf(item json.RawMessage) (string, int64) {
	var i struct {
		ID       string
		Position int64
	}
	if err := json.Unmarshal(item, &i); err != nil {
		return err.Error(), 0
	}
	if i.ID == "" {
		i.ID = strconv.FormatInt(i.Position, 10)
	}
	return i.ID, i.Position
}

func (s *lawStream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code != ""
}

// awaitCommit waits until the stream has considered the commit, or has ended.
func (s *lawStream) awaitCommit(t *rapid.T, commit int64) {
	deadline := time.After(lawDeadline)
	for {
		s.mu.Lock()
		done, broken, changed := s.code != "" || s.commit >= commit, s.broken, s.changed
		s.mu.Unlock()
		switch {
		case broken != "":
			t.Fatalf("%s: %s", s.path, broken)
		case done:
			return
		}
		select {
		case <-changed:
		case <-s.read:
			s.mu.Lock()
			code := s.code
			s.mu.Unlock()
			if code == "" {
				t.Fatalf("%s: ended without a problem", s.path)
			}
			return
		case <-deadline:
			t.Fatalf("%s: no heartbeat has passed commit %d", s.path, commit)
		}
	}
}

// compare holds what the stream has told against a fresh answer.
func (s *lawStream) compare(t *rapid.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed {
		s.compareFeed(t)
		return
	}
	fresh := s.server.do(t, s.token, http.MethodGet, s.path, "")
	if s.code != "" {
		// Since it ended a right may have come back, or another have gone.
		if !slices.Contains([]string{"forbidden", "not_found"}, s.code) {
			t.Fatalf("%s: ended with %s, a fresh answer is %d %s", s.path, s.code, fresh.status, fresh.body)
		}
		return
	}
	if fresh.status != http.StatusOK || string(fresh.body) != s.snapshot {
		t.Fatalf("%s: live %s\nfresh %d %s", s.path, s.snapshot, fresh.status, fresh.body)
	}
}

// compareFeed reads the feed from the start and compares it with what has come:
// everything, when the stream began there; else what is newer than its start.
func (s *lawStream) compareFeed(t *rapid.T) {
	path, _, _ := strings.Cut(s.path, "?")
	everything := strings.Contains(s.path, "after=")
	fresh := map[string]json.RawMessage{}
	for after := int64(0); ; {
		answer := s.server.do(t, s.token, http.MethodGet, fmt.Sprintf("%s?after=%d&limit=200", path, after), "")
		if answer.status != http.StatusOK {
			if s.code == "" {
				t.Fatalf("%s: goes on, a fresh answer is %d %s", s.path, answer.status, answer.body)
			}
			return
		}
		var page struct {
			Items []json.RawMessage
			Last  int64
			More  bool
		}
		if err := json.Unmarshal(answer.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			id, _ := itemOf(item)
			fresh[id] = item
		}
		if after = page.Last; !page.More {
			break
		}
	}
	if s.code != "" {
		return
	}
	var missing []string
	for id, item := range fresh {
		_, position := itemOf(item)
		held, found := s.items[id]
		if (found && string(held) != string(item)) || (!found && (everything || position > s.start)) {
			missing = append(missing, fmt.Sprintf("%s is %s, held %s", id, item, held))
		}
	}
	for id := range s.items {
		if _, found := fresh[id]; !found {
			missing = append(missing, id+" was never there")
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Fatalf("%s: %s", s.path, strings.Join(missing, "\n"))
	}
}
