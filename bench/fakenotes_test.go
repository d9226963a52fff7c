package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// fakeNotes are the notes of a room: all edits, and what each client has shown to know.
type fakeNotes struct {
	text    []byte
	items   []map[string]any
	edits   []fakeEdit
	clients map[string]*fakeClient
}

type fakeEdit struct {
	version int64
	client  string
	keystroke
}

type fakeClient struct {
	base, seq int64
	known     []keystroke // its edits after base, as they are there
}

// write does the edits of a client, which come without gaps and without repetition.
func (f *fake) write(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ClientID    string
		BaseVersion int64
		Edits       []struct {
			ClientSeq int64
			Ops       []op
		}
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &f.rooms[r.PathValue("id")].notes
	if n.clients == nil {
		n.clients = map[string]*fakeClient{}
	}
	if n.clients[in.ClientID] == nil {
		n.clients[in.ClientID] = &fakeClient{}
	}
	c := n.clients[in.ClientID]
	way := c.way(n.edits, in.ClientID, in.BaseVersion)
	var answers []any
	for _, e := range in.Edits {
		k, err := keystrokeOf(e.Ops)
		if k.idle() {
			http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
			return
		}
		if c.seq++; err != nil || e.ClientSeq != c.seq {
			http.Error(w, `{"code":"conflict"}`, http.StatusConflict)
			return
		}
		c.known = append(c.known, k)
		k = along(way, k, true)
		if f.flaw == "shift" && f.position%7 == 3 && k.at > 0 {
			k.at--
		}
		if n.text, err = k.apply(n.text); err != nil {
			http.Error(w, `{"code":"validation_failed"}`, http.StatusUnprocessableEntity)
			return
		}
		f.position++
		n.edits = append(n.edits, fakeEdit{f.position, in.ClientID, k})
		n.items = append(n.items, map[string]any{"position": f.position, "version": f.position, "clientId": in.ClientID, "clientSeq": c.seq, "ops": json.RawMessage(k.render(nil))})
		answers = append(answers, map[string]any{"clientSeq": c.seq})
	}
	f.changed()
	reply200(w, map[string]any{"version": f.position, "edits": answers})
}

// way brings the client to a base, and returns what others have done since as it is after its own edits.
func (c *fakeClient) way(edits []fakeEdit, client string, base int64) (way []keystroke) {
	own := 0
	for _, e := range edits {
		switch {
		case e.version <= c.base:
		case e.version > base && e.client != client:
			way = append(way, e.keystroke)
		case e.version > base:
			along(way, c.known[own], true)
			own++
		case e.client == client:
			c.known = c.known[1:]
		default:
			along(c.known, e.keystroke, false)
		}
	}
	c.base = base
	return way
}

// along takes a keystroke past others, and them past it; they stand first if first.
func along(way []keystroke, k keystroke, first bool) keystroke {
	for i, w := range way {
		way[i], k = w.past(k, first), k.past(w, !first)
	}
	return k
}

func (f *fake) notes(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := string(f.rooms[r.PathValue("id")].notes.text)
	if f.flaw == "stale" {
		text = strings.ToUpper(text)
	}
	reply200(w, map[string]any{"content": text, "version": f.position})
}

// Both orders of two keystrokes make the same text.
func TestKeystrokesCommute(t *testing.T) {
	const text = "abcd"
	var all []keystroke
	for at := range len(text) + 1 {
		all = append(all, keystroke{at: at, letter: 'x'}, keystroke{at: at, letter: 'y'})
		if at < len(text) {
			all = append(all, keystroke{at: at, erases: true})
		}
	}
	all = append(all, keystroke{})
	do := func(edits ...keystroke) string {
		after := []byte(text)
		for _, k := range edits {
			var read []op
			err := json.Unmarshal(k.render(nil), &read)
			again, err2 := keystrokeOf(read)
			if err != nil || err2 != nil || again != k {
				t.Fatalf("%+v is read as %+v, %v, %v", k, again, err, err2)
			}
			if after, err = k.apply(after); err != nil {
				t.Fatalf("%+v: %v", k, err)
			}
		}
		return string(after)
	}
	for _, a := range all {
		for _, b := range all {
			if one, other := do(a, b.past(a, false)), do(b, a.past(b, true)); one != other {
				t.Errorf("%+v and %+v make %q and %q", a, b, one, other)
			}
		}
	}
	for _, bad := range []string{`[{"retain":1}]`, `[{"insert":"xy"}]`, `[{"delete":2}]`, `[{"insert":"x"},{"delete":1}]`, `[{"retain":1},{"retain":1},{"delete":1}]`} {
		var read []op
		if err := json.Unmarshal([]byte(bad), &read); err != nil {
			t.Fatal(err)
		}
		if k, err := keystrokeOf(read); err == nil {
			t.Errorf("%s is %+v", bad, k)
		}
	}
	if _, err := (keystroke{at: 4, erases: true}).apply([]byte(text)); err == nil {
		t.Error("what is not there was removed")
	}
}
