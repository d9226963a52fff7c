package notes

import (
	"errors"
	"fmt"
	"slices"

	"connvo/domain"
)

// Revision is an edit as it was applied to the document, which it took from the
// revision before it to Version.
type Revision struct {
	Version int64
	Client  string // the clientId that sent it, "" for what the server did by itself
	Seq     int64  // clientSeq
	Delta   Delta
}

// Edit is an edit as a client made it: for its own document, with its earlier
// edits done.
type Edit struct {
	Seq   int64 // clientSeq, from 1, one more with every edit
	Delta Delta
}

// MaxSteps is how many Ops one request may have compared, where each pair of
// edits is a few, and one if both are empty: some 60 ms. A client that asks for more is too far behind: it
// reads what others have done, which lifts its edits where there is time, and
// sends again.
const MaxSteps = 2_000_000

// ErrBase is a base version from which the edits of a request cannot be brought
// to the newest: the client must read the revisions since, and then send again.
var ErrBase = errors.New("the base version is too far back")

// Gap is a request that leaves out edits.
type Gap struct {
	Expected int64 // the clientSeq that should come next
}

// Error tells what to send.
func (g *Gap) Error() string {
	return fmt.Sprintf("the edits from clientSeq %d on are missing", g.Expected)
}

// Client is what the server knows of the document that a client edits: the one
// at version Base, with Known done after it. It is a value: Rebase returns the
// next one, to be kept with the revisions or dropped with them.
//
// Known has to be kept, because the revisions do not tell it. Where others
// have removed "bc" from "abcd", an insertion after b and one after c are the same
// revision, but a next edit "after five units" means another place.
//
// The exported fields are what must be stored. A value that is also kept in
// memory spares the work of finding the way from Base to the newest version.
type Client struct {
	ID    string
	Seq   int64   // the last edit that is a revision, 0 when none is
	Base  int64   // a version that the client has said to have
	Known []Delta // its revisions after Base, in their order, in the form they have on its own document

	// The way from the client's document to that of the server at version to, as
	// edits that follow one another. Known is behind it up to passed.
	way    []Delta
	passed int
	to     int64
}

// Repeated returns how many of the edits, from the first, are revisions already
// and get the answer they have had. Edits that do not follow one another are
// Invalid; a *Gap are those that begin after the next.
func (c Client) Repeated(edits []Edit) (int, error) {
	if len(edits) == 0 || len(edits) > MaxEdits {
		return 0, domain.Fail(domain.Invalid, "a request has 1 to %d edits, not %d", MaxEdits, len(edits))
	}
	first := edits[0].Seq
	for i, e := range edits {
		if e.Seq != first+int64(i) || e.Seq < 1 {
			return 0, domain.Fail(domain.Invalid, "clientSeq counts the edits of a client from 1, without gaps")
		}
	}
	if first > c.Seq+1 {
		return 0, &Gap{Expected: c.Seq + 1}
	}
	return int(min(c.Seq+1-first, int64(len(edits)))), nil
}

// After returns the version after which Rebase must see all revisions of the
// document, for a request with that base. Those after base are enough when none
// of them is of this client.
func (c Client) After(base int64) int64 {
	switch {
	case base == c.Base:
		return max(c.to, c.Base)
	case len(c.Known) == 0:
		return base
	default:
		return min(base, c.Base)
	}
}

// Rebase returns the edits that are not Repeated as they are applied to the
// document, one after the other, and the Client once they are revisions. History
// is all revisions after c.After(base), in their order; units is the length of
// the document they lead to. The caller has made sure that base is a version of
// the document, and applies the result, which finds out about parted surrogate
// pairs.
//
// It fails as Repeated does; an edit that reaches past the end of the client's
// document is Invalid; ErrBase says that the client must catch up first. Nothing
// is to be kept of a request that fails.
func (c Client) Rebase(history []Revision, units int, base int64, edits []Edit) (Client, []Delta, error) {
	repeated, err := c.Repeated(edits)
	if err != nil || repeated == len(edits) {
		return c, nil, err
	}
	steps := MaxSteps
	next, err := c.onto(base, history, edits, &steps)
	if err != nil {
		return c, nil, err
	}
	if _, n := next.since(base, history); next.to == base && n != len(next.Known) {
		return c, nil, c.lacking()
	}
	if err := next.follow(history, &steps); err != nil {
		return c, nil, err
	}
	for _, d := range next.way {
		units -= d.Growth()
	}
	fresh := edits[repeated:]
	applied := make([]Delta, len(fresh))
	for i, e := range fresh {
		if over := e.Delta.Reach() - units; over > 0 {
			return c, nil, pastEnd(over)
		}
		units += e.Delta.Growth()
		d := e.Delta.Normalize()
		next.Known = append(next.Known, d)
		if applied[i], err = next.pass(d, &steps); err != nil {
			return c, nil, err
		}
	}
	next.Seq = fresh[len(fresh)-1].Seq
	next.passed = len(next.Known)
	return next, applied, nil
}

// onto returns the Client with another base, and Known as it is there.
func (c Client) onto(base int64, history []Revision, edits []Edit, steps *int) (Client, error) {
	if base == c.Base {
		c.Known, c.way = slices.Clone(c.Known), slices.Clone(c.way)
		if c.to < base {
			c.to = base
		}
		return c, nil
	}
	var known []Delta
	var err error
	switch first, n := c.since(base, history); {
	case n == 0:
	case base > c.Base:
		known, err = c.lifted(base, history, steps)
	case first >= edits[0].Seq:
		for _, e := range edits[first-edits[0].Seq:][:n] {
			known = append(known, e.Delta.Normalize())
		}
	default:
		// The client goes back, since it has started again from what it had written
		// down. Known is of a later base, so that it must send all of it.
		err = ErrBase
	}
	return Client{ID: c.ID, Seq: c.Seq, Base: base, Known: known, to: base}, err
}

// lacking is a Client that was not kept with its revisions. To go on from it
// would be to guess.
func (c Client) lacking() error {
	return fmt.Errorf("client %s is kept with edit %d after version %d, which its revisions contradict", c.ID, c.Seq, c.Base)
}

// since returns the first and the number of the client's revisions after a version.
func (c Client) since(version int64, history []Revision) (first int64, n int) {
	for _, r := range history {
		if r.Client == c.ID && r.Version > version {
			if n++; n == 1 {
				first = r.Seq
			}
		}
	}
	return first, n
}

// lifted returns Known as it is once the client has read on to base, as the
// client itself has made it.
func (c Client) lifted(base int64, history []Revision, steps *int) ([]Delta, error) {
	known := slices.Clone(c.Known)
	for _, r := range history {
		if r.Version <= c.Base || r.Version > base || len(known) == 0 {
			continue
		}
		if r.Client == c.ID {
			known = known[1:]
			continue
		}
		for _, k := range known {
			*steps -= max(1, len(k)+len(r.Delta))
		}
		if *steps < 0 {
			return nil, ErrBase
		}
		known, _ = Lift(known, r.Delta)
	}
	return known, nil
}

// follow finds the way to the newest version.
func (c *Client) follow(history []Revision, steps *int) error {
	for _, r := range history {
		if r.Version <= c.to {
			continue
		}
		c.to = r.Version
		if r.Client != c.ID {
			c.way = append(c.way, r.Delta)
			continue
		}
		if r.Seq <= c.Seq-int64(len(c.Known)-c.passed) {
			continue // passed when it was made a revision
		}
		if c.passed == len(c.Known) {
			return c.lacking()
		}
		passed, err := c.pass(c.Known[c.passed], steps)
		if err != nil {
			return err
		}
		if !passed.Equal(r.Delta) { // it has sent another edit by the same number
			return fmt.Errorf("edit %d of client %s is not version %d: %w", r.Seq, c.ID, r.Version, ErrBase)
		}
		c.passed++
	}
	return nil
}

// pass takes an edit of the client along the way, and the way past the edit.
func (c *Client) pass(d Delta, steps *int) (Delta, error) {
	for i, w := range c.way {
		if *steps -= max(1, len(w)+len(d)); *steps < 0 {
			return nil, ErrBase
		}
		c.way[i], d = Transform(w, d, true), Transform(d, w, false)
	}
	return d, nil
}
