package realtime

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"connvo/domain"
)

// event is one server-sent event.
type event struct {
	name  string
	id    string        // "" for none
	retry time.Duration // 0 for none
	data  []byte
}

// errForged is what an event with a line break in its name or id is refused
// with: it would end the field and begin one of its own.
var errForged = errors.New("an event's name and id hold no line breaks and no NUL")

// appendEvent appends e in the format of the HTML standard, section 9.2
// (Server-sent events). Data is split at CR, LF and CRLF, as the reader's parser
// would, so that no data can forge a field.
func appendEvent(b []byte, e event) ([]byte, error) {
	if strings.ContainsAny(e.name, "\r\n\x00") || strings.ContainsAny(e.id, "\r\n\x00") {
		return b, errForged
	}
	if e.retry > 0 {
		b = append(b, "retry: "...)
		b = strconv.AppendInt(b, e.retry.Milliseconds(), 10)
		b = append(b, '\n')
	}
	if e.name != "" {
		b = append(b, "event: "...)
		b = append(b, e.name...)
		b = append(b, '\n')
	}
	if e.id != "" {
		b = append(b, "id: "...)
		b = append(b, e.id...)
		b = append(b, '\n')
	}
	for data := e.data; ; {
		line, rest, more := cutLine(data)
		b = append(b, "data: "...)
		b = append(b, line...)
		b = append(b, '\n')
		if !more {
			break
		}
		data = rest
	}
	return append(b, '\n'), nil
}

// cutLine cuts data at its first line break.
func cutLine(data []byte) (line, rest []byte, more bool) {
	i := bytes.IndexByte(data, '\n') // two searches for a byte are several times as fast as one for either
	head := data
	if i >= 0 {
		head = data[:i]
	}
	if r := bytes.IndexByte(head, '\r'); r >= 0 {
		i = r
	}
	if i < 0 {
		return data, nil, false
	}
	line, rest = data[:i], data[i+1:]
	if data[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest, true
}

// maxPositionDigits is how many digits a number below 2⁵³ has.
const maxPositionDigits = 16

// ParsePosition reads a Last-Event-ID: a number of the database's sequence in
// decimal digits, and nothing else. Whatever else it is, it is unknown.
func ParsePosition(id string) (int64, bool) {
	if id == "" || len(id) > maxPositionDigits || strings.Trim(id, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n < domain.MaxNumber
}
