package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is a server that keeps the part of the contract that the bench uses, except for one flaw.
type fake struct {
	flaw     string
	mu       sync.Mutex // guards the rest
	position int64
	rooms    map[string][]map[string]any
	grown    chan struct{} // closed and replaced when a message was added
}

// newFake starts a fake with a flaw, or with none, and returns a target for it.
func newFake(t *testing.T, flaw string) *target {
	t.Helper()
	f := &fake{flaw: flaw, rooms: map[string][]map[string]any{}, grown: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /dev/token", f.token)
	mux.HandleFunc("POST /v1/meetings", f.create)
	mux.HandleFunc("GET /v1/meetings/{id}", f.answer)
	mux.HandleFunc("POST /v1/meetings/{id}/start", f.answer)
	mux.HandleFunc("POST /v1/meetings/{id}/join", f.answer)
	mux.HandleFunc("POST /v1/meetings/{id}/messages", f.post)
	mux.HandleFunc("GET /v1/meetings/{id}/messages", f.feed)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	addr, err := parseURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &target{addr: addr}
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ Email string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	reply200(w, map[string]any{"accessToken": "t-" + in.Email, "user": map[string]any{"id": "usr_" + in.Email}})
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("mtg_%d", len(f.rooms))
	f.rooms[id] = nil
	w.WriteHeader(http.StatusCreated)
	reply200(w, map[string]any{"id": id})
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	reply200(w, map[string]any{"id": r.PathValue("id")})
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
	id := r.PathValue("id")
	m := map[string]any{"id": fmt.Sprintf("msg_%d", f.position), "position": f.position, "content": in.Content}
	switch {
	case f.flaw == "lose" && f.position%7 == 3:
	case f.flaw == "double" && f.position%7 == 3:
		f.rooms[id] = append(f.rooms[id], m)
		f.position++
		f.rooms[id] = append(f.rooms[id], map[string]any{"id": "twin", "position": f.position, "content": in.Content})
	default:
		f.rooms[id] = append(f.rooms[id], m)
	}
	close(f.grown)
	f.grown = make(chan struct{})
	w.WriteHeader(http.StatusCreated)
	reply200(w, m)
}

// after returns the messages of a room past the first n, and what is closed when there are more.
func (f *fake) after(id string, n int) ([]map[string]any, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]map[string]any{}, f.rooms[id][n:]...), f.grown
}

func (f *fake) feed(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") == "text/event-stream" {
		f.live(w, r)
		return
	}
	items, _ := f.after(r.PathValue("id"), 0)
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if r.FormValue("after") == "" {
		items = items[max(0, len(items)-limit):]
	}
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64)
	for len(items) > 0 && items[0]["position"].(int64) <= after {
		items = items[1:]
	}
	more := len(items) > limit
	items = items[:min(limit, len(items))]
	if len(items) > 0 {
		after = items[len(items)-1]["position"].(int64)
	}
	reply200(w, map[string]any{"items": items, "last": after, "more": more})
}

func (f *fake) live(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "event: ready\ndata: {\"resumed\":false}\n\n")
	if f.flaw == "end" {
		fmt.Fprint(w, "event: problem\ndata: {\"code\":\"slow_consumer\"}\n\n")
		return
	}
	for sent := 0; ; {
		items, grown := f.after(r.PathValue("id"), sent)
		sent += len(items)
		for _, m := range items {
			f.deliver(w, m)
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}

// deliver sends one message with the flaw of the stream.
func (f *fake) deliver(w http.ResponseWriter, m map[string]any) {
	times := 1
	if position := m["position"].(int64); position%7 == 3 {
		switch f.flaw {
		case "lose on streams":
			times = 0
		case "double on streams":
			times = 2
		}
	}
	raw, _ := json.Marshal(map[string]any{"items": []any{m}})
	for range times {
		fmt.Fprintf(w, "event: items\nid: %v\ndata: %s\n\n", m["position"], raw)
	}
}

func reply200(w http.ResponseWriter, body any) {
	_ = json.NewEncoder(w).Encode(body)
}
