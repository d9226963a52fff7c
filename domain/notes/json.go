package notes

import (
	"bytes"
	"encoding/json"
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
// half a surrogate pair. What cannot be read, does nothing, or is over MaxJSON,
// MaxOps or MaxInsert is Invalid. The result is not canonical: [Delta.Reach] then
// tells whether it stays within the document, also where it only keeps.
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
	tokens := json.NewDecoder(bytes.NewReader(text))
	tokens.UseNumber()
	if t, err := tokens.Token(); err != nil || t != json.Delim('[') {
		return domain.Fail(domain.Invalid, "an edit is an array of operations")
	}
	ops := Delta{}
	for tokens.More() {
		op, err := parseOp(tokens, text)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if _, err := tokens.Token(); err != nil || strings.TrimSpace(string(text[tokens.InputOffset():])) != "" {
		return domain.Fail(domain.Invalid, "an edit is one array of operations")
	}
	*d = ops
	return nil
}

// parseOp reads an object of exactly one member, which encoding/json by itself
// would not insist on.
func parseOp(tokens *json.Decoder, text []byte) (Op, error) {
	malformed := domain.Fail(domain.Invalid, `an operation is {"retain":n}, {"insert":"text"} or {"delete":n}, with one member`)
	if t, err := tokens.Token(); err != nil || t != json.Delim('{') {
		return Op{}, malformed
	}
	name, err := tokens.Token()
	if err != nil {
		return Op{}, malformed
	}
	from := tokens.InputOffset()
	value, err := tokens.Token()
	if err != nil {
		return Op{}, malformed
	}
	raw := text[from:tokens.InputOffset()]
	if t, err := tokens.Token(); err != nil || t != json.Delim('}') {
		return Op{}, malformed
	}
	switch n, isNumber := value.(json.Number); {
	case name == "retain" && isNumber:
		units, err := parseLength(string(n))
		return Retain(units), err
	case name == "delete" && isNumber:
		units, err := parseLength(string(n))
		return Delete(units), err
	}
	if inserted, isText := value.(string); name == "insert" && isText {
		return Insert(inserted), checkInserted(inserted, raw)
	}
	return Op{}, malformed
}

func parseLength(digits string) (int, error) {
	n, err := strconv.ParseUint(digits, 10, 32) // no sign, fraction or exponent
	if err != nil || n < 1 || n > maxLength {
		return 0, domain.Fail(domain.Invalid, "a length is a whole number from 1 to %d", maxLength)
	}
	return int(n), nil
}

// checkInserted refuses texts that a document cannot hold. Encoding/json reads
// half a surrogate pair as U+FFFD, so that it has to be looked for in raw, the
// text as it was sent.
func checkInserted(text string, raw []byte) error {
	switch {
	case text == "":
		return domain.Fail(domain.Invalid, "an insertion has a text")
	case strings.ContainsRune(text, 0):
		return domain.Fail(domain.Invalid, "the character U+0000 cannot be inserted")
	case hasLoneSurrogate(raw):
		return domain.Fail(domain.Invalid, "the text has half of a surrogate pair")
	}
	return nil
}

// hasLoneSurrogate reports whether a JSON string, which is known to be one,
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
