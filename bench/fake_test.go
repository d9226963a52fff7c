package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a server that keeps the part of the contract that the bench uses, except for one flaw.
type fake struct {
	flaw     string
	mu       sync.Mutex // guards the rest
	position int64
	rooms    map[string]*fakeRoom
	grown    chan struct{} // closed and replaced when something has changed
	draining chan struct{} // closed when the server goes off
	off      bool
	runs     int
	hoard    []*os.File
}

type fakeRoom struct {
	presence         fakePresence
	notes            fakeNotes
	messages, events []map[string]any
	chunks           []map[string]any
	left             map[string]bool
}

// newFake starts a fake with a flaw, or with none, and returns a target for it.
func newFake(t *testing.T, flaw string) *target {
	t.Helper()
	f := &fake{flaw: flaw, rooms: map[string]*fakeRoom{}, grown: make(chan struct{}), draining: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /dev/token", f.token)
	mux.HandleFunc("POST /v1/meetings", f.create)
	mux.HandleFunc("GET /v1/meetings", f.answer)
	mux.HandleFunc("GET /v1/meetings/{id}", f.read)
	mux.HandleFunc("POST /v1/meetings/{id}/start", f.answer)
	mux.HandleFunc("POST /v1/meetings/{id}/join", f.step)
	mux.HandleFunc("POST /v1/meetings/{id}/leave", f.step)
	mux.HandleFunc("POST /v1/meetings/{id}/messages", f.post)
	mux.HandleFunc("PUT /v1/meetings/{id}/presence", f.put)
	mux.HandleFunc("POST /v1/meetings/{id}/notes/ops", f.write)
	mux.HandleFunc("GET /v1/meetings/{id}/notes", f.notes)
	for _, part := range []string{"messages", "events", "participants", "presence", "notes/ops"} {
		mux.HandleFunc("GET /v1/meetings/{id}/"+part, f.read)
	}
	if flaw != "old" {
		mux.HandleFunc("POST /v1/meetings/{id}/transcripts", f.speak)
		mux.HandleFunc("GET /v1/meetings/{id}/transcripts", f.read)
		mux.HandleFunc("GET /v1/live", f.live)
		mux.HandleFunc("GET /v1/admin/streams", f.figures)
	}
	srv := httptest.NewServer(f.unlessOff(mux))
	t.Cleanup(srv.Close)
	t.Cleanup(func() {
		for _, file := range f.hoard {
			_ = file.Close()
		}
	})
	addr, err := parseURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &target{addr: addr, late: time.Second, power: &power{off: f.turnOff, on: f.turnOn}}
}

func (f *fake) unlessOff(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		off := f.off
		f.mu.Unlock()
		if off {
			http.Error(w, `{"code":"unavailable"}`, http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (f *fake) turnOff() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
	close(f.draining)
	return nil
}

func (f *fake) turnOn(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off, f.draining = false, make(chan struct{})
	return nil
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Email string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	reply200(w, map[string]any{"accessToken": "t-" + in.Email, "user": map[string]any{"id": "usr_" + in.Email}})
}

func (f *fake) figures(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs += 100
	reply200(w, map[string]any{"connections": 1, "paths": 1, "runs": f.runs, "unchanged": f.runs / 50, "shared": 7})
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("mtg_%d", len(f.rooms))
	f.rooms[id] = &fakeRoom{left: map[string]bool{}}
	w.WriteHeader(http.StatusCreated)
	reply200(w, map[string]any{"id": id})
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	reply200(w, map[string]any{"id": r.PathValue("id")})
}

// caller is who sent a request.
func caller(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer t-")
}

// step lets the caller join or leave. Those who were invited count as joined.
func (f *fake) step(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	room, who, leaves := f.rooms[r.PathValue("id")], caller(r), strings.HasSuffix(r.URL.Path, "/leave")
	if room.left[who] != leaves {
		room.left[who] = leaves
		f.position++
		room.events = append(room.events, map[string]any{"position": f.position, "type": "participants.left", "subjectId": who})
		f.changed()
	}
	w.Header().Set("Connvo-Commit", strconv.FormatInt(f.position, 10))
	reply200(w, map[string]any{"id": r.PathValue("id")})
}

func (f *fake) changed() {
	close(f.grown)
	f.grown = make(chan struct{})
}

func (f *fake) post(w http.ResponseWriter, r *http.Request) {
	var in struct{ Content string }
	if json.NewDecoder(r.Body).Decode(&in) != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t-") {
		http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.position++; f.flaw == "refuse" && f.position%7 == 3 {
		http.Error(w, `{"code":"rate_limited","title":"Too many"}`, http.StatusTooManyRequests)
		return
	}
	room := f.rooms[r.PathValue("id")]
	m := map[string]any{"id": fmt.Sprintf("msg_%d", f.position), "position": f.position, "content": in.Content}
	switch {
	case f.flaw == "lose" && f.position%7 == 3:
	case f.flaw == "double" && f.position%7 == 3:
		room.messages = append(room.messages, m)
		f.position++
		room.messages = append(room.messages, map[string]any{"id": "twin", "position": f.position, "content": in.Content})
	default:
		room.messages = append(room.messages, m)
		room.events = append(room.events, map[string]any{"position": f.position, "type": messagePosted, "subjectId": m["id"]})
	}
	f.changed()
	w.Header().Set("Connvo-Commit", strconv.FormatInt(f.position, 10))
	w.WriteHeader(http.StatusCreated)
	reply200(w, m)
}

// speak stores chunks.
func (f *fake) speak(w http.ResponseWriter, r *http.Request) {
	var in struct{ Chunks []struct{ Text string } }
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in.Chunks) == 0 {
		http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	room, first := f.rooms[r.PathValue("id")], f.position+1
	for _, c := range in.Chunks {
		if f.position++; f.flaw != "lose" || f.position%7 != 3 {
			room.chunks = append(room.chunks, map[string]any{"position": f.position, "text": c.Text})
		}
	}
	f.changed()
	reply200(w, map[string]any{"firstPosition": first, "lastPosition": f.position})
}

func reply200(w http.ResponseWriter, body any) {
	_ = json.NewEncoder(w).Encode(body)
}
