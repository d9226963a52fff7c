package notes_test

import (
	"errors"
	"fmt"
	"slices"

	"connvo/domain/events"
	"connvo/domain/notes"
)

// server is what keeps a document, in memory: a request is a transaction.
type server struct {
	text      *notes.Text
	revisions []notes.Revision
	clients   map[string]notes.Client
	undone    int64        // rollbacks
	gap       func() int64 // how far the next version is from the last
	far       int          // how many revisions a base may be behind, 0 for any
	emptied   int          // edits that were applied as nothing
	desk      *desk        // whose Store does what is asked, nil where this does it
	floor     int64        // what is before it is compacted there
}

func newServer(gap func() int64) *server {
	return &server{text: notes.NewText(""), clients: map[string]notes.Client{}, gap: gap}
}

type request struct {
	client string
	number int // by which the client knows its answer
	base   int64
	edits  []notes.Edit
}

// answer is what became of a request: the edits as applied, or an error.
type answer struct {
	client string
	number int
	edits  []notes.Revision
	err    error
}

func (s *server) version() int64 {
	if len(s.revisions) == 0 {
		return 0
	}
	return s.revisions[len(s.revisions)-1].Version
}

// since returns the revisions after a version, at most n; ok is whether it is one.
func (s *server) since(version int64, n int) (after []notes.Revision, ok bool) {
	if version == 0 {
		return s.revisions[:min(n, len(s.revisions))], true
	}
	i, found := slices.BinarySearchFunc(s.revisions, version, func(r notes.Revision, v int64) int { return int(r.Version - v) })
	if !found {
		return nil, false
	}
	return s.revisions[i+1:][:min(n, len(s.revisions)-i-1)], true
}

func (s *server) submit(r request) answer {
	edits, err := s.apply(r)
	return answer{r.client, r.number, edits, err}
}

func (s *server) apply(r request) ([]notes.Revision, error) {
	if s.desk != nil {
		return s.submitted(r)
	}
	c := s.clients[r.client]
	c.ID = r.client
	repeated, err := c.Repeated(r.edits)
	if err != nil {
		return nil, err
	}
	for _, e := range r.edits {
		if len(e.Delta.Normalize()) == 0 {
			return nil, fmt.Errorf("edit %d of %s is empty", e.Seq, r.client)
		}
	}
	behind, known := s.since(r.base, len(s.revisions))
	if repeated < len(r.edits) && (!known || s.far > 0 && len(behind) > s.far) {
		return nil, notes.ErrBase
	}
	history, known := s.since(c.After(r.base), len(s.revisions))
	if !known && repeated < len(r.edits) {
		return nil, fmt.Errorf("a client is kept at %d, which is no version", c.After(r.base))
	}
	next, applied, err := c.Rebase(history, s.text.Units(), r.base, r.edits)
	if err != nil {
		return nil, err
	}
	var edits []notes.Revision
	for i, d := range applied {
		if err := s.text.Apply(d); err != nil {
			s.text = notes.NewText(s.replay(s.revisions))
			return nil, err
		}
		if len(d) == 0 {
			s.emptied++
		}
		e := r.edits[repeated+i]
		edits = append(edits, notes.Revision{Version: s.version(), Client: r.client, Seq: e.Seq, Delta: d})
	}
	for i := range edits {
		edits[i].Version = s.version() + s.gap()
		s.revisions = append(s.revisions, edits[i])
	}
	s.clients[r.client] = next
	return append(s.first(r, repeated), edits...), nil
}

// first returns the answers that repeated edits have had.
func (s *server) first(r request, repeated int) []notes.Revision {
	var edits []notes.Revision
	for _, e := range r.edits[:repeated] {
		i := slices.IndexFunc(s.revisions, func(v notes.Revision) bool { return v.Client == r.client && v.Seq == e.Seq })
		edits = append(edits, s.revisions[i])
	}
	return edits
}

// restart forgets what is only in memory.
func (s *server) restart() {
	if s.desk != nil {
		s.desk.notes = notes.NewStore(s.desk.db, events.NewLog(nil))
		return
	}
	for id, c := range s.clients {
		s.clients[id] = notes.Client{ID: c.ID, Seq: c.Seq, Base: c.Base, Known: c.Known}
	}
}

// rollback takes back the last n revisions by a new one of the server's own.
func (s *server) rollback(n int) error {
	if s.desk != nil {
		return s.rolledBack(n)
	}
	before := len(s.revisions) - n
	undo, text := notes.Delta{}, s.replay(s.revisions[:before])
	for _, r := range s.revisions[before:] {
		inverse, err := r.Delta.Invert(text)
		if err == nil {
			text, err = r.Delta.Apply(text)
		}
		if err == nil {
			undo, err = notes.Compose(inverse, undo)
		}
		if err != nil {
			return err
		}
	}
	s.undone++
	s.revisions = append(s.revisions, notes.Revision{Version: s.version() + s.gap(), Seq: s.undone, Delta: undo})
	err := s.text.Apply(undo)
	if want := s.replay(s.revisions[:before]); err == nil && s.text.String() != want {
		return fmt.Errorf("taken back to %q, want %q", s.text, want)
	}
	return err
}

// replay returns what revisions make.
func (s *server) replay(revisions []notes.Revision) string {
	text := notes.NewText("")
	for _, r := range revisions {
		if err := text.Apply(r.Delta); err != nil {
			return err.Error()
		}
	}
	return text.String()
}

// check compares the text with what the revisions make of it.
func (s *server) check() error {
	last, seqs := int64(0), map[string]int64{}
	for _, r := range s.revisions {
		if seqs[r.Client]++; r.Seq != seqs[r.Client] || r.Version <= last {
			return fmt.Errorf("version %d is edit %d of %s, after version %d and edit %d", r.Version, r.Seq, r.Client, last, seqs[r.Client]-1)
		}
		last = r.Version
	}
	if text := s.replay(s.revisions); text != s.text.String() {
		return fmt.Errorf("the revisions make %q, the server has %q", text, s.text)
	}
	return nil
}

// editor is a client as docs/notes.md describes it.
type editor struct {
	id string
	draft
	kept    draft // what is written down, and left after a crash
	waiting int   // the number of the request whose answer is awaited, or 0
	asked   int   // requests
	dropped int   // edits that others have emptied before they were sent
	offline bool
}

// draft is what an editor works on.
type draft struct {
	base   int64
	text   string        // at base, with sent and unsent done
	sent   []notes.Edit  // not seen as revisions, in their form at base
	flight *request      // the last of sent as they were sent, until they are known to be applied
	first  int64         // of flight that is new
	unsent []notes.Delta // in their form at base, none of them empty
	seq    int64         // of the last edit that was sent
}

func (d draft) clone() draft {
	d.sent, d.unsent = slices.Clone(d.sent), slices.Clone(d.unsent)
	return d
}

// edit does an edit of its text, unless it changes nothing.
func (e *editor) edit(d notes.Delta) error {
	if d = d.Normalize(); len(d) == 0 {
		return nil
	}
	text, err := d.Apply(e.text)
	e.text = text
	e.unsent = append(e.unsent, d)
	return err
}

// receive takes what the feed brings. Revisions that it knows may come again.
func (e *editor) receive(revisions []notes.Revision) error {
	for _, r := range revisions {
		if r.Version <= e.base {
			continue
		}
		if r.Client == e.id {
			if len(e.sent) == 0 || e.sent[0].Seq != r.Seq || !e.sent[0].Delta.Equal(r.Delta) {
				return fmt.Errorf("%s has sent %+v and reads of %+v", e.id, e.sent, r)
			}
			e.sent, e.base = e.sent[1:], r.Version
			if e.flight != nil && e.first <= r.Seq {
				e.flight = nil // a request is applied whole
			}
			continue
		}
		deltas := make([]notes.Delta, 0, len(e.sent)+len(e.unsent))
		for _, s := range e.sent {
			deltas = append(deltas, s.Delta)
		}
		lifted, over := notes.Lift(append(deltas, e.unsent...), r.Delta)
		text, err := over.Apply(e.text)
		if err != nil {
			return err
		}
		e.text, e.base = text, r.Version
		for i := range e.sent {
			e.sent[i].Delta = lifted[i]
		}
		e.hold(lifted[len(e.sent):])
	}
	return nil
}

// hold keeps what is still to be sent, without what others have emptied.
func (e *editor) hold(edits []notes.Delta) {
	e.unsent = slices.DeleteFunc(edits, func(d notes.Delta) bool { return len(d) == 0 })
	e.dropped += len(edits) - len(e.unsent)
}

// request returns what is to be sent: the same again while no answer has come, else
// up to most edits, which get their numbers and are written down with them. With
// again those that are applied go before them, as they are by now.
func (e *editor) request(most int, again bool) (request, bool) {
	if e.flight == nil {
		if len(e.unsent) == 0 {
			return request{}, false
		}
		most, e.first = min(most, len(e.unsent)), e.seq+1
		e.flight = &request{client: e.id, base: e.base}
		for _, d := range e.unsent[:most] {
			e.seq++
			e.flight.edits = append(e.flight.edits, notes.Edit{Seq: e.seq, Delta: d})
		}
		applied := e.sent
		e.sent, e.unsent = append(applied, e.flight.edits...), e.unsent[most:]
		if again && !slices.ContainsFunc(applied, func(s notes.Edit) bool { return len(s.Delta) == 0 }) {
			e.flight.edits = slices.Clone(e.sent)
		}
		e.kept = e.clone()
	}
	e.asked++
	e.waiting = e.asked
	r := *e.flight
	r.number = e.waiting
	return r, true
}

func (e *editor) hear(a answer) error {
	if a.number != e.waiting {
		return nil // given up
	}
	e.waiting = 0
	gap, isGap := errors.AsType[*notes.Gap](a.err)
	switch {
	case isGap:
		e.expect(gap.Expected)
	case errors.Is(a.err, notes.ErrBase):
		if e.flight != nil {
			e.expect(e.first)
		}
	case a.err != nil:
		return fmt.Errorf("%s is refused: %w", e.id, a.err)
	default:
		e.flight = nil
	}
	return nil
}

// expect takes back what was sent and is not applied, from a number on, to be sent
// anew as it is now.
func (e *editor) expect(seq int64) {
	at := slices.IndexFunc(e.sent, func(s notes.Edit) bool { return s.Seq >= seq })
	if e.flight = nil; at < 0 {
		return
	}
	var back []notes.Delta
	for _, s := range e.sent[at:] {
		back = append(back, s.Delta)
	}
	e.seq = seq - 1
	e.sent = slices.Clone(e.sent[:at])
	e.hold(append(back, e.unsent...))
}

// crash leaves what is written down.
func (e *editor) crash() { e.draft, e.waiting = e.kept.clone(), 0 }
