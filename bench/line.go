package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 30 * time.Second // far beyond any figure: an answer that takes longer is an error
	streamSilence = 45 * time.Second // three heartbeats
)

// line is one caller's persistent connection. It is dialled when first used, and again after it broke. One
// goroutine uses it at a time.
type line struct {
	addr    string
	conn    net.Conn // nil while not connected
	r       *bufio.Reader
	release func() bool // ends the watch for the end of the context
	out, in []byte      // the last request and answer; reused
	body    []byte      // for the caller to write a body in; reused
}

// reply is an answer; its body is valid until the next request on the line.
type reply struct {
	status int
	body   []byte
}

// connect dials unless the line is up. The connection is closed when ctx ends.
func (l *line) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return cause(ctx, err)
	}
	l.conn = conn
	if l.r == nil {
		l.r = bufio.NewReaderSize(conn, 4096)
	} else {
		l.r.Reset(conn)
	}
	l.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

func (l *line) close() {
	if l.conn == nil {
		return
	}
	l.release()
	_ = l.conn.Close()
	l.conn = nil
}

// send writes a request and reads the header of its answer.
func (l *line) send(ctx context.Context, req request) (head, error) {
	if err := l.connect(ctx); err != nil {
		return head{}, err
	}
	if err := l.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return head{}, err
	}
	l.out = req.render(l.out[:0], l.addr)
	if _, err := l.conn.Write(l.out); err != nil {
		return head{}, err
	}
	return readHead(l.r)
}

// do sends a request and returns its whole answer, whatever its status. It never sends a request twice.
func (l *line) do(ctx context.Context, req request) (reply, error) {
	h, err := l.send(ctx, req)
	if err == nil {
		l.in, err = readBody(l.r, &h, l.in[:0])
	}
	if err != nil {
		l.close()
		return reply{}, cause(ctx, fmt.Errorf("%s %s: %w", req.method, req.path, err))
	}
	if h.closes {
		l.close()
	}
	return reply{status: h.status, body: l.in}, nil
}

// call sends in as JSON and decodes a 2xx answer into out; either may be nil.
func (l *line) call(ctx context.Context, req request, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		req.body = body
	}
	got, err := l.do(ctx, req)
	if err != nil {
		return err
	}
	if got.status < 200 || got.status > 299 {
		return fmt.Errorf("%s %s: %w", req.method, req.path, refusal(got.status, got.body))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		return fmt.Errorf("%s %s: %w", req.method, req.path, err)
	}
	return nil
}

// refusal makes an error of an answer that is not 2xx.
func refusal(status int, body []byte) error {
	var problem struct{ Code, Title, Detail string }
	if json.Unmarshal(body, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("status %d: %.200q", status, body)
	}
	return fmt.Errorf("status %d %s: %s", status, problem.Code, strings.TrimSpace(problem.Title+" "+problem.Detail))
}

// stream is a live GET. One goroutine reads it.
type stream struct {
	line   line
	events *eventReader
}

// follow opens a live GET and returns once its header is there.
func follow(ctx context.Context, addr, path, token string) (*stream, error) {
	s := &stream{line: line{addr: addr}}
	h, err := s.line.send(ctx, request{method: "GET", path: path, token: token, accept: "text/event-stream"})
	if err != nil {
		s.line.close()
		return nil, fmt.Errorf("follow %s: %w", path, err)
	}
	if h.status != 200 || !strings.HasPrefix(h.contentType, "text/event-stream") {
		body, _ := readBody(s.line.r, &h, nil)
		s.line.close()
		return nil, fmt.Errorf("follow %s: %s: %w", path, h.contentType, refusal(h.status, body))
	}
	s.line.out = nil
	if h.chunked {
		s.events = newEventReader(&chunkReader{r: s.line.r})
	} else {
		s.events = newEventReader(s.line.r)
	}
	return s, nil
}

// next waits for the next event. A problem event, which ends a stream, is returned as an error.
func (s *stream) next() (event, error) {
	if err := s.line.conn.SetReadDeadline(time.Now().Add(streamSilence)); err != nil {
		return event{}, err
	}
	e, err := s.events.next()
	if err != nil {
		return event{}, unexpected(err)
	}
	if e.name == "problem" {
		return event{}, errors.New("stream ended: " + string(e.data))
	}
	return e, nil
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
	return nil
}
