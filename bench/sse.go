package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	maxEvent = 4 << 20   // 200 items of 4,000 characters, escaped
	maxRetry = time.Hour // a longer one is passed over
)

// event is one Server-Sent Event. Its data is valid until the next one is read.
type event struct {
	name  string // "message" where the server gives none
	id    string // the last id that was set, on this event or before it
	data  []byte
	retry time.Duration // 0 where the event does not give it
}

// eventReader reads a text/event-stream as the HTML standard describes it.
type eventReader struct {
	r      *bufio.Reader
	line   []byte
	data   []byte
	id     string
	skipLF bool // the last line ended with CR: an LF that follows belongs to it
	begun  bool // the place where a byte order mark may stand is past
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 2048)}
}

// next returns the next event that carries data. An event cut off by the end of the stream is not returned.
func (e *eventReader) next() (event, error) {
	name, filled, retry := "", false, time.Duration(0)
	e.data = e.data[:0]
	for {
		if err := e.readLine(); err != nil {
			return event{}, err
		}
		if len(e.line) == 0 {
			if filled {
				got := e.finish(name)
				got.retry = retry
				return got, nil
			}
			name, retry = "", 0
			continue
		}
		field, value, _ := bytes.Cut(e.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			filled = true
			e.data = append(append(e.data, value...), '\n')
		case "retry":
			if n, ok := digits(value); ok && n <= maxRetry.Milliseconds() {
				retry = time.Duration(n) * time.Millisecond
			}
		case "id":
			if !bytes.Contains(value, []byte{0}) && string(value) != e.id {
				e.id = string(value)
			}
		}
		if len(e.data) > maxEvent {
			return event{}, fmt.Errorf("event over %d bytes", maxEvent)
		}
	}
}

func (e *eventReader) finish(name string) event {
	if name == "" {
		name = "message"
	}
	return event{name: name, id: e.id, data: e.data[:len(e.data)-1]}
}

// readLine reads into e.line one line that ends with CR, LF or both. It waits for no byte beyond the line:
// the LF after a CR may come with the next event, or never.
func (e *eventReader) readLine() error {
	e.line = e.line[:0]
	for {
		if _, err := e.r.Peek(1); err != nil {
			return err
		}
		buffered, _ := e.r.Peek(e.r.Buffered())
		if e.skipLF {
			e.skipLF = false
			if buffered[0] == '\n' {
				e.drop(1)
				continue
			}
		}
		end := bytes.IndexAny(buffered, "\r\n")
		if end < 0 {
			e.line = append(e.line, buffered...)
			e.drop(len(buffered))
			if len(e.line) > maxEvent {
				return errors.New("line of an event too long")
			}
			continue
		}
		e.line = append(e.line, buffered[:end]...)
		e.skipLF = buffered[end] == '\r'
		e.drop(end + 1)
		if !e.begun {
			e.begun = true
			e.line = bytes.TrimPrefix(e.line, []byte("\xef\xbb\xbf"))
		}
		return nil
	}
}

// drop discards n bytes that are known to be buffered.
func (e *eventReader) drop(n int) {
	_, _ = e.r.Discard(n)
}
