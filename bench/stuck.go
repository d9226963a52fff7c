package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stuckBuffer = 4 << 10 // bytes that the kernel is asked to hold for one who never reads
	// stuckSegment is the segment size of a network. That of the loopback, 64 KB, would let the server's kernel hold
	// more than a megabyte for each of the stuck.
	stuckSegment = 1400
	established  = "01" // the state in /proc/net/tcp
)

// stuck is a connection with a live GET on it of which nothing is ever read.
type stuck struct {
	conn     net.Conn
	port     string        // its own, in hexadecimal digits
	queue    string        // what the server's kernel has not got rid of, when last looked at
	progress time.Duration // when the queue last changed
	gone     time.Duration // when the server was seen to have ended the connection; 0 before
}

// ward is the stuck of one server, and what they cost it.
type ward struct {
	t            *target
	p            *poster
	all          []*stuck
	before, peak int64 // resident bytes of the server, 0 where not known
	err          error // why it could not be looked at
}

// admit opens a stream for each seat that is never read.
func (t *target) admit(ctx context.Context, p *poster, seats []seat) (*ward, error) {
	w := &ward{t: t, p: p}
	if t.pid != 0 {
		if w.before, w.err = residentSize(t.pid); w.err != nil {
			return w, w.err
		}
	}
	dialer := net.Dialer{Timeout: dialTimeout, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, stuckBuffer),
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, stuckSegment))
		})
		return errors.Join(err, failed)
	}}
	for _, s := range seats {
		conn, err := dialer.DialContext(ctx, "tcp", t.addr)
		if err != nil {
			return w, cause(ctx, err)
		}
		at, ok := conn.LocalAddr().(*net.TCPAddr)
		if !ok {
			return w, fmt.Errorf("a connection from %v", conn.LocalAddr())
		}
		w.all = append(w.all, &stuck{conn: conn, port: fmt.Sprintf("%04X", at.Port), progress: p.now()})
		req := request{method: "GET", path: s.path, token: s.user.token, accept: "text/event-stream"}
		if _, err := conn.Write(req.render(nil, t.addr)); err != nil {
			return w, cause(ctx, err)
		}
	}
	return w, nil
}

func (w *ward) close() {
	for _, s := range w.all {
		_ = s.conn.Close()
	}
}

// look notes who makes progress, who is gone, and what it costs, and returns how many are left.
func (w *ward) look() int {
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		w.err = err
		return 0
	}
	if w.t.pid != 0 {
		size, err := residentSize(w.t.pid)
		w.peak, w.err = max(w.peak, size), err
	}
	_, port, _ := net.SplitHostPort(w.t.addr)
	queues := queuesOf(string(raw), port)
	left := 0
	for _, s := range w.all {
		queue, open := queues[s.port]
		switch {
		case s.gone != 0:
		case !open:
			s.gone = w.p.now()
		case queue != s.queue:
			s.queue, s.progress = queue, w.p.now()
			left++
		default:
			left++
		}
	}
	return left
}

// queuesOf takes out of /proc/net/tcp what waits to be sent on the established connections of a local port, by the
// port of the peer. A line is "sl local remote state tx:rx …", with addresses and ports in hexadecimal digits.
func queuesOf(table, port string) map[string]string {
	n, _ := strconv.Atoi(port)
	own := fmt.Sprintf(":%04X", n)
	all := map[string]string{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || f[3] != established || !strings.HasSuffix(f[1], own) {
			continue
		}
		_, peer, _ := strings.Cut(f[2], ":")
		queue, _, _ := strings.Cut(f[4], ":")
		all[peer] = queue
	}
	return all
}

// figures adds how long it took to be rid of the stuck, and what is wrong.
func (w *ward) figures(res *result) {
	var waits []time.Duration
	kept, open := 0, 0
	for _, s := range w.all {
		if s.gone == 0 {
			kept++
			continue
		}
		waits = append(waits, s.gone-s.progress)
		if !readToEnd(s.conn) {
			open++
		}
	}
	sum := summarize(waits)
	res.add("stuck streams ended", float64(sum.count), "", goal{})
	if sum.count > 0 {
		res.add("last progress → end, p50", sum.p50.Seconds(), "s", goal{})
		res.add("last progress → end, worst", sum.worst.Seconds(), "s", atMost(slowLimit).of(sloSlow))
	}
	if w.before > 0 {
		res.add("RSS growth beside them, at its peak", float64(w.peak-w.before)/(1<<20), "MB", goal{})
	}
	if kept > 0 {
		res.Faults = append(res.Faults, fmt.Sprintf("%d of %d streams that are never read were not ended", kept, len(w.all)))
	}
	if open > 0 {
		res.Faults = append(res.Faults, fmt.Sprintf("%d streams seemed to have ended, but go on", open))
	}
}

// readToEnd reads what an ended connection still holds, and tells whether its end or a reset comes.
func readToEnd(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(goodbyTime)) // a failure shows in the reading
	_, err := io.Copy(io.Discard, conn)
	return err == nil || errors.Is(err, syscall.ECONNRESET)
}
