package handlers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxLine is the longest line of a body of lines, in bytes without its end.
	maxLine = 64 << 10
	// lineBuffer is what is read at once; most lines are shorter.
	lineBuffer = 4 << 10
)

// errLongLine is what a line is refused with that is longer than maxLine.
var errLongLine = errors.New("the line is longer than 64 KiB")

// lineReader cuts what it reads into lines. However long one is, no more than
// maxLine of it is held.
type lineReader struct {
	from   *bufio.Reader
	number int64 // of the last line, from 1; empty ones count
	line   []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{from: bufio.NewReaderSize(r, lineBuffer)}
}

// next returns the next line without its end; it is valid until the next call.
// The last one may have no end.
//
// Errors: errLongLine, after which the next line can be read; io.EOF after the last
// line; else what reading has failed with, and nothing of a line that was cut off.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	long := false
	for {
		part, err := l.from.ReadSlice('\n')
		ended := bytes.HasSuffix(part, []byte("\n"))
		part = bytes.TrimSuffix(part, []byte("\n"))
		if long = long || len(l.line)+len(part) > maxLine; !long {
			l.line = append(l.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && !ended && (len(l.line) > 0 || long): // the last line
		case err != nil:
			return nil, err
		}
		l.number++
		if long {
			l.line = nil // rather than keep so much for short ones
			return nil, errLongLine
		}
		return l.line, nil
	}
}

// inlet is the body of a request that stays open. Each wait for a line has a
// deadline, and somebody else may end it.
type inlet struct {
	control *http.ResponseController

	mu    sync.Mutex // guards the rest
	ended bool
}

// await gives the next line so much time, any with 0. It returns false when nothing is to be
// read any more.
func (i *inlet) await(wait time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	var deadline time.Time
	if wait > 0 {
		deadline = time.Now().Add(wait)
	}
	if !i.ended {
		_ = i.control.SetReadDeadline(deadline) // where there are none, the connection's end ends it
	}
	return !i.ended
}

// end makes a read that goes on fail after the wait, and has every further one fail then.
func (i *inlet) end(wait time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return
	}
	i.ended = true
	deadline := time.Unix(1, 0) // long ago
	if wait > 0 {
		deadline = time.Now().Add(wait)
	}
	_ = i.control.SetReadDeadline(deadline) // see await
}
