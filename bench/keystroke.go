package main

import (
	"fmt"
	"slices"
	"strconv"
)

// keystroke is an edit of notes that puts one ASCII letter somewhere or removes one, or, since others have removed it,
// does nothing any more. Rewritten for another it is one again, so that the bench needs none of the server's
// algorithm, and checks it by its own.
type keystroke struct {
	at     int
	letter byte // to insert, 0 for none
	erases bool
}

// op is one operation of an edit as a feed tells it.
type op struct {
	Retain, Delete int
	Insert         string
}

// keystrokeOf reads the operations of an edit.
func keystrokeOf(ops []op) (k keystroke, err error) {
	if len(ops) > 0 && ops[0].Retain > 0 {
		k.at, ops = ops[0].Retain, ops[1:]
	}
	switch {
	case len(ops) == 0 && k.at == 0:
	case len(ops) == 1 && ops[0].Retain == 0 && len(ops[0].Insert) == 1 && ops[0].Delete == 0:
		k.letter = ops[0].Insert[0]
	case len(ops) == 1 && ops[0] == op{Delete: 1}:
		k.erases = true
	default:
		return k, fmt.Errorf("an edit that is no keystroke: %v", ops)
	}
	return k, nil
}

// render appends the keystroke as JSON, in canonical form.
func (k keystroke) render(dst []byte) []byte {
	dst = append(dst, '[')
	if k.at > 0 && !k.idle() {
		dst = append(strconv.AppendInt(append(dst, `{"retain":`...), int64(k.at), 10), `},`...)
	}
	switch {
	case k.letter != 0:
		dst = append(append(append(dst, `{"insert":"`...), k.letter), `"}`...)
	case k.erases:
		dst = append(dst, `{"delete":1}`...)
	}
	return append(dst, ']')
}

// idle tells whether it does nothing.
func (k keystroke) idle() bool { return k.letter == 0 && !k.erases }

// past returns k as it is done after o, when both were made for the same text. Of two insertions at one place that of k
// stands first if first.
func (k keystroke) past(o keystroke, first bool) keystroke {
	switch {
	case k.idle() || o.idle():
	case o.letter != 0 && (k.at > o.at || k.at == o.at && (k.erases || !first)):
		k.at++
	case o.erases && k.at > o.at:
		k.at--
	case o.erases && k.erases && k.at == o.at:
		return keystroke{}
	}
	return k
}

// apply does it to a text.
func (k keystroke) apply(text []byte) ([]byte, error) {
	switch {
	case k.idle():
		return text, nil
	case k.at > len(text), k.erases && k.at == len(text):
		return text, fmt.Errorf("a keystroke at %d of %d", k.at, len(text))
	case k.erases:
		return slices.Delete(text, k.at, k.at+1), nil
	default:
		return slices.Insert(text, k.at, k.letter), nil
	}
}
