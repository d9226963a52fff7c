package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
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
	due  [][]atomic.Int64 // when each edit that was sent was made, since the epoch, by editor and its number from 0
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
	text    []byte      // at base, with sent and unsent done
	sent    []keystroke // its edits after those that are seen, as they are at base
	unsent  []made      // edits after these, of which none is idle
	count   int         // edits sent
	acked   int         // … of these known to be revisions
	seen    []int       // by editor: the number of its edits that are in base
	took    []time.Duration
	arrived []time.Duration // how long the edits of others took
	moved   chan struct{}   // holds one: base has moved
	err     error           // why its stream ended before it was to, or what it brought cannot be
}

// made is a keystroke that is not sent yet.
type made struct {
	keystroke
	at time.Duration // when it was to be made, since the epoch
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
	e.unsent = append(e.unsent, made{k, at})
	return err
}

// owed is how many of its edits are not acknowledged.
func (e *editor) owed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count - e.acked + len(e.unsent)
}

// request returns what it sends next, once the last is answered: its edits from one number to before another; nothing
// when both are the same.
func (e *editor) request() (body []byte, from, to int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.unsent[:min(len(e.unsent), maxSent)]
	if from = e.count; e.err != nil || len(next) == 0 {
		return nil, from, from
	}
	body = fmt.Appendf(e.line.body[:0], `{"clientId":%q,"baseVersion":%d,"edits":[`, e.client(e.number), e.base)
	for i, k := range next {
		if i > 0 {
			body = append(body, ',')
		}
		e.due[e.number][e.count].Store(int64(k.at))
		e.count++
		body = append(strconv.AppendInt(append(body, `{"clientSeq":`...), int64(e.count), 10), `,"ops":`...)
		body = append(k.render(body), '}')
		e.sent = append(e.sent, k.keystroke)
	}
	e.unsent = e.unsent[len(next):]
	return append(body, "]}"...), from, e.count
}

// send sends what is to be sent and takes the answer. It returns whether there was something.
func (e *editor) send(ctx context.Context) (some bool, err error) {
	body, from, to := e.request()
	if from == to {
		return false, nil
	}
	e.line.body = body
	got, err := e.line.do(ctx, request{method: "POST", path: e.room.notes() + "/ops", token: e.token, body: body})
	if err != nil {
		return true, err
	}
	now := e.now()
	if got.status != 200 {
		return true, refusal(got.status, got.body)
	}
	var answer struct {
		Edits []struct{ ClientSeq int }
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || len(answer.Edits) != to-from {
		return true, fmt.Errorf("%d answers to %d edits: %v", len(answer.Edits), to-from, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, a := range answer.Edits {
		if a.ClientSeq != from+i+1 {
			return true, fmt.Errorf("edit %d is answered as %d", from+i+1, a.ClientSeq)
		}
		e.took = append(e.took, now-time.Duration(e.due[e.number][from+i].Load()))
	}
	e.acked = to
	return true, nil
}

// write makes edits, one every so often after the first moment, and sends those that are not sent once the last
// request is answered. It returns when all are acknowledged.
func (e *editor) write(ctx context.Context, first, every time.Duration, edits int) error {
	for n := 0; n < edits; {
		if !sleep(ctx, first+time.Duration(n)*every-e.now()) {
			return cause(ctx, nil)
		}
		for at := first + time.Duration(n)*every; n < edits && at <= e.now(); at += every {
			if err := e.edit(at); err != nil {
				return err
			}
			n++
		}
		if _, err := e.send(ctx); err != nil {
			return err
		}
	}
	for {
		if some, err := e.send(ctx); !some || err != nil {
			return err
		}
	}
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
		if len(e.sent) == 0 || e.sent[0] != over {
			return fmt.Errorf("was not made so")
		}
		e.sent = e.sent[1:]
		return nil
	}
	e.arrived = append(e.arrived, at-time.Duration(e.due[number][r.ClientSeq-1].Load()))
	for i, k := range e.sent {
		e.sent[i], over = k.past(over, false), over.past(k, true)
	}
	for i, k := range e.unsent {
		e.unsent[i].keystroke, over = k.past(over, false), over.past(k.keystroke, true)
	}
	e.unsent = slices.DeleteFunc(e.unsent, func(k made) bool { return k.idle() }) // others have done it
	e.text, err = over.apply(e.text)
	return err
}

// shows tells whether it has come to this version, and then whether its text is that.
func (e *editor) shows(version int64, text string) (there, same bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.base >= version, e.base == version && len(e.sent)+len(e.unsent) == 0 && string(e.text) == text, e.err
}
