package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fakeTrack is one live GET as the fake serves it.
type fakeTrack struct {
	q, id, part, who string
	sent             int64 // the position up to which a feed was sent
	held             map[string]any
	snap             string
}

// fakeEvent is what a track has to tell.
type fakeEvent struct {
	name string
	id   int64
	body string
}

func newFakeTrack(q, who string) *fakeTrack {
	u, _ := url.Parse(q)
	parts := strings.Split(strings.TrimPrefix(u.Path, "/v1/meetings/"), "/")
	t := &fakeTrack{q: q, id: parts[0], who: who}
	if len(parts) > 1 {
		t.part = parts[1]
	}
	t.sent, _ = strconv.ParseInt(u.Query().Get("after"), 10, 64)
	return t
}

// items returns what a feed holds past a position.
func (f *fake) items(t *fakeTrack, after int64) []map[string]any {
	items := f.rooms[t.id].messages
	switch t.part {
	case "events":
		items = f.rooms[t.id].events
	case "notes":
		items = f.rooms[t.id].notes.items
	case "transcripts":
		items = f.rooms[t.id].chunks
	}
	i, _ := slices.BinarySearchFunc(items, after+1, func(m map[string]any, p int64) int { return int(m["position"].(int64) - p) })
	return items[i:]
}

// body is the answer of a GET that is no feed.
func (f *fake) body(t *fakeTrack) string {
	if f.rooms[t.id] == nil {
		return "{}"
	}
	if t.part == "" {
		return fmt.Sprintf(`{"id":%q}`, t.id)
	}
	if t.part == "presence" {
		return cmp.Or(f.rooms[t.id].presence.shown, `{"items":[]}`)
	}
	raw, _ := json.Marshal(f.rooms[t.id].left)
	return string(raw)
}

func (t *fakeTrack) feed() bool {
	return t.part == "messages" || t.part == "events" || t.part == "notes" || t.part == "transcripts"
}

// next returns what is new on a track, with the flaw of the stream.
func (f *fake) next(t *fakeTrack) []fakeEvent {
	if !t.feed() {
		now := f.body(t)
		if now == t.snap || t.snap != "" && f.flaw == "stale" {
			return nil
		}
		t.snap = now
		return []fakeEvent{{"snapshot", f.position, now}}
	}
	var all []fakeEvent
	for _, m := range f.items(t, t.sent) {
		t.sent = m["position"].(int64)
		for _, m := range f.spoil(t, m) {
			raw, _ := json.Marshal(map[string]any{"items": []any{m}})
			all = append(all, fakeEvent{"items", m["position"].(int64), string(raw)})
		}
	}
	return all
}

// spoil returns what comes on a stream in place of an item.
func (f *fake) spoil(t *fakeTrack, m map[string]any) []map[string]any {
	hit := m["position"].(int64)%7 == 3
	switch {
	case f.flaw == "lose on streams" && hit:
		return nil
	case f.flaw == "double on streams" && hit:
		return []map[string]any{m, m}
	case f.flaw == "swap on streams" && hit && t.held == nil:
		t.held = m
		return nil
	case t.held != nil:
		late := t.held
		t.held = nil
		return []map[string]any{m, late}
	}
	return []map[string]any{m}
}

func (f *fake) read(w http.ResponseWriter, r *http.Request) {
	t := newFakeTrack(r.URL.String(), caller(r))
	if r.Header.Get("Accept") == "text/event-stream" {
		f.stream(w, r, []*fakeTrack{t}, false)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !t.feed() {
		_, _ = fmt.Fprintln(w, f.body(t))
		return
	}
	items := f.items(t, t.sent)
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if limit == 0 {
		limit = 50
	}
	if r.FormValue("after") == "" {
		items = items[max(0, len(items)-limit):]
	}
	more, last := len(items) > limit, t.sent
	items = items[:min(limit, len(items))]
	if len(items) > 0 {
		last = items[len(items)-1]["position"].(int64)
	}
	reply200(w, map[string]any{"items": items, "last": last, "more": more})
}

func (f *fake) live(w http.ResponseWriter, r *http.Request) {
	var tracks []*fakeTrack
	for _, q := range r.URL.Query()["q"] {
		tracks = append(tracks, newFakeTrack(q, caller(r)))
	}
	f.stream(w, r, tracks, true)
}

// stream serves tracks until the client goes, may no longer, or the server goes off.
func (f *fake) stream(w http.ResponseWriter, r *http.Request, tracks []*fakeTrack, rounds bool) {
	w.Header().Set("Content-Type", "text/event-stream")
	f.mu.Lock()
	draining := f.draining
	resumed := false
	if id, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		resumed = f.flaw != "forget"
		tracks[0].sent = id + map[string]int64{"skip on resume": 6, "repeat on resume": -1}[f.flaw]
	}
	fmt.Fprintf(w, "event: ready\nid: %d\ndata: {\"resumed\":%v,\"commit\":%d}\n\n", f.position, resumed, f.position)
	if f.flaw == "hoard" {
		file, _ := os.Open(os.DevNull)
		f.hoard = append(f.hoard, file)
	}
	f.mu.Unlock()
	if f.flaw == "end" {
		fmt.Fprint(w, "event: problem\ndata: {\"code\":\"slow_consumer\"}\n\n")
		return
	}
	control := http.NewResponseController(w)
	for {
		text, grown, again := f.turn(tracks, rounds)
		if f.flaw != "patient" {
			_ = control.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		}
		_, err := w.Write(text)
		if err2 := control.Flush(); err != nil || err2 != nil || !again {
			return
		}
		select {
		case <-grown:
		case <-draining:
			retry := "retry: 30\n"
			if f.flaw == "no retry" {
				retry = ""
			}
			fmt.Fprintf(w, "%sevent: problem\ndata: {\"code\":\"shutting_down\"}\n\n", retry)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// turn returns what is new, what is closed when there is more, and whether the stream goes on.
func (f *fake) turn(tracks []*fakeTrack, rounds bool) (text []byte, grown chan struct{}, again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var results []string
	for _, t := range tracks {
		if t.part == "messages" && f.rooms[t.id].left[t.who] && f.flaw != "deaf" {
			if f.flaw == "leak" {
				f.position++
				text = fmt.Appendf(text, "event: items\nid: %d\ndata: {\"items\":[{\"id\":\"x\",\"position\":%d}]}\n\n", f.position, f.position)
			}
			return fmt.Append(text, "event: problem\ndata: {\"code\":\"forbidden\"}\n\n"), nil, false
		}
		for _, e := range f.next(t) {
			if !rounds {
				text = fmt.Appendf(text, "event: %s\nid: %d\ndata: %s\n\n", e.name, e.id, e.body)
				continue
			}
			results = append(results, fmt.Sprintf(`{"q":%q,"event":%q,"body":%s}`, t.q, e.name, e.body))
		}
	}
	if len(results) > 0 {
		text = fmt.Appendf(text, "event: round\nid: %d\ndata: {\"commit\":%d,\"results\":[%s]}\n\n", f.position, f.position, strings.Join(results, ","))
	}
	return text, f.grown, true
}
