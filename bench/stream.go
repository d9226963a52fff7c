package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const streamSilence = 45 * time.Second // three heartbeats

// stream is a live GET. One goroutine reads it.
type stream struct {
	line   line
	events *eventReader
	begun  readiness
}

// readiness is what the event says that begins every stream.
type readiness struct {
	Resumed bool
	Commit  int64
}

// ended is the problem that the server ended a stream with.
type ended struct {
	code  string
	retry time.Duration // how long to wait before coming again; 0 where that makes no sense
	text  string
}

// Error tells the problem in full.
func (e *ended) Error() string { return "stream ended: " + e.text }

// follow opens a live GET and returns once its header is there. It goes on after the event lastID unless that is
// empty.
func follow(ctx context.Context, addr, path, token, lastID string) (*stream, error) {
	s := &stream{line: line{addr: addr}}
	h, err := s.line.send(ctx, request{method: "GET", path: path, token: token, accept: "text/event-stream", lastEventID: lastID})
	if err != nil {
		s.line.close()
		return nil, fmt.Errorf("follow %.100s: %w", path, err)
	}
	if h.status != 200 || !strings.HasPrefix(h.contentType, "text/event-stream") {
		body, _ := readBody(s.line.r, &h, nil)
		s.line.close()
		return nil, fmt.Errorf("follow %.100s: %s: %w", path, h.contentType, refusal(h.status, body))
	}
	s.line.out = nil
	if h.chunked {
		s.events = newEventReader(&chunkReader{r: s.line.r})
	} else {
		s.events = newEventReader(s.line.r)
	}
	s.events.id = lastID
	return s, nil
}

// lastID is the id to come again with.
func (s *stream) lastID() string { return s.events.id }

// next waits for the next event. A problem event, which ends a stream, is returned as *ended.
func (s *stream) next() (event, error) {
	if err := s.line.conn.SetReadDeadline(time.Now().Add(streamSilence)); err != nil {
		return event{}, err
	}
	e, err := s.events.next()
	if err != nil {
		return event{}, unexpected(err)
	}
	if e.name == "problem" {
		return event{}, endedBy(e)
	}
	return e, nil
}

func endedBy(e event) *ended {
	var problem struct{ Code string }
	_ = json.Unmarshal(e.data, &problem) // a problem without a code is told in full
	return &ended{code: problem.Code, retry: e.retry, text: string(e.data)}
}

// ready waits for the event that begins every stream.
func (s *stream) ready() error {
	e, err := s.next()
	if err != nil {
		return err
	}
	if e.name != "ready" {
		return fmt.Errorf("stream began with %q instead of ready", e.name)
	}
	if err := json.Unmarshal(e.data, &s.begun); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	return nil
}
