package notes

import (
	"slices"
	"strings"
)

// pieceBytes is the size of a piece of a Text. A change copies about one piece
// and steps over the others, of which 100 KiB have two hundred.
const pieceBytes = 512

// Text is a text to which many Deltas are applied, each in about a quarter of a
// microsecond at 100,000 units where a string takes ninety. The zero Text is empty.
// It is not safe for concurrent use.
type Text struct {
	pieces []piece // none of them empty
	units  int     // of all pieces
}

// piece is whole characters in UTF-8, at most 2·pieceBytes.
type piece struct {
	bytes []byte
	units int
}

// NewText returns a Text of the valid UTF-8 in text.
func NewText(text string) *Text {
	t := &Text{pieces: pieces([]byte(text))}
	for _, p := range t.pieces {
		t.units += p.units
	}
	return t
}

// Units returns the length in UTF-16 code units.
func (t *Text) Units() int { return t.units }

// String returns the text.
func (t *Text) String() string {
	var to strings.Builder
	for _, p := range t.pieces {
		to.Write(p.bytes)
	}
	return to.String()
}

// Apply changes the text by d. It is Invalid, and the text remains as it was,
// when d reaches past the end of the text or parts a surrogate pair.
func (t *Text) Apply(d Delta) error {
	at, near := 0, place{}
	for _, op := range d {
		if op.kind == inserting {
			continue
		}
		if at += op.units; at > t.units {
			return pastEnd(d.Reach() - t.units)
		}
		if _, within := t.find(&near, at); within {
			return partsPair()
		}
	}
	at, near = 0, place{}
	for _, op := range d {
		switch op.kind {
		case retaining:
			at += op.units
		case inserting:
			t.insert(&near, at, op)
			at += op.units
		case deleting:
			t.remove(&near, at, op.units)
		}
	}
	return nil
}

// place is the piece i, and how many units are before it.
type place struct{ i, before int }

// find moves p, which is not behind it, to the piece in which the first n units end.
// It returns the byte there, and whether that is within a surrogate pair. At the end of
// a piece it is that piece.
func (t *Text) find(p *place, n int) (at int, within bool) {
	if p.i == len(t.pieces) { // which was removed
		*p = place{}
	}
	i, before := p.i, p.before
	for i < len(t.pieces) && n > before+t.pieces[i].units {
		before += t.pieces[i].units
		i++
	}
	if *p = (place{i, before}); i == len(t.pieces) {
		return 0, false
	}
	return t.pieces[i].byteAt(n - before)
}

// byteAt is where the first n units end.
func (p piece) byteAt(n int) (at int, within bool) {
	if len(p.bytes) == p.units { // ASCII
		return n, false
	}
	at, short := byteAt(p.bytes, n)
	return at, short < 0
}

func (t *Text) insert(near *place, n int, op Op) {
	t.units += op.units
	if len(t.pieces) == 0 {
		t.pieces = pieces([]byte(op.text))
		return
	}
	at, _ := t.find(near, n)
	p := &t.pieces[near.i]
	p.bytes = slices.Insert(p.bytes, at, []byte(op.text)...)
	p.units += op.units
	if len(p.bytes) > 2*pieceBytes {
		t.pieces = slices.Replace(t.pieces, near.i, near.i+1, pieces(p.bytes)...)
	}
}

func (t *Text) remove(near *place, at, units int) {
	t.units -= units
	for units > 0 {
		from, _ := t.find(near, at)
		if from == len(t.pieces[near.i].bytes) {
			from, *near = 0, place{near.i + 1, at}
		}
		i := near.i
		p := &t.pieces[i]
		before := p.units
		if from == 0 && units >= p.units {
			units -= p.units
			t.pieces = slices.Delete(t.pieces, i, i+1)
			continue
		}
		rest := p.bytes[from:]
		to := len(rest)
		if len(p.bytes) == p.units {
			to = min(to, units)
		} else if end, short := byteAt(rest, units); short == 0 {
			to = end
		}
		p.units -= unitsOf(rest[:to])
		p.bytes = slices.Delete(p.bytes, from, from+to)
		units -= before - p.units
		t.join(i)
	}
}

// join puts piece i together with the next one if both are small, so that
// deletions do not leave many of them.
func (t *Text) join(i int) {
	if i+1 == len(t.pieces) || len(t.pieces[i].bytes)+len(t.pieces[i+1].bytes) > pieceBytes {
		return
	}
	t.pieces[i].bytes = append(t.pieces[i].bytes, t.pieces[i+1].bytes...)
	t.pieces[i].units += t.pieces[i+1].units
	t.pieces = slices.Delete(t.pieces, i+1, i+2)
}

// pieces parts a text into copies of about pieceBytes.
func pieces(text []byte) []piece {
	var all []piece
	for len(text) > 0 {
		n := min(pieceBytes, len(text))
		for n < len(text) && text[n]&0xc0 == 0x80 { // not within a character
			n++
		}
		head := append(make([]byte, 0, n+pieceBytes/4), text[:n]...)
		all = append(all, piece{bytes: head, units: unitsOf(head)})
		text = text[n:]
	}
	return all
}
