package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const maxSent = 500 // edits in one request, as the server takes them

// desk is the notes that editors write together.
type desk struct {
	mark
	room room
	due  [][]atomic.Int64 // when each edit was made, since the epoch, by editor and its number from 0
	late time.Duration    // to wait for what is still to be acknowledged
}

func (r room) notes() string { return r.path + "/notes" }

// client is the clientId of the editor with that number.
func (d *desk) client(number int) string { return "bench-" + d.run + "-" + strconv.Itoa(number) }

// editor is one client of notes, as docs/notes.md describes it.
type editor struct {
	*desk
	user
	number int
	line   *line
	stream *stream

	mu      sync.Mutex // guards the rest
	base    int64
	text    []byte      // at base, with pending done
	pending []keystroke // the edits after those of seen that are its own, as they are at base
	made    int         // edits made
	acked   int         // … of these known to be revisions
	seen    []int       // by editor: the number of its edits that are in base
	took    []time.Duration
	arrived []time.Duration // how long the edits of others took
	moved   chan struct{}   // holds one: base has moved
	err     error           // why its stream ended before it was to, or what it brought cannot be
}

// revision is an edit of the notes as the feed tells it.
type revision struct {
	Version   int64
	ClientID  string
	ClientSeq int
	Ops       []op
}

// edit makes its next edit, as if at that time.
func (e *editor) edit(at time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := keystroke{at: rand.IntN(len(e.text) + 1), letter: byte('a' + rand.IntN(26))}
	if k.at < len(e.text) && rand.IntN(3) == 0 {
		k.letter, k.erases = 0, true
	}
	var err error
	e.text, err = k.apply(e.text)
	e.due[e.number][e.made].Store(int64(at))
	e.pending, e.made = append(e.pending, k), e.made+1
	return err
}

// request returns what it sends next, its edits from one number to before another; nothing when both are the same.
func (e *editor) request() (body []byte, from, to int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	from = max(e.acked, e.seen[e.number])
	if e.err != nil || from == e.made {
		return nil, from, from
	}
	unsent := e.pending[from-e.seen[e.number]:]
	unsent = unsent[:min(len(unsent), maxSent)]
	body = fmt.Appendf(e.line.body[:0], `{"clientId":%q,"baseVersion":%d,"edits":[`, e.client(e.number), e.base)
	for i, k := range unsent {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(strconv.AppendInt(append(body, `{"clientSeq":`...), int64(from+i+1), 10), `,"ops":`...)
		body = append(k.render(body), '}')
	}
	return append(body, "]}"...), from, from + len(unsent)
}

// send sends what is to be sent and takes the answer.
func (e *editor) send(ctx context.Context) error {
	body, from, to := e.request()
	if from == to {
		return nil
	}
	e.line.body = body
	got, err := e.line.do(ctx, request{method: "POST", path: e.room.notes() + "/ops", token: e.token, body: body})
	if err != nil {
		return err
	}
	now := e.now()
	if got.status != 200 {
		return refusal(got.status, got.body)
	}
	var answer struct {
		Edits []struct{ ClientSeq int }
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || len(answer.Edits) != to-from {
		return fmt.Errorf("%d answers to %d edits: %v", len(answer.Edits), to-from, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, a := range answer.Edits {
		if a.ClientSeq != from+i+1 {
			return fmt.Errorf("edit %d is answered as %d", from+i+1, a.ClientSeq)
		}
		e.took = append(e.took, now-time.Duration(e.due[e.number][from+i].Load()))
	}
	e.acked = to
	return nil
}

// write makes edits, one every so often after the first moment, and sends those that are not sent once the last
// request is answered. It returns when all are acknowledged.
func (e *editor) write(ctx context.Context, first, every time.Duration, edits int) error {
	for made := 0; made < edits; {
		if !sleep(ctx, first+time.Duration(made)*every-e.now()) {
			return cause(ctx, nil)
		}
		for at := first + time.Duration(made)*every; made < edits && at <= e.now(); at += every {
			if err := e.edit(at); err != nil {
				return err
			}
			made++
		}
		if err := e.send(ctx); err != nil {
			return err
		}
	}
	for _, from, to := e.request(); from < to; _, from, to = e.request() {
		if err := e.send(ctx); err != nil {
			return err
		}
	}
	return nil
}

// read takes what the feed brings until its stream ends.
func (e *editor) read(live context.Context) {
	for {
		got, err := e.stream.next()
		if live.Err() != nil || !e.take(got, err, e.now()) {
			return
		}
	}
}

// take does what an event brings, or keeps why there is none. It returns whether the stream goes on.
func (e *editor) take(got event, err error, at time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	var page struct{ Items []revision }
	if err == nil && got.name == "items" {
		err = json.Unmarshal(got.data, &page)
	}
	for _, r := range page.Items {
		if err == nil {
			if err = e.step(r, at); err != nil {
				err = fmt.Errorf("version %d, edit %d of %s: %w", r.Version, r.ClientSeq, r.ClientID, err)
			}
		}
	}
	e.err = err
	select {
	case e.moved <- struct{}{}:
	default:
	}
	return err == nil
}

// step goes on to the next version. mu is held.
func (e *editor) step(r revision, at time.Duration) error {
	number, err := strconv.Atoi(strings.TrimPrefix(r.ClientID, e.client(0)[:len(e.client(0))-1]))
	if err != nil || number < 0 || number >= len(e.seen) {
		return fmt.Errorf("an edit of nobody")
	}
	over, err := keystrokeOf(r.Ops)
	if err != nil {
		return err
	}
	if r.Version <= e.base || r.ClientSeq != e.seen[number]+1 {
		return fmt.Errorf("comes after version %d and edit %d of it", e.base, e.seen[number])
	}
	e.base, e.seen[number] = r.Version, r.ClientSeq
	if number == e.number {
		if len(e.pending) == 0 || e.pending[0] != over {
			return fmt.Errorf("was not made so")
		}
		e.pending = e.pending[1:]
		return nil
	}
	e.arrived = append(e.arrived, at-time.Duration(e.due[number][r.ClientSeq-1].Load()))
	for i, p := range e.pending {
		e.pending[i], over = p.past(over, false), over.past(p, true)
	}
	e.text, err = over.apply(e.text)
	return err
}

// shows tells whether it has come to this version, and then whether its text is that.
func (e *editor) shows(version int64, text string) (there, same bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.base >= version, e.base == version && len(e.pending) == 0 && string(e.text) == text, e.err
}
