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
	"slices"
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
	text    string        // at base, with sent and unsent done
	sent    []notes.Edit  // not seen as revisions, as they are at base
	flight  *flight       // what has no answer: the last of sent
	unsent  []notes.Delta // as they are at base, none of them empty
	seq     int64         // of the last edit sent
	dropped int           // edits that others have emptied before they were sent
}

// flight is a request as it is sent until an answer is heard.
type flight struct {
	body        string
	first, last int64
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
	w.text, w.unsent = text, append(w.unsent, d)
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

// next returns what is to be sent: the same while no answer was heard, else up to
// 500 edits, which get their numbers; nil for nothing.
func (w *writer) next() (*flight, error) {
	if w.flight != nil || len(w.unsent) == 0 {
		return w.flight, nil
	}
	type sent struct {
		ClientSeq int64       `json:"clientSeq"`
		Ops       notes.Delta `json:"ops"`
	}
	request := struct {
		ClientID    string `json:"clientId"`
		BaseVersion int64  `json:"baseVersion"`
		Edits       []sent `json:"edits"`
	}{ClientID: w.id, BaseVersion: w.base}
	f := &flight{first: w.seq + 1}
	for _, d := range w.unsent[:min(len(w.unsent), notes.MaxEdits)] {
		w.seq++
		request.Edits = append(request.Edits, sent{w.seq, d})
		w.sent = append(w.sent, notes.Edit{Seq: w.seq, Delta: d})
	}
	body, err := json.Marshal(request)
	f.body, f.last = string(body), w.seq
	w.flight, w.unsent = f, w.unsent[len(request.Edits):]
	return f, err
}

// expect takes back what is not applied, from a number on, to be sent anew as it is
// by now.
func (w *writer) expect(seq int64) {
	var back []notes.Delta
	for len(w.sent) > 0 && w.sent[len(w.sent)-1].Seq >= seq {
		last := len(w.sent) - 1
		back, w.sent = append([]notes.Delta{w.sent[last].Delta}, back...), w.sent[:last]
	}
	w.flight, w.seq = nil, seq-1
	w.hold(append(back, w.unsent...))
}

// hold keeps what is still to be sent, without what others have emptied.
func (w *writer) hold(edits []notes.Delta) {
	w.unsent = slices.DeleteFunc(edits, func(d notes.Delta) bool { return len(d) == 0 })
	w.dropped += len(edits) - len(w.unsent)
}

// send sends up to 500 edits, perhaps twice, and perhaps does not hear the answer.
func (w *writer) send() error {
	f, err := w.next()
	if f == nil || err != nil {
		return err
	}
	for times := 1 + w.rng.IntN(2); times > 0; times-- {
		var answer struct {
			Edits             []struct{ ClientSeq, Version int64 }
			ExpectedClientSeq *int64
			Version           *int64
		}
		status, err := w.call("POST", "/ops", f.body, &answer)
		for _, e := range answer.Edits {
			if w.told != nil {
				w.told(w.id, e.ClientSeq, e.Version)
			}
		}
		switch {
		case err != nil:
			return err
		case status == http.StatusOK && int64(len(answer.Edits)) != f.last-f.first+1:
			return fmt.Errorf("%d answers to edits %d to %d", len(answer.Edits), f.first, f.last)
		case w.flight == nil, w.rng.IntN(5) == 0: // it is not heard
		case status == http.StatusOK:
			w.flight = nil
		case answer.ExpectedClientSeq != nil:
			w.expect(*answer.ExpectedClientSeq)
		case answer.Version != nil:
			w.expect(f.first)
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
				if len(w.sent) == 0 || w.sent[0].Seq != *r.ClientSeq || !w.sent[0].Delta.Equal(r.Ops) {
					return fmt.Errorf("%s reads of an edit %d that it has not made so", w.id, *r.ClientSeq)
				}
				if w.sent = w.sent[1:]; w.flight != nil && w.flight.first <= *r.ClientSeq {
					w.flight = nil // a request is applied whole
				}
				continue
			}
			deltas := make([]notes.Delta, 0, len(w.sent)+len(w.unsent))
			for _, e := range w.sent {
				deltas = append(deltas, e.Delta)
			}
			lifted, over := notes.Lift(append(deltas, w.unsent...), r.Ops)
			text, err := over.Apply(w.text)
			if err != nil {
				return err
			}
			w.text = text
			for i := range w.sent {
				w.sent[i].Delta = lifted[i]
			}
			w.hold(lifted[len(w.sent):])
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
	for made := 0; made < many || len(w.sent)+len(w.unsent) > 0; {
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
	want := int64(writers*each + offline)
	for _, w := range all {
		want -= int64(w.dropped)
		if err := w.read(); err != nil {
			t.Fatal(err)
		}
		if w.text != n.Content {
			t.Errorf("%s has %d bytes, the server %d", w.id, len(w.text), len(n.Content))
		}
	}
	if got := s.number(`SELECT count(*) FROM note_ops`); got != want {
		t.Errorf("%d edits, want %d", got, want)
	}
}
