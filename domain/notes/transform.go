package notes

import "slices"

// Transform returns a as it is done after b, when both were made for the same
// text. Of two insertions at one place, that of a stands first if aFirst, else
// that of b; an insertion survives a deletion around it. Then a with b after it
// and b with a after it make the same text:
//
//	a, Transform(b, a, !aFirst)  =  b, Transform(a, b, aFirst)
//
// Both are taken in canonical form. No surrogate pair is parted by the result
// where neither a nor b parts one. A
// Transform against Compose(b, c) may differ from one against b and then c: where
// an insertion of b loses its neighbour to c, the place beside it is forgotten.
func Transform(a, b Delta, aFirst bool) Delta {
	if a, b = a.Normalize(), b.Normalize(); len(a) == 0 || len(b) == 0 {
		return a
	}
	if b[0].kind == retaining && a.Reach() < b[0].units {
		return a // all of b is behind a
	}
	if a[0].kind == retaining && b.Reach() < a[0].units {
		a = slices.Clone(a) // all of b is before a
		a[0].units += b.Growth()
		return a
	}
	to := builder{ops: make(Delta, 0, len(a)+len(b))}
	own, other := steps{ops: a}, steps{ops: b}
	for own.more() {
		switch {
		case !other.more():
			to.push(own.next(own.left()))
		case other.kind() == inserting && !(aFirst && own.kind() == inserting):
			to.push(Retain(other.next(other.left()).units))
		case own.kind() == inserting:
			to.push(own.next(own.left()))
		default:
			n := min(own.left(), other.left())
			mine, gone := own.next(n), other.next(n).kind == deleting
			if !gone {
				to.push(mine)
			}
		}
	}
	return to.delta()
}

// Compose returns the one Delta that does what a and then b do. It is Invalid
// when b parts a surrogate pair of what a inserts. Composing is associative.
func Compose(a, b Delta) (Delta, error) {
	to := builder{ops: make(Delta, 0, len(a)+len(b))}
	first, then := steps{ops: a}, steps{ops: b}
	for first.more() || then.more() {
		switch {
		case then.more() && then.kind() == inserting:
			to.push(then.next(then.left()))
		case first.more() && first.kind() == deleting:
			to.push(first.next(first.left()))
		case !first.more():
			to.push(then.next(then.left()))
		case !then.more():
			to.push(first.next(first.left()))
		default:
			n := min(first.left(), then.left())
			if first.parts(n) {
				return nil, partsPair()
			}
			old, change := first.next(n), then.next(n).kind
			switch {
			case change == retaining:
				to.push(old)
			case old.kind == retaining:
				to.push(Delete(n))
			}
		}
	}
	return to.delta(), nil
}

// Lift takes an edit that another has made past pending, edits that follow one
// another on the same text and are ordered after it. It returns pending as it is
// done after the edit, and the edit as it is done after pending. It is what a
// client does with a revision of another and its own edits that are not yet
// revisions: the second result is the change of what its user sees.
func Lift(pending []Delta, edit Delta) ([]Delta, Delta) {
	lifted := make([]Delta, len(pending))
	for i, p := range pending {
		lifted[i], edit = Transform(p, edit, false), Transform(edit, p, true)
	}
	return lifted, edit
}

// steps reads the Ops of a Delta in pieces.
type steps struct {
	ops  Delta
	done int // units of the first Op
	cut  int // bytes of its text
}

// more reports whether something is left, and passes over what does nothing.
func (s *steps) more() bool {
	for len(s.ops) > 0 && s.ops[0].units == 0 {
		s.ops = s.ops[1:]
	}
	return len(s.ops) > 0
}

func (s *steps) kind() kind { return s.ops[0].kind }

// left is how many units the current Op still has.
func (s *steps) left() int { return s.ops[0].units - s.done }

// parts reports whether the next n units, no more than left, are text that ends
// within a surrogate pair.
func (s *steps) parts(n int) bool {
	if s.ops[0].kind != inserting || n == s.left() {
		return false
	}
	_, short := byteAt(s.ops[0].text[s.cut:], n)
	return short != 0
}

// next takes n units of the current Op, no more than left.
func (s *steps) next(n int) Op {
	op := s.ops[0]
	if n == s.left() {
		s.ops = s.ops[1:]
		op.units, op.text = n, op.text[s.cut:]
		s.done, s.cut = 0, 0
		return op
	}
	op.units = n
	if op.kind == inserting {
		at, _ := byteAt(op.text[s.cut:], n)
		op.text = op.text[s.cut : s.cut+at]
		s.cut += at
	}
	s.done += n
	return op
}
