package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"
)

// lawDeadline is when a stream that says nothing counts as broken.
const lawDeadline = 30 * time.Second

// lawStream is a connection that follows one path, or many, and keeps what it
// was told, as a client would.
type lawStream struct {
	server      *lawServer
	token       string
	multiplexed bool

	cancel context.CancelFunc
	read   chan struct{} // closed when the reader has ended

	mu         sync.Mutex // guards the rest, and the paths
	changed    chan struct{}
	paths      map[string]*lawPath
	removed    []string
	status     int // of the answer, 200 for a stream
	connection string
	code       string // of the problem that ended it
	lastID     string
	commit     int64 // the last heartbeat's
	broken     string
}

// lawPath is what was told of one path.
type lawPath struct {
	path     string
	feed     bool
	added    bool   // by a change: it is gone after a reconnect
	told     bool   // in a round
	code     string // of the problem that ended it
	snapshot string
	items    map[string]json.RawMessage // by id, the newest
	start    int64                      // what the first answer had read up to
	position int64                      // the last one, ascending after the first page
	paged    bool                       // the newest page has come
}

func newLawStream(s *lawServer, token string, multiplexed bool, paths ...string) *lawStream {
	st := &lawStream{server: s, token: token, multiplexed: multiplexed, changed: make(chan struct{}), paths: map[string]*lawPath{}}
	for _, path := range paths {
		st.paths[path] = s.newLawPath(path)
	}
	return st
}

func (s *lawServer) newLawPath(path string) *lawPath {
	return &lawPath{path: path, feed: s.isFeed(path), items: map[string]json.RawMessage{}}
}

// url is what the stream is opened with; it names no path that was added.
func (s *lawStream) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parameters := url.Values{"heartbeat": {"1"}}
	for name, p := range s.paths {
		switch {
		case !s.multiplexed && strings.Contains(name, "?"):
			return name + "&heartbeat=1"
		case !s.multiplexed:
			return name + "?heartbeat=1"
		case p.added:
			delete(s.paths, name)
		case p.code != "":
			// It is over: a client that wants it again begins anew.
		default:
			parameters.Add("q", name)
		}
	}
	return "/v1/live?" + parameters.Encode()
}

// open connects, going on where an earlier connection was.
func (s *lawStream) open(t *rapid.T) {
	ctx, cancel := context.WithCancel(s.server.ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.url+s.url(), nil)
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
	s.cancel, s.read, s.status, s.commit, s.connection = cancel, make(chan struct{}), answer.StatusCode, 0, ""
	if answer.StatusCode != http.StatusOK {
		var p struct{ Code string }
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
			t.Fatalf("%s: status %d without a problem", s.name(), answer.StatusCode)
		}
		s.code = p.Code
		_ = answer.Body.Close()
		close(s.read)
		return
	}
	resumes := s.lastID != ""
	if !resumes {
		// Without a number nothing was established: what follows is complete.
		for name, p := range s.paths {
			if p.code == "" {
				s.paths[name] = s.server.newLawPath(name)
			}
		}
	}
	go s.follow(answer.Body, resumes)
}

func (s *lawStream) name() string {
	return strings.Join(slices.Sorted(maps.Keys(s.paths)), " ")
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
		before, _ := strconv.ParseInt(s.lastID, 10, 64)
		if after, err := strconv.ParseInt(id, 10, 64); err != nil || after < before {
			s.broken = fmt.Sprintf("id %s after %s", id, s.lastID)
		}
		s.lastID = id
	}
	if err := s.note(name, data, resumes); err != nil {
		s.broken = err.Error()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *lawStream) note(name, data string, resumes bool) error {
	switch name {
	case "ready":
		var ready struct {
			ConnectionID string
			Resumed      bool
			Commit       int64
		}
		err := json.Unmarshal([]byte(data), &ready)
		if ready.Resumed && !resumes {
			return errors.New("resumed is true")
		}
		if resumes && !ready.Resumed {
			if !s.server.expired.Load() {
				return errors.New("resumed is false")
			}
			s.lastID = "" // what is held of a feed is not what is left of it
			for _, p := range s.paths {
				clear(p.items)
				p.position, p.paged = 0, true
			}
		}
		s.connection = ready.ConnectionID
		for _, p := range s.paths {
			if p.start == 0 && !s.multiplexed {
				p.start = ready.Commit
			}
		}
		return err
	case "heartbeat":
		var beat struct{ Commit int64 }
		err := json.Unmarshal([]byte(data), &beat)
		s.commit = beat.Commit
		return err
	case "round":
		return s.noteRound(data)
	case "problem":
		var p struct{ Code string }
		err := json.Unmarshal([]byte(data), &p)
		s.code = p.Code
		return err
	}
	for _, p := range s.paths {
		return p.note(name, data)
	}
	return nil
}

// noteRound gives each path its part.
func (s *lawStream) noteRound(data string) error {
	if !s.multiplexed {
		return errors.New("a round for one path")
	}
	var round struct {
		Commit  int64
		Results []struct {
			Q, Event string
			Body     json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(data), &round); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, r := range round.Results {
		p, found := s.paths[r.Q]
		if !found {
			continue // it was removed meanwhile
		}
		if seen[r.Q] {
			return fmt.Errorf("%s twice in a round, or what is not final after its items", r.Q)
		}
		seen[r.Q] = r.Event != "interim"
		if p.start == 0 {
			p.start = round.Commit
		}
		p.told = true
		if err := p.note(r.Event, string(r.Body)); err != nil {
			return err
		}
	}
	return nil
}

// note takes one answer about the path.
func (p *lawPath) note(name, data string) error {
	if p.code != "" {
		return fmt.Errorf("%s: %s after its end", p.path, name)
	}
	switch name {
	case "snapshot":
		p.snapshot = data
		return nil
	case "items":
		return p.takeItems(data)
	case "interim":
		return p.notFinal(data)
	case "problem":
		var problem struct{ Code string }
		err := json.Unmarshal([]byte(data), &problem)
		p.code = problem.Code
		return err
	}
	return fmt.Errorf("an event named %s", name)
}

// takeItems merges items by id, as api clients do, and checks that positions
// ascend and nothing comes twice.
func (p *lawPath) takeItems(data string) error {
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		return err
	}
	newest := !p.paged && !strings.Contains(p.path, "after=")
	for _, item := range list.Items {
		id, position := itemOf(item)
		if !newest && position <= p.position {
			return fmt.Errorf("%s: position %d after %d", p.path, position, p.position)
		}
		p.items[id] = lasting(item)
		p.position = max(p.position, position)
	}
	p.paged = true
	if len(list.Items) > 200 {
		return fmt.Errorf("%s: %d items at once", p.path, len(list.Items))
	}
	return nil
}

// itemOf returns what names an item, and its position.
func itemOf(item json.RawMessage) (string, int64) {
	var i struct {
		ID       string
		Position int64
		Version  int64 // the position of an edit of notes
	}
	if err := json.Unmarshal(item, &i); err != nil {
		return err.Error(), 0
	}
	i.Position = max(i.Position, i.Version)
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
			t.Fatalf("%s: %s", s.name(), broken)
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
				t.Fatalf("%s: ended without a problem", s.name())
			}
			return
		case <-deadline:
			t.Fatalf("%s: no heartbeat has passed commit %d", s.name(), commit)
		}
	}
}

// compare holds what the stream has told against a fresh answer.
func (s *lawStream) compare(t *rapid.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.paths {
		if s.code != "" {
			p.code = s.code
		}
		if p.feed {
			p.compareFeed(t, s.server, s.token)
		} else {
			p.compare(t, s.server, s.token)
		}
	}
}

func (p *lawPath) compare(t *rapid.T, server *lawServer, token string) {
	fresh := server.do(t, token, http.MethodGet, p.path, "")
	if p.code != "" {
		// Since it ended a right may have come back, or another have gone.
		early := p.code == "conflict" && (strings.HasSuffix(p.path, "/analytics") || strings.HasSuffix(p.path, "/insights")) // it may have ended since
		// A deactivation ends the sessions, for good.
		ended := p.code == "unauthenticated" && fresh.status == http.StatusUnauthorized
		if !early && !ended && !slices.Contains([]string{"forbidden", "not_found"}, p.code) {
			t.Fatalf("%s: ended with %s, a fresh answer is %d %s", p.path, p.code, fresh.status, fresh.body)
		}
		return
	}
	if fresh.status != http.StatusOK || string(fresh.body) != p.snapshot {
		t.Fatalf("%s: live %s\nfresh %d %s", p.path, p.snapshot, fresh.status, fresh.body)
	}
}

// compareFeed reads the feed from the start and compares it with what has come:
// everything, when the stream began there; else what is newer than its start.
func (p *lawPath) compareFeed(t *rapid.T, server *lawServer, token string) {
	of, err := url.Parse(p.path)
	if err != nil {
		t.Fatal(err)
	}
	filters := of.Query()
	filters.Del("after")
	filters.Set("limit", "200")
	everything := strings.Contains(p.path, "after=")
	fresh := map[string]json.RawMessage{}
	for after := int64(0); ; {
		answer := server.do(t, token, http.MethodGet, fmt.Sprintf("%s?after=%d&%s", of.Path, after, filters.Encode()), "")
		if answer.status != http.StatusOK {
			if p.code == "" {
				t.Fatalf("%s: goes on, a fresh answer is %d %s", p.path, answer.status, answer.body)
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
			fresh[id] = lasting(item)
		}
		if after = page.Last; !page.More {
			break
		}
	}
	if p.code != "" {
		return
	}
	var missing []string
	for id, item := range fresh {
		_, position := itemOf(item)
		held, found := p.items[id]
		if (found && string(held) != string(item)) || (!found && (everything || position > p.start)) {
			missing = append(missing, fmt.Sprintf("%s is %s, held %s", id, item, held))
		}
	}
	for id, item := range p.items {
		if _, found := fresh[id]; !found {
			// What a client holds may be past its time by now; the feed says so.
			_, position := itemOf(item)
			answer := server.do(t, token, http.MethodGet, fmt.Sprintf("%s?after=%d&%s", of.Path, position-1, filters.Encode()), "")
			if strings.Contains(string(answer.body), `"truncated":true`) {
				continue
			}
			missing = append(missing, id+" was never there")
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Fatalf("%s: %s", p.path, strings.Join(missing, "\n"))
	}
}

// change adds a path to the open stream, or takes one away for good.
func (s *lawStream) change(t *rapid.T, path string, adds bool) {
	s.await(t, "is not ready", func() bool { return s.connection != "" })
	s.mu.Lock()
	p, follows := s.paths[path]
	connection, gone := s.connection, slices.Contains(s.removed, path)
	what := "unsubscribe"
	if adds && !follows && !gone {
		what, p = "subscribe", s.server.newLawPath(path)
		p.added = true
		s.paths[path] = p
	}
	s.mu.Unlock()
	if gone || p == nil || adds == follows {
		return // nothing to do, or the path might just end
	}
	answer := s.server.do(t, s.token, http.MethodPatch, "/v1/live/"+connection, fmt.Sprintf(`{%q:[%q]}`, what, path))
	if adds {
		s.await(t, path+" is not told", func() bool { return p.told || answer.status != http.StatusNoContent })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer.status != http.StatusNoContent && answer.status != http.StatusForbidden && s.code == "" {
		t.Fatalf("PATCH of %s: %d %s", path, answer.status, answer.body)
	}
	if adds && answer.status != http.StatusNoContent {
		delete(s.paths, path)
	} else if adds {
		s.commit = 0 // earlier heartbeats have not considered it
	}
	if !adds {
		s.removed = append(s.removed, path)
		delete(s.paths, path)
	}
}

// await waits until something holds or the stream has ended. done is called with
// mu held.
func (s *lawStream) await(t *rapid.T, complaint string, done func() bool) {
	deadline := time.After(lawDeadline)
	for {
		s.mu.Lock()
		ok, changed := done() || s.code != "", s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-s.read:
			return
		case <-deadline:
			t.Fatalf("%s: %s", s.name(), complaint)
		}
	}
}
