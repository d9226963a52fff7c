package notes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"connvo/domain"
)

// maxLength is above every document, so that only the document decides what is
// past its end, and small enough to add up MaxOps of them.
const maxLength = 1_000_000

// Parse reads an edit as a client sends it: a JSON array of {"retain":n},
// {"insert":"text"} and {"delete":n}, with n a whole number from 1 to a million of
// UTF-16 code units and a text that is not empty and has neither U+0000 nor
// half a surrogate pair. What cannot be read, changes nothing since it neither
// inserts nor deletes, or is over MaxJSON, MaxOps or MaxInsert is Invalid. The
// result is not canonical: [Delta.Reach] then tells whether it stays within the
// document, also where it only keeps.
func Parse(text []byte) (Delta, error) {
	if len(text) > MaxJSON {
		return nil, domain.Fail(domain.Invalid, "an edit has at most %d bytes of JSON, not %d", MaxJSON, len(text))
	}
	var d Delta
	if err := d.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	inserted, works := 0, false
	for _, op := range d {
		if op.kind == inserting {
			inserted += op.units
		}
		works = works || op.kind != retaining
	}
	switch {
	case len(d) > MaxOps:
		return nil, domain.Fail(domain.Invalid, "an edit has at most %d operations, not %d", MaxOps, len(d))
	case inserted > MaxInsert:
		return nil, domain.Fail(domain.Invalid, "an edit inserts at most %d UTF-16 code units, not %d", MaxInsert, inserted)
	case !works:
		return nil, domain.Fail(domain.Invalid, "the edit changes nothing")
	}
	return d, nil
}

// MarshalJSON writes d as Parse reads it; nothing is [].
func (d Delta) MarshalJSON() ([]byte, error) {
	to := []byte{'['}
	for i, op := range d {
		if i > 0 {
			to = append(to, ',')
		}
		switch op.kind {
		case retaining:
			to = strconv.AppendInt(append(to, `{"retain":`...), int64(op.units), 10)
		case deleting:
			to = strconv.AppendInt(append(to, `{"delete":`...), int64(op.units), 10)
		case inserting:
			text, err := json.Marshal(op.text)
			if err != nil {
				return nil, err
			}
			to = append(append(to, `{"insert":`...), text...)
		}
		to = append(to, '}')
	}
	return append(to, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, which may be [] and of any size,
// as strictly as Parse. It is for what has once been taken.
func (d *Delta) UnmarshalJSON(text []byte) error {
	if !utf8.Valid(text) {
		return domain.Fail(domain.Invalid, "the edit is not valid UTF-8")
	}
	s := scanner{text}
	ops, err := s.delta()
	if err == nil && (!s.take("") || len(s.rest) > 0) {
		err = domain.Fail(domain.Invalid, "an edit is one array of operations")
	}
	if err == nil {
		*d = ops
	}
	return err
}

// encode returns a JSON array, [] for nil.
func encode(edits []Delta) (string, error) {
	to := []byte{'['}
	for i, d := range edits {
		if i > 0 {
			to = append(to, ',')
		}
		ops, err := d.MarshalJSON()
		if err != nil {
			return "", err
		}
		to = append(to, ops...)
	}
	return string(append(to, ']')), nil
}

// decode reads what encode has written, nil for [].
func decode(text []byte) (edits []Delta, err error) {
	s := scanner{text}
	for more := s.take("[") && !s.take("]"); more; more = s.take(",") {
		d, err := s.delta()
		if err != nil {
			return nil, err
		}
		edits = append(edits, d)
	}
	if len(edits) > 0 && !s.take("]") || len(s.rest) > 0 {
		return nil, fmt.Errorf("%.100q are no edits", text)
	}
	return edits, nil
}

// scanner reads the JSON of an edit. Encoding/json would take members twice, any
// others, and half a surrogate pair for U+FFFD; it also takes several times as
// long.
type scanner struct{ rest []byte }

// take passes over white space and then over token, if it comes next.
func (s *scanner) take(token string) bool {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t' || s.rest[0] == '\r' || s.rest[0] == '\n') {
		s.rest = s.rest[1:]
	}
	rest, found := bytes.CutPrefix(s.rest, []byte(token))
	if found {
		s.rest = rest
	}
	return found
}

// delta reads an array of operations, which may be empty.
func (s *scanner) delta() (Delta, error) {
	if !s.take("[") {
		return nil, domain.Fail(domain.Invalid, "an edit is an array of operations")
	}
	ops := Delta{}
	for more := !s.take("]"); more; more = s.take(",") {
		op, err := s.op()
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	if len(ops) > 0 && !s.take("]") {
		return nil, domain.Fail(domain.Invalid, "an edit is one array of operations")
	}
	return ops, nil
}

func (s *scanner) op() (op Op, err error) {
	if !s.take("{") {
		return op, notAnOp()
	}
	switch {
	case s.take(`"retain"`):
		op.kind = retaining
	case s.take(`"insert"`):
		op.kind = inserting
	case s.take(`"delete"`):
		op.kind = deleting
	default:
		return op, notAnOp()
	}
	if !s.take(":") {
		return op, notAnOp()
	}
	if op.kind == inserting {
		op, err = s.insertion()
	} else {
		op.units, err = s.length()
	}
	if err == nil && !s.take("}") {
		err = notAnOp()
	}
	return op, err
}

// length reads a number without sign, fraction and exponent.
func (s *scanner) length() (int, error) {
	s.take("")
	n, digits := 0, 0
	for digits < len(s.rest) && s.rest[digits] >= '0' && s.rest[digits] <= '9' && n <= maxLength {
		n = 10*n + int(s.rest[digits]-'0')
		digits++
	}
	if n < 1 || n > maxLength || s.rest[0] == '0' {
		return 0, domain.Fail(domain.Invalid, "a length is a whole number from 1 to %d", maxLength)
	}
	s.rest = s.rest[digits:]
	return n, nil
}

// insertion reads a text that a document can hold.
func (s *scanner) insertion() (Op, error) {
	if !s.take(`"`) {
		return Op{}, noText()
	}
	end, escaped := 0, false
	for end < len(s.rest) && s.rest[end] != '"' {
		if s.rest[end] == '\\' {
			escaped = true
			end++
		} else if s.rest[end] < ' ' {
			return Op{}, noText()
		}
		end++
	}
	if end == 0 || end >= len(s.rest) {
		return Op{}, noText()
	}
	raw := s.rest[:end]
	s.rest = s.rest[end+1:]
	text := string(raw)
	if escaped && json.Unmarshal([]byte(`"`+text+`"`), &text) != nil {
		return Op{}, noText()
	}
	switch {
	case strings.ContainsRune(text, 0):
		return Op{}, domain.Fail(domain.Invalid, "the character U+0000 cannot be inserted")
	case escaped && hasLoneSurrogate(raw): // of which encoding/json makes U+FFFD
		return Op{}, domain.Fail(domain.Invalid, "the text has half of a surrogate pair")
	}
	return Insert(text), nil
}

func notAnOp() error {
	return domain.Fail(domain.Invalid, `an operation is {"retain":n}, {"insert":"text"} or {"delete":n}, with one member`)
}

func noText() error {
	return domain.Fail(domain.Invalid, "an insertion has a text")
}

// hasLoneSurrogate reports whether what is between the quotes of a JSON string
// escapes one half of a surrogate pair without the other.
func hasLoneSurrogate(raw []byte) bool {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return false
		}
		raw = raw[at:]
		switch unit := escapedUnit(raw); {
		case unit < 0xd800 || unit > 0xdfff:
			raw = raw[2:] // the digits of \u have no backslash
		case unit < 0xdc00 && escapedUnit(raw[6:]) >= 0xdc00 && escapedUnit(raw[6:]) <= 0xdfff:
			raw = raw[12:]
		default:
			return true
		}
	}
}

// escapedUnit returns what \uXXXX at the beginning stands for, or -1.
func escapedUnit(raw []byte) int {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(unit)
}
