package notes_test

import (
	"errors"
	"fmt"
	"slices"

	"connvo/domain"
	"connvo/domain/notes"
)

// server is what keeps a document, in memory: a request is a transaction.
type server struct {
	text      *notes.Text
	revisions []notes.Revision
	clients   map[string]notes.Client
	undone    int64        // rollbacks
	gap       func() int64 // how far the next version is from the last
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
	c := s.clients[r.client]
	c.ID = r.client
	repeated, err := c.Repeated(r.edits)
	if err != nil {
		return nil, err
	}
	if _, known := s.since(r.base, 0); !known && repeated < len(r.edits) {
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
	for id, c := range s.clients {
		s.clients[id] = notes.Client{ID: c.ID, Seq: c.Seq, Base: c.Base, Known: c.Known}
	}
}

// rollback takes back the last n revisions by a new one of the server's own.
func (s *server) rollback(n int) error {
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
	acked   int64 // edits up to this one are revisions, as answers say
	waiting int   // the number of the request whose answer is awaited, or 0
	sent    int   // requests
	offline bool
}

// draft is what an editor works on.
type draft struct {
	base    int64
	text    string       // at base, with pending done
	pending []notes.Edit // not seen as revisions, in their form at base
	seq     int64        // of the last edit made
}

func (d draft) clone() draft {
	d.pending = slices.Clone(d.pending)
	return d
}

func (e *editor) edit(d notes.Delta) error {
	if d = d.Normalize(); len(d) == 0 {
		return nil
	}
	text, err := d.Apply(e.text)
	e.text = text
	e.seq++
	e.pending = append(e.pending, notes.Edit{Seq: e.seq, Delta: d})
	return err
}

// receive takes what the feed brings. Revisions that it knows may come again.
func (e *editor) receive(revisions []notes.Revision) error {
	for _, r := range revisions {
		if r.Version <= e.base {
			continue
		}
		if r.Client == e.id {
			if len(e.pending) == 0 || e.pending[0].Seq != r.Seq || !e.pending[0].Delta.Equal(r.Delta) {
				return fmt.Errorf("%s has %+v pending and reads of %+v", e.id, e.pending, r)
			}
			e.pending, e.acked, e.base = e.pending[1:], max(e.acked, r.Seq), r.Version
			continue
		}
		deltas := make([]notes.Delta, len(e.pending))
		for i, p := range e.pending {
			deltas[i] = p.Delta
		}
		lifted, over := notes.Lift(deltas, r.Delta)
		text, err := over.Apply(e.text)
		if err != nil {
			return err
		}
		e.text, e.base = text, r.Version
		for i := range e.pending {
			e.pending[i].Delta = lifted[i]
		}
	}
	return nil
}

// request writes down what it is about to send and returns it: up to most edits
// that have no answer, or from the first one that the feed has not brought.
func (e *editor) request(most int, again bool) (request, bool) {
	edits := e.pending
	for !again && len(edits) > 0 && edits[0].Seq <= e.acked {
		edits = edits[1:]
	}
	if len(edits) == 0 {
		return request{}, false
	}
	if e.kept.seq < e.seq {
		e.kept = e.clone()
	}
	e.sent++
	e.waiting = e.sent
	return request{e.id, e.sent, e.base, slices.Clone(edits[:min(most, len(edits))])}, true
}

func (e *editor) hear(a answer) error {
	if a.number != e.waiting {
		return nil // given up
	}
	e.waiting = 0
	gap, isGap := errors.AsType[*notes.Gap](a.err)
	switch {
	case isGap:
		e.acked = gap.Expected - 1
	case errors.Is(a.err, notes.ErrBase):
		e.acked = 0 // and the feed brings more
	case domain.KindOf(a.err) == domain.Invalid, a.err != nil:
		return fmt.Errorf("%s is refused: %w", e.id, a.err)
	case len(a.edits) > 0:
		e.acked = max(e.acked, a.edits[len(a.edits)-1].Seq)
	}
	return nil
}

// crash leaves what is written down.
func (e *editor) crash() {
	e.draft, e.acked, e.waiting = e.kept.clone(), 0, 0
}
