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
	commit int64 // Connvo-Commit: the last number that a write took
	body   []byte

	replicated bool // the replica has what was written
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
	return reply{status: h.status, commit: h.commit, body: l.in, replicated: h.replicated}, nil
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

// refused is an answer that is not 2xx.
type refused struct {
	status int
	text   string
}

// Error tells the status and the problem.
func (r *refused) Error() string { return r.text }

// refusal makes an error of an answer that is not 2xx.
func refusal(status int, body []byte) error {
	var problem struct{ Code, Title, Detail string }
	if json.Unmarshal(body, &problem) != nil || problem.Code == "" {
		return &refused{status, fmt.Sprintf("status %d: %.200q", status, body)}
	}
	return &refused{status, fmt.Sprintf("status %d %s: %s", status, problem.Code, strings.TrimSpace(problem.Title+" "+problem.Detail))}
}

// notOffered tells whether err is the answer of a server that has no such path.
func notOffered(err error) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && (r.status == 404 || r.status == 405)
}
