package notes

import (
	"slices"
	"strings"
	"unicode/utf8"

	"connvo/domain"
)

// kind is what an Op does.
type kind uint8

const (
	retaining kind = iota
	inserting
	deleting
)

// Op is one step through a document: it keeps, inserts or removes text. The zero
// Op does nothing. Ops are equal (==) when they do the same.
type Op struct {
	kind  kind
	units int    // UTF-16 code units, also of text
	text  string // what is inserted; valid UTF-8
}

// Retain keeps n UTF-16 code units. With n of 0 or less it does nothing.
func Retain(n int) Op { return Op{kind: retaining, units: max(n, 0)} }

// Insert puts text, which must be valid UTF-8, where the document has been read
// to. An empty text does nothing.
func Insert(text string) Op { return Op{kind: inserting, units: unitsOf(text), text: text} }

// Delete removes the next n UTF-16 code units. With n of 0 or less it does
// nothing.
func Delete(n int) Op { return Op{kind: deleting, units: max(n, 0)} }

// Delta is a change of a text: its Ops one after the other from the beginning;
// what they do not reach is kept. The form that [Delta.Normalize] gives is called
// canonical, and every function of this package returns it. A Delta is never
// changed once it is made, so that it may be shared.
type Delta []Op

// Normalize returns d in canonical form, the only one among the Deltas that keep
// the same units and insert the same texts between them: neighbours of one kind
// are one, an insertion stands before a deletion at the same place, nothing is
// kept at the end, and no Op does nothing.
func (d Delta) Normalize() Delta {
	if d.canonical() {
		return d
	}
	var b builder
	for _, op := range d {
		b.push(op)
	}
	return b.delta()
}

func (d Delta) canonical() bool {
	for i, op := range d {
		switch {
		case op.units == 0:
			return false
		case i > 0 && (op.kind == d[i-1].kind || op.kind == inserting && d[i-1].kind == deleting):
			return false
		}
	}
	return len(d) == 0 || d[len(d)-1].kind != retaining
}

// Equal reports whether d and e consist of the same Ops.
func (d Delta) Equal(e Delta) bool { return slices.Equal(d, e) }

// Reach returns how many units a text must have for d: all that it keeps and
// removes.
func (d Delta) Reach() int {
	n := 0
	for _, op := range d {
		if op.kind != inserting {
			n += op.units
		}
	}
	return n
}

// Growth returns by how many units d makes a text longer; negative when shorter.
func (d Delta) Growth() int {
	n := 0
	for _, op := range d {
		switch op.kind {
		case inserting:
			n += op.units
		case deleting:
			n -= op.units
		}
	}
	return n
}

// Apply returns what d makes of text. It is Invalid when d reaches past the end
// of the text or parts a surrogate pair. See [Text] for many changes of one text.
func (d Delta) Apply(text string) (string, error) {
	var to strings.Builder
	to.Grow(len(text))
	for _, op := range d {
		if op.kind == inserting {
			to.WriteString(op.text)
			continue
		}
		head, rest, err := cut(text, op.units)
		if err != nil {
			return "", err
		}
		if op.kind == retaining {
			to.WriteString(head)
		}
		text = rest
	}
	to.WriteString(text)
	return to.String(), nil
}

// Invert returns what takes d back: applied to what d makes of text, it gives
// text again. It fails as Apply does.
func (d Delta) Invert(text string) (Delta, error) {
	var b builder
	for _, op := range d {
		if op.kind == inserting {
			b.push(Delete(op.units))
			continue
		}
		head, rest, err := cut(text, op.units)
		if err != nil {
			return nil, err
		}
		if op.kind == deleting {
			op = Op{kind: inserting, units: op.units, text: head}
		}
		b.push(op)
		text = rest
	}
	return b.delta(), nil
}

// builder makes a canonical Delta.
type builder struct {
	ops  Delta
	text []byte // of the last insertion, where it is put together of several; else empty
	join int    // the Op in ops to which it belongs
}

func (b *builder) push(op Op) {
	if op.units == 0 {
		return
	}
	at := len(b.ops)
	if op.kind == inserting && at > 0 && b.ops[at-1].kind == deleting {
		at-- // an insertion goes before the deletion
	}
	if at > 0 && b.ops[at-1].kind == op.kind {
		b.ops[at-1].units += op.units
		if op.kind == inserting {
			if len(b.text) == 0 {
				b.text, b.join = append(b.text, b.ops[at-1].text...), at-1
			}
			b.text = append(b.text, op.text...)
		}
		return
	}
	if op.kind == inserting {
		b.end()
	}
	b.ops = append(b.ops, op)
	if last := len(b.ops) - 1; at < last {
		b.ops[at], b.ops[last] = op, b.ops[at]
	}
}

// end puts the insertion that was joined into its place.
func (b *builder) end() {
	if len(b.text) > 0 {
		b.ops[b.join].text, b.text = string(b.text), b.text[:0]
	}
}

func (b *builder) delta() Delta {
	b.end()
	if last := len(b.ops) - 1; last >= 0 && b.ops[last].kind == retaining {
		return b.ops[:last]
	}
	return b.ops
}

// unitsOf returns the length of a valid text in UTF-16 code units.
func unitsOf[T string | []byte](text T) int {
	n := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 0xf0: // leads four bytes, which are a pair
			n += 2
		case c < 0x80 || c >= 0xc0:
			n++
		}
	}
	return n
}

// cut parts a text after its first n units.
func cut(text string, n int) (head, rest string, err error) {
	at, short := byteAt(text, n)
	switch {
	case short > 0:
		return "", "", pastEnd(short)
	case short < 0:
		return "", "", partsPair()
	}
	return text[:at], text[at:], nil
}

// byteAt returns where the first n units of text end, in bytes, and by how many
// units the text is too short for that; -1 when n parts a surrogate pair.
func byteAt[T string | []byte](text T, n int) (at, short int) {
	for n > 0 && at < len(text) {
		switch c := text[at]; {
		case c < utf8.RuneSelf:
			at, n = at+1, n-1
		case c < 0xe0:
			at, n = at+2, n-1
		case c < 0xf0:
			at, n = at+3, n-1
		default:
			at, n = at+4, n-2
		}
	}
	return at, n
}

func pastEnd(by int) error {
	return domain.Fail(domain.Invalid, "the edit reaches %d UTF-16 code units past the end of the document", by)
}

func partsPair() error {
	return domain.Fail(domain.Invalid, "the edit parts a surrogate pair, two UTF-16 code units that are one character")
}
