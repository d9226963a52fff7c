package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxHeaders = 100     // as many as a server has a use for
	maxBody    = 8 << 20 // a page of 200 messages of 4,000 characters, escaped, and room
)

var errTooLarge = fmt.Errorf("body over %d bytes", maxBody)

// request is one HTTP/1.1 request, written by hand: the generator shares its processors with the server, and
// net/http's client would take more of them than the server does.
type request struct {
	method, path string
	token        string // bearer, left out when empty
	key          string // Idempotency-Key, left out when empty
	replicated   bool   // prefers to be answered when the replica has it
	accept       string // application/json when empty
	lastEventID  string // left out when empty
	body         []byte // JSON, left out when nil
}

// render appends the bytes of the request to dst.
func (r request) render(dst []byte, host string) []byte {
	dst = append(dst, r.method...)
	dst = append(dst, ' ')
	dst = append(dst, r.path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	if r.accept != "" {
		dst = append(dst, "\r\nAccept: "...)
		dst = append(dst, r.accept...)
	} else {
		dst = append(dst, "\r\nAccept: application/json"...)
	}
	if r.token != "" {
		dst = append(dst, "\r\nAuthorization: Bearer "...)
		dst = append(dst, r.token...)
	}
	if r.key != "" {
		dst = append(dst, "\r\nIdempotency-Key: "...)
		dst = append(dst, r.key...)
	}
	if r.replicated {
		dst = append(dst, "\r\nPrefer: durability=replicated"...)
	}
	if r.lastEventID != "" {
		dst = append(dst, "\r\nLast-Event-ID: "...)
		dst = append(dst, r.lastEventID...)
	}
	if r.body != nil {
		dst = append(dst, "\r\nContent-Type: application/json"...)
	}
	if r.body != nil || r.method != "GET" {
		dst = append(dst, "\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(r.body)), 10)
	}
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, r.body...)
}

// head is what the client needs of a status line and header fields.
type head struct {
	status      int
	length      int64 // -1 when not given
	chunked     bool
	closes      bool // the server ends the connection after this answer
	contentType string
	commit      int64 // Connvo-Commit, 0 when not given
	replicated  bool  // the replica has what was written
}

// bodiless tells whether the answer ends with its header.
func (h head) bodiless() bool {
	return h.status == 204 || h.status == 304
}

// readHead reads to the end of a header, past interim answers (1xx).
func readHead(r *bufio.Reader) (head, error) {
	for range 5 {
		h, err := readOneHead(r)
		if err != nil || h.status >= 200 {
			return h, err
		}
	}
	return head{}, errors.New("more than 5 interim answers")
}

func readOneHead(r *bufio.Reader) (head, error) {
	line, err := readLine(r)
	if err != nil {
		return head{}, err
	}
	h, err := parseStatus(line)
	if err != nil {
		return head{}, err
	}
	for range maxHeaders {
		if line, err = readLine(r); err != nil {
			return head{}, unexpected(err)
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.field(line); err != nil {
			return head{}, err
		}
	}
	return head{}, fmt.Errorf("more than %d header fields", maxHeaders)
}

// readLine returns a line without its end, valid until the next read. A line must fit the reader's buffer.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errors.New("header line too long")
		}
		if len(line) > 0 {
			return nil, unexpected(err)
		}
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// unexpected turns the end of the input within an answer into an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseStatus reads "HTTP/1.1 201 Created".
func parseStatus(line []byte) (head, error) {
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	old := string(version) == "HTTP/1.0"
	if !old && string(version) != "HTTP/1.1" {
		return head{}, fmt.Errorf("not an HTTP/1.1 answer: %.40q", line)
	}
	status, ok := digits(code)
	if !ok || len(code) != 3 || status < 100 {
		return head{}, fmt.Errorf("bad status line %.40q", line)
	}
	return head{status: int(status), length: -1, closes: old}, nil
}

// field takes in one header field.
func (h *head) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return fmt.Errorf("bad header field %.40q", line)
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-length"):
		n, ok := digits(value)
		if !ok || h.length >= 0 && h.length != n {
			return fmt.Errorf("bad Content-Length %.40q", value)
		}
		h.length = n
	case is(name, "transfer-encoding"):
		if !is(value, "chunked") || h.chunked {
			return fmt.Errorf("unknown Transfer-Encoding %.40q", value)
		}
		h.chunked = true
	case is(name, "connection"):
		h.closes = h.closes || strings.Contains(strings.ToLower(string(value)), "close")
	case is(name, "connvo-commit"):
		n, ok := digits(value)
		if !ok {
			return fmt.Errorf("bad Connvo-Commit %.40q", value)
		}
		h.commit = n
	case is(name, "preference-applied"):
		h.replicated = is(value, "durability=replicated")
	case is(name, "content-type"):
		h.contentType = string(value)
	}
	return nil
}

// is compares ASCII without regard to case.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && bytes.EqualFold(b, []byte(lower))
}

// digits parses a plain decimal number below 10^15.
func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// readBody appends the body that follows h to dst. An answer without a length ends with its connection, and h
// then says that it closes.
func readBody(r *bufio.Reader, h *head, dst []byte) ([]byte, error) {
	switch {
	case h.bodiless():
		return dst, nil
	case h.chunked:
		return readAll(&chunkReader{r: r}, dst)
	case h.length > maxBody:
		return dst, errTooLarge
	case h.length >= 0:
		at := len(dst)
		dst = append(dst, make([]byte, h.length)...)
		_, err := io.ReadFull(r, dst[at:])
		return dst, unexpected(err)
	default:
		h.closes = true
		return readAll(r, dst)
	}
}

// readAll appends what is left of r to dst.
func readAll(r io.Reader, dst []byte) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
		if len(dst) > maxBody {
			return dst, errTooLarge
		}
	}
}
