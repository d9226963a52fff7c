package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"connvo/domain/notes"
)

// address is where the server is, which changes when it is started again.
type address struct {
	mu      sync.Mutex // guards the rest
	url     string
	changed chan struct{}
}

func (a *address) set(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.url = url
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *address) get() (url string, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.url, a.changed
}

// writer is a client of notes as docs/notes.md describes it.
type writer struct {
	ctx      context.Context
	server   *address
	http     *http.Client
	answered chan<- struct{}
	rng      *rand.Rand
	token    string
	path     string                                   // of the notes
	told     func(client string, edit, version int64) // hears what was acknowledged; nil where nobody asks

	id      string
	base    int64
	text    string // at base, with pending done
	pending []notes.Edit
	seq     int64 // of the last edit made
	acked   int64 // of the last one known to be applied
}

// edit changes the text somewhere.
func (w *writer) edit() error {
	units := utf16.Encode([]rune(w.text))
	at := w.rng.IntN(len(units) + 1)
	d := notes.Delta{notes.Retain(at), notes.Insert(string(rune('a' + w.rng.IntN(26))))}
	if w.rng.IntN(3) == 0 && at < len(units) {
		d = notes.Delta{notes.Retain(at), notes.Delete(1 + w.rng.IntN(min(3, len(units)-at)))}
	}
	d = d.Normalize()
	text, err := d.Apply(w.text)
	w.seq++
	w.text, w.pending = text, append(w.pending, notes.Edit{Seq: w.seq, Delta: d})
	return err
}

// errLost is an answer that did not come.
var errLost = errors.New("no answer")

// call sends a request and returns the status; while the server is away it waits.
func (w *writer) call(method, path, body string, into any) (int, error) {
	url, changed := w.server.get()
	r, err := http.NewRequestWithContext(w.ctx, method, url+w.path+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := w.http.Do(r)
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		var b []byte
		if b, err = io.ReadAll(answer.Body); err == nil && answer.StatusCode != http.StatusServiceUnavailable {
			if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusConflict {
				return 0, fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, b)
			}
			return answer.StatusCode, json.NewDecoder(bytes.NewReader(b)).Decode(into)
		}
	}
	select {
	case <-changed:
		return 0, errLost
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}

// send sends up to 500 edits, perhaps twice, and perhaps does not hear the answer.
func (w *writer) send() error {
	edits := w.pending
	for len(edits) > 0 && edits[0].Seq <= w.acked && w.rng.IntN(4) > 0 { // else they are sent again
		edits = edits[1:]
	}
	if len(edits) == 0 {
		return nil
	}
	edits = edits[:min(len(edits), notes.MaxEdits)]
	type sent struct {
		ClientSeq int64       `json:"clientSeq"`
		Ops       notes.Delta `json:"ops"`
	}
	request := struct {
		ClientID    string `json:"clientId"`
		BaseVersion int64  `json:"baseVersion"`
		Edits       []sent `json:"edits"`
	}{ClientID: w.id, BaseVersion: w.base}
	for _, e := range edits {
		request.Edits = append(request.Edits, sent{e.Seq, e.Delta})
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	for times := 1 + w.rng.IntN(2); times > 0; times-- {
		var answer struct {
			Edits             []struct{ ClientSeq, Version int64 }
			ExpectedClientSeq *int64
			Version           *int64
		}
		status, err := w.call("POST", "/ops", string(body), &answer)
		for _, e := range answer.Edits {
			if w.told != nil {
				w.told(w.id, e.ClientSeq, e.Version)
			}
		}
		switch {
		case err != nil:
			return err
		case status == http.StatusOK && len(answer.Edits) != len(edits):
			return fmt.Errorf("%d answers to %d edits", len(answer.Edits), len(edits))
		case w.rng.IntN(5) == 0: // it is not heard
		case status == http.StatusOK:
			w.acked = max(w.acked, edits[len(edits)-1].Seq)
		case answer.ExpectedClientSeq != nil:
			w.acked = *answer.ExpectedClientSeq - 1
		case answer.Version != nil:
			w.acked = 0
		default:
			return errors.New("a conflict that says nothing")
		}
	}
	select {
	case w.answered <- struct{}{}:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// read takes what the feed brings, to its end.
func (w *writer) read() error {
	for more := true; more; {
		var page struct {
			Items []struct {
				Version   int64
				ClientID  *string
				ClientSeq *int64
				Ops       notes.Delta
			}
			More bool
		}
		if _, err := w.call("GET", fmt.Sprintf("/ops?limit=200&after=%d", w.base), "", &page); err != nil {
			return err
		}
		for _, r := range page.Items {
			w.base = r.Version
			if r.ClientID != nil && *r.ClientID == w.id {
				if len(w.pending) == 0 || w.pending[0].Seq != *r.ClientSeq || !w.pending[0].Delta.Equal(r.Ops) {
					return fmt.Errorf("%s reads of an edit %d that it has not made so", w.id, *r.ClientSeq)
				}
				w.pending, w.acked = w.pending[1:], max(w.acked, *r.ClientSeq)
				continue
			}
			deltas := make([]notes.Delta, len(w.pending))
			for i, p := range w.pending {
				deltas[i] = p.Delta
			}
			lifted, over := notes.Lift(deltas, r.Ops)
			text, err := over.Apply(w.text)
			if err != nil {
				return err
			}
			w.text = text
			for i := range w.pending {
				w.pending[i].Delta = lifted[i]
			}
		}
		more = page.More
	}
	return nil
}

// write makes so many edits, sends and reads in between, and ends when all are
// known to be applied.
func (w *writer) write(many, offline int) error {
	for range offline {
		if err := w.edit(); err != nil {
			return err
		}
	}
	for made := 0; made < many || len(w.pending) > 0; {
		for n := w.rng.IntN(5); n > 0 && made < many; n-- {
			if err := w.edit(); err != nil {
				return err
			}
			made++
		}
		if err := w.send(); err != nil && !errors.Is(err, errLost) {
			return err
		}
		if w.rng.IntN(2) == 0 {
			continue
		}
		if err := w.read(); err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
	return nil
}

// Twenty people write one document at once. Their requests come twice, answers are
// lost, one comes back with 10,000 edits made offline, and the server is ended
// amid it all, with what its connections hold, and started again on the same file.
func TestTwentyWritersConvergeOverRestarts(t *testing.T) {
	const writers, each, offline, restarts = 20, 60, 10_000, 3
	path := filepath.Join(t.TempDir(), "connvo.db")
	s := newStage(t, path, time.Now)
	meeting := s.begin()
	var grant struct{ AccessToken string }
	s.read(s.send("", "POST", "/dev/token", `{"email":"ada@example.com"}`), &grant)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	server := &address{url: s.http.URL, changed: make(chan struct{})}
	answered, ended := make(chan struct{}), make(chan error, writers)
	transport := &http.Transport{MaxIdleConnsPerHost: writers}
	defer transport.CloseIdleConnections()
	all := make([]*writer, writers)
	for i := range all {
		all[i] = &writer{
			ctx: ctx, server: server, http: &http.Client{Transport: transport}, answered: answered, rng: rand.New(rand.NewPCG(uint64(i), 3)),
			token: grant.AccessToken, path: meeting + "/notes", id: fmt.Sprint("writer-", i),
		}
		queue := 0
		if i == 0 {
			queue = offline
		}
		go func() { ended <- all[i].write(each, queue) }()
	}
	for answers, left := 0, writers; left > 0; {
		select {
		case <-answered:
			if answers++; answers%100 != 0 || answers > 100*restarts {
				continue
			}
			s.http.CloseClientConnections()
			s.close()
			s = newStage(t, path, time.Now)
			server.set(s.http.URL)
		case err := <-ended:
			if left--; err != nil {
				t.Error(err)
				cancel()
			}
		}
	}
	defer s.close()
	if t.Failed() {
		return
	}
	var n struct{ Content string }
	s.read(s.do("ada", "GET", meeting+"/notes", ""), &n)
	for _, w := range all {
		if err := w.read(); err != nil {
			t.Fatal(err)
		}
		if w.text != n.Content {
			t.Errorf("%s has %d bytes, the server %d", w.id, len(w.text), len(n.Content))
		}
	}
	if got := s.number(`SELECT count(*) FROM note_ops`); got != writers*each+offline {
		t.Errorf("%d edits, want %d", got, writers*each+offline)
	}
}
