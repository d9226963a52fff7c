package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// fakePresence is who is here in a room.
type fakePresence struct {
	said  map[string]json.RawMessage // by user, what they have said
	shown string                     // the answer of a GET, which follows a second later
	due   bool
}

// put lets the caller be here.
func (f *fake) put(w http.ResponseWriter, r *http.Request) {
	var in json.RawMessage
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	here := &f.rooms[r.PathValue("id")].presence
	if here.said == nil {
		here.said = map[string]json.RawMessage{}
	}
	if who := caller(r); f.flaw != "shy" || len(here.said) == 0 {
		here.said[who] = in
	}
	switch {
	case f.flaw == "hasty":
		f.show(here)
	case !here.due:
		here.due = true
		time.AfterFunc(presencePace, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.show(here)
		})
	}
	w.WriteHeader(http.StatusNoContent)
}

// show tells who is here. f.mu is held.
func (f *fake) show(here *fakePresence) {
	var items []map[string]any
	for _, who := range slices.Sorted(maps.Keys(here.said)) {
		items = append(items, map[string]any{"userId": who, "said": here.said[who]})
	}
	raw, _ := json.Marshal(map[string]any{"items": items}) // what was decoded encodes
	here.shown, here.due = string(raw), false
	f.changed()
}
