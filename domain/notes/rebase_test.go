package notes_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connvo/domain"
	"connvo/domain/notes"
)

func inserts(at int, text string) notes.Delta {
	return notes.Delta{notes.Retain(at), notes.Insert(text)}.Normalize()
}
func deletes(at, n int) notes.Delta {
	return notes.Delta{notes.Retain(at), notes.Delete(n)}.Normalize()
}

// holding returns a server whose document is text, at version 1 unless it is empty.
func holding(t *testing.T, text string) *server {
	t.Helper()
	s := newServer(func() int64 { return 1 })
	if text != "" {
		must(t, s, "author", 0, 1, inserts(0, text))
	}
	return s
}

func must(t *testing.T, s *server, client string, base, seq int64, deltas ...notes.Delta) []notes.Revision {
	t.Helper()
	edits, err := try(s, client, base, seq, deltas...)
	if err != nil {
		t.Fatalf("%s at %d: %v", client, base, err)
	}
	return edits
}

func try(s *server, client string, base, seq int64, deltas ...notes.Delta) ([]notes.Revision, error) {
	r := request{client: client, base: base}
	for i, d := range deltas {
		r.edits = append(r.edits, notes.Edit{Seq: seq + int64(i), Delta: d})
	}
	return s.apply(r)
}

// refused wants an error, and nothing changed by it.
func refused(t *testing.T, s *server, client string, base, seq int64, deltas ...notes.Delta) error {
	t.Helper()
	text, version, c := s.text.String(), s.version(), fmt.Sprint(s.clients[client])
	edits, err := try(s, client, base, seq, deltas...)
	if err == nil {
		t.Fatalf("%s at %d is not refused: %+v", client, base, edits)
	}
	if s.text.String() != text || s.version() != version || fmt.Sprint(s.clients[client]) != c && version > 0 && len(c) > 0 && s.clients[client].Seq > 0 {
		t.Errorf("%s at %d: refused, and leaves %q, version %d, %+v", client, base, s.text, s.version(), s.clients[client])
	}
	return err
}

func (s *server) want(t *testing.T, text string) {
	t.Helper()
	if s.text.String() != text {
		t.Errorf("the text is %q, want %q", s.text, text)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

// A client may go on from the version it knows, without waiting for its own
// edits to come back: they count as known.
func TestOwnEditsAreNotConcurrent(t *testing.T) {
	s := holding(t, "ac")
	must(t, s, "me", 1, 1, inserts(1, "b"))
	must(t, s, "me", 1, 2, inserts(3, "d"))
	must(t, s, "other", 1, 1, inserts(0, "<"))
	must(t, s, "me", 1, 3, inserts(4, "e"), inserts(5, "f"))
	s.restart()
	must(t, s, "me", 1, 5, inserts(6, "g"))
	s.want(t, "<abcdefg")
}

// The same edits with what has gone by is what a client that reads on sends.
func TestTheBaseMayMoveBetweenOwnRevisions(t *testing.T) {
	s := holding(t, "ac")
	must(t, s, "me", 1, 1, inserts(1, "b"))     // 2: abc
	must(t, s, "other", 1, 1, inserts(0, "<"))  // 3: <abc
	must(t, s, "me", 1, 2, inserts(3, "d"))     // 4: <abcd
	must(t, s, "other", 3, 2, deletes(0, 1))    // 5: abcd
	must(t, s, "me", 3, 3, inserts(5, "e"))     // 6: on <abcd
	must(t, s, "me", 4, 4, inserts(6, "f"))     // 7: on <abcde
	must(t, s, "me", 5, 5, inserts(6, "g"))     // 8: on abcdef
	must(t, s, "me", 8, 6, inserts(7, "h"))     // 9
	must(t, s, "other", 5, 3, inserts(4, "!?")) // 10: of two at one place the first stands first
	must(t, s, "me", 9, 7, inserts(8, "i"))     // 11
	s.want(t, "abcdefgh!?i")
}

// Who has read all, after however long, needs nothing of what was.
func TestAClientThatHasReadAllNeedsNoHistory(t *testing.T) {
	s := holding(t, "ab")
	must(t, s, "other", 1, 1, inserts(0, "<"))
	must(t, s, "me", 1, 1, inserts(1, "-"))
	must(t, s, "other", 2, 2, inserts(3, ">"))
	c, applied, err := s.clients["me"].Rebase(nil, s.text.Units(), s.version(), []notes.Edit{{Seq: 2, Delta: inserts(5, "!")}})
	if err != nil || !applied[0].Equal(inserts(5, "!")) || c.Base != s.version() || len(c.Known) != 1 {
		t.Errorf("%v, %v, %+v", applied, err, c)
	}
}

// Two insertions that have become the same revision were at two places, and the
// edits that follow tell them apart: the revisions alone would not.
func TestKnownEditsTellPlacesApart(t *testing.T) {
	for at, want := range map[int]string{2: "azyd", 3: "ayd"} {
		s := holding(t, "abcd")
		must(t, s, "other", 1, 1, deletes(1, 2))
		if first := must(t, s, "me", 1, 1, inserts(at, "y")); !first[0].Delta.Equal(inserts(1, "y")) {
			t.Errorf("at %d: %s", at, show(first[0].Delta))
		}
		s.restart()
		switch at {
		case 2:
			must(t, s, "me", 1, 2, inserts(2, "z")) // between b and y
		case 3:
			must(t, s, "me", 1, 2, deletes(2, 1)) // c, which is gone
		}
		s.want(t, want)
	}
}

func TestEditsAreAppliedOnce(t *testing.T) {
	s := holding(t, "")
	first := must(t, s, "me", 0, 1, inserts(0, "a"), inserts(1, "b"))
	must(t, s, "other", 0, 1, inserts(0, "x"))
	again := must(t, s, "me", 0, 1, inserts(0, "a"), inserts(1, "b"), inserts(2, "c"))
	if len(again) != 3 || !slices.EqualFunc(first, again[:2], func(a, b notes.Revision) bool { return a.Version == b.Version && a.Delta.Equal(b.Delta) }) {
		t.Errorf("%+v, first %+v", again, first)
	}
	if all := must(t, s, "me", 77, 1, inserts(9, "what it"), inserts(9, "says"), inserts(9, "does not matter")); all[2].Version != again[2].Version {
		t.Errorf("%+v", all)
	}
	s.want(t, "abxc")
}

func TestGapsAreTold(t *testing.T) {
	s := holding(t, "")
	gap, isGap := errors.AsType[*notes.Gap](refused(t, s, "me", 0, 2, inserts(0, "b")))
	if !isGap || gap.Expected != 1 || !strings.Contains(gap.Error(), "from clientSeq 1 on") {
		t.Error(gap)
	}
	must(t, s, "me", 0, 1, inserts(0, "a"))
	if gap, isGap = errors.AsType[*notes.Gap](refused(t, s, "me", 0, 3, inserts(0, "b"))); !isGap || gap.Expected != 2 {
		t.Error(gap)
	}
	s.want(t, "a")
}

func TestRequestsThatAreWrong(t *testing.T) {
	s := holding(t, "a😀b")
	must(t, s, "other", 1, 1, deletes(0, 1), inserts(0, "ccc"))
	for name, err := range map[string]error{
		"nothing":                 refused(t, s, "me", 1, 1),
		"too many":                refused(t, s, "me", 1, 1, slices.Repeat([]notes.Delta{inserts(0, "a")}, notes.MaxEdits+1)...),
		"edit 0":                  refused(t, s, "me", 1, 0, inserts(0, "a")),
		"past the end":            refused(t, s, "me", 1, 1, inserts(5, "a")),
		"past the end by keeping": refused(t, s, "me", 1, 1, notes.Delta{notes.Insert("a"), notes.Retain(5)}),
		"past the second end":     refused(t, s, "me", 1, 1, deletes(0, 4), deletes(0, 1)),
		"half a pair":             refused(t, s, "me", 1, 1, inserts(0, "x"), deletes(2, 1)),
		"within a pair":           refused(t, s, "me", 3, 1, inserts(4, "x")),
	} {
		if domain.KindOf(err) != domain.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := notes.Client{ID: "me"}
	if _, err := c.Repeated([]notes.Edit{{Seq: 1}, {Seq: 3}}); domain.KindOf(err) != domain.Invalid {
		t.Error(err)
	}
	must(t, s, "me", 1, 1, inserts(4, "x"))
	must(t, s, "me", 3, 2, inserts(7, "y"))
	s.want(t, "ccc😀bxy")
}

// A client that has started again from what it had written down goes back to an
// older base. It can, if it sends all that it has done since.
func TestTheBaseMayGoBack(t *testing.T) {
	s := holding(t, "ad")
	must(t, s, "other", 1, 1, inserts(0, "<"))
	must(t, s, "me", 1, 1, inserts(1, "b"))
	must(t, s, "me", 2, 2, inserts(3, "c"))
	if err := refused(t, s, "me", 1, 3, inserts(3, "!")); !errors.Is(err, notes.ErrBase) {
		t.Error(err)
	}
	if err := refused(t, s, "me", 1, 2, inserts(2, "c"), inserts(3, "!")); !errors.Is(err, notes.ErrBase) {
		t.Error(err)
	}
	if err := refused(t, s, "me", 1, 1, inserts(1, "b"), inserts(1, "c"), inserts(3, "!")); !errors.Is(err, notes.ErrBase) {
		t.Error("other edits by the same numbers:", err)
	}
	must(t, s, "me", 1, 1, inserts(1, "b"), inserts(2, "c"), inserts(3, "!"))
	must(t, s, "me", 1, 4, inserts(4, "?"))
	s.want(t, "<abc!?d")
}

// A transaction may be done twice: the first time leaves no trace.
func TestRebaseKeepsWhatItIsGiven(t *testing.T) {
	s := holding(t, "abcdef")
	must(t, s, "me", 1, 1, inserts(3, "-"))
	must(t, s, "other", 1, 1, deletes(0, 2))
	must(t, s, "me", 1, 2, inserts(4, "-"))
	c := s.clients["me"]
	kept := fmt.Sprintf("%#v", c)
	history, _ := s.since(c.After(1), 100)
	edits := []notes.Edit{{Seq: 3, Delta: deletes(0, 3)}}
	_, once, err := c.Rebase(history, s.text.Units(), 1, edits)
	if err != nil {
		t.Fatal(err)
	}
	_, twice, err := c.Rebase(history, s.text.Units(), 1, edits)
	if err != nil || !slices.EqualFunc(once, twice, notes.Delta.Equal) || fmt.Sprintf("%#v", c) != kept {
		t.Errorf("%v, then %v, %v; %#v", once, twice, err, c)
	}
}

// Ten thousand edits that were made offline, while others made 200, go
// through in requests from the same base.
func TestALongQueueFromOneBase(t *testing.T) {
	t.Parallel()
	s := holding(t, strings.Repeat(".", 1_000))
	for i := range 200 {
		must(t, s, "other", 1, int64(i+1), inserts(2*i, "o"))
	}
	me := &editor{id: "me", draft: draft{base: 1, text: strings.Repeat(".", 1_000)}}
	for i := range 10_000 {
		if err := me.edit(inserts(i%900+i/10, "m")); err != nil {
			t.Fatal(err)
		}
	}
	for {
		r, some := me.request(notes.MaxEdits, false)
		if !some {
			break
		}
		if err := me.hear(s.submit(r)); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.clients["me"].Seq; n != 10_000 || s.text.Units() != 11_200 {
		t.Errorf("%d edits, %d units", n, s.text.Units())
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

// What takes too long is left to the client, which then has a base from which
// little is to be done.
func TestTooFarBehind(t *testing.T) {
	s := holding(t, "ab")
	for i := range 1_001 {
		must(t, s, "other", 1, int64(i+1), inserts(0, "o"))
	}
	long := slices.Repeat([]notes.Delta{{notes.Insert("m"), notes.Retain(1), notes.Insert("m")}}, notes.MaxEdits)
	if err := refused(t, s, "far", 1, 1, long...); !errors.Is(err, notes.ErrBase) {
		t.Error(err)
	}
	mine := slices.Repeat([]notes.Delta{inserts(0, "m")}, notes.MaxEdits)
	must(t, s, "me", 1, 1, mine...)
	must(t, s, "me", 1, notes.MaxEdits+1, mine...)
	s.restart()
	read := s.version() - 2*notes.MaxEdits
	for _, base := range []int64{1, 2, read} {
		if err := refused(t, s, "me", base, 2*notes.MaxEdits+1, mine...); !errors.Is(err, notes.ErrBase) {
			t.Errorf("from %d on: %v", base, err)
		}
	}
	must(t, s, "me", s.version(), 2*notes.MaxEdits+1, mine...)
}

// An edit that others have emptied is looked at all the same: very many of them are too
// many, too.
func TestTooFarBehindEmptiedEdits(t *testing.T) {
	s := holding(t, strings.Repeat(".", 10_000))
	must(t, s, "first", 1, 1, deletes(0, 5_000))
	same := slices.Repeat([]notes.Delta{deletes(0, 1)}, notes.MaxEdits)
	for seq := int64(1); seq <= 5_000; seq += notes.MaxEdits {
		must(t, s, "again", 1, seq, same...)
	}
	if err := refused(t, s, "me", 1, 1, same...); !errors.Is(err, notes.ErrBase) {
		t.Error(err)
	}
	must(t, s, "me", 2, 1, inserts(0, "m"))
}

// Were a Client ever kept without its revisions, nothing would be applied by
// guessing.
func TestAClientThatLacksItsRevisions(t *testing.T) {
	s := holding(t, "ab")
	must(t, s, "me", 1, 1, inserts(2, "c"))
	must(t, s, "other", 1, 1, inserts(0, "a"))
	must(t, s, "me", 1, 2, inserts(3, "d"))
	stale := s.clients["me"]
	must(t, s, "me", 1, 3, inserts(4, "e"))
	for _, c := range []notes.Client{{ID: "me", Seq: 3, Base: 1}, {ID: "me", Seq: 2, Base: 1, Known: stale.Known}, stale, {ID: "me", Seq: 3, Base: 0}} {
		s.clients["me"] = c
		if err := refused(t, s, "me", 1, c.Seq+1, inserts(5, "f")); domain.KindOf(err) != domain.Internal || errors.Is(err, notes.ErrBase) {
			t.Error(c, err)
		}
	}
}
