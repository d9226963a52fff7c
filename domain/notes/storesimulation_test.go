package notes_test

import (
	"context"
	"fmt"
	"testing"

	"connvo/domain/notes"
)

// The simulation with the real Store, in place of a server in memory: it starts again
// with what is stored, and its history is compacted at times, once all have read it.
func TestSeedsConvergeInTheStore(t *testing.T) {
	t.Parallel()
	all := map[string]int{}
	for seed := range uint64(max(1, *seeds/100)) {
		if *oneSeed != 0 {
			seed = *oneSeed - 1
		}
		counts, err := simulate(seed+1, newDesk(t), func(string, ...any) {})
		if err != nil {
			t.Fatalf("go test ./domain/notes -run TestSeedsConvergeInTheStore -v -seeds=1 -seed=%d: %v", seed+1, err)
		}
		for what, n := range counts {
			all[what] += n
		}
	}
	t.Log(all)
}

// submitted sends a request to the Store, and notes what that has applied.
func (s *server) submitted(r request) ([]notes.Revision, error) {
	k := s.desk
	a, err := k.notes.Submit(context.Background(), k.host, k.id, notes.Submission{Client: r.client, Base: r.base, Edits: r.edits})
	if expected := member(err, "expectedClientSeq"); expected >= 0 {
		return nil, &notes.Gap{Expected: expected}
	} else if member(err, "version") >= 0 {
		return nil, notes.ErrBase
	} else if err != nil {
		return nil, err
	}
	for _, e := range a.Edits {
		if e.Version > s.version() { // else it was applied before
			s.clients[r.client] = notes.Client{ID: r.client, Seq: e.Seq}
			if err := s.append(e); err != nil {
				return nil, err
			}
		}
	}
	if a.Version != s.version() {
		return nil, fmt.Errorf("the Store has version %d, not %d", a.Version, s.version())
	}
	return a.Edits, nil
}

func (s *server) append(r notes.Revision) error {
	if len(r.Delta) == 0 {
		s.emptied++
	}
	s.revisions = append(s.revisions, r)
	return s.text.Apply(r.Delta)
}

// rolledBack takes back the last n revisions, unless what was before is compacted.
func (s *server) rolledBack(n int) error {
	to, last := int64(0), s.version()
	if before := len(s.revisions) - n; before > 0 {
		to = s.revisions[before-1].Version
	}
	if to < s.floor {
		return nil
	}
	if _, err := s.desk.notes.Rollback(context.Background(), s.desk.host, s.desk.id, to); err != nil {
		return err
	}
	for _, l := range s.desk.since(last, 1) { // nothing where all was so already
		s.undone++
		l.Seq = s.undone
		if err := s.append(l.Revision); err != nil {
			return err
		}
	}
	return s.stored()
}

// stored compares the text with that of the Store.
func (s *server) stored() error {
	if n := s.desk.get(); n.Content != s.text.String() {
		return fmt.Errorf("the Store has %q, its revisions make %q", n.Content, s.text)
	}
	return nil
}

// compact has everybody read everything, but for what is in flight, and the history
// compacted up to there.
func (w *world) compact() error {
	for _, e := range w.editors {
		revisions, _ := w.server.since(e.base, len(w.server.revisions))
		if err := e.receive(revisions); err != nil {
			return err
		}
		e.kept = e.clone()
	}
	w.server.desk.ahead += notes.Lifetime
	w.server.desk.compact()
	w.server.floor = w.server.version()
	w.counts["compacted"]++
	return w.server.stored()
}
