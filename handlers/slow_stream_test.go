package handlers_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stuck opens the live GET as somebody who reads the head of the answer and
// nothing more, over a connection that holds little.
func (p *person) stuck(path string) net.Conn { return p.stuckAt(path, "text/event-stream") }

// stuckAt is stuck for an answer of another kind.
func (p *person) stuckAt(path, accept string) net.Conn {
	p.s.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		}); e != nil {
			return e
		}
		return err
	}}
	ctx, cancel := context.WithTimeout(p.s.t.Context(), patience)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(p.s.URL, "http://"))
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.s.t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, accept, p.Token)
	if err != nil {
		p.s.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.s.t.Fatalf("%v %v", answer, err)
	}
	return conn
}

// TestReaderThatTakesNothingHoldsUpNobody follows a feed of megabytes without
// reading it, alone and among others, while others follow what comes.
func TestReaderThatTakesNothingHoldsUpNobody(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	last := s.sayMany(ada, idOf(meeting), 1500)
	s.exec(`UPDATE messages SET content = printf('%.*c', 4000, 'x') || char(26085) || content WHERE meeting_id = ?`, idOf(meeting))
	const others = 20
	var streams []*stream
	for i := range others {
		path := fmt.Sprintf("%s/messages?after=%d", meeting, last)
		if i%2 == 1 {
			path = live(path)
		}
		st := grace.follow(path)
		st.ready()
		streams = append(streams, st)
	}
	began := time.Now()
	grace.stuck(meeting + "/messages?after=0")
	grace.stuck(live(meeting+"/messages?after=0", "/v1/me"))
	told := make(chan int64)
	for _, st := range streams {
		go func() { told <- st.count() }()
	}
	n := int64(0)
	for s.API.Engine().Stats().Streams > others {
		ada.say(meeting, strings.Repeat("y", 1000))
		if n++; time.Since(began) > patience {
			t.Fatal("they never end")
		}
	}
	t.Logf("%d messages came until the slow ended, after %v", n, time.Since(began))
	ada.say(meeting, "end")
	for range streams {
		if got := <-told; got != n+1 {
			t.Errorf("%d messages were told, want %d", got, n+1)
		}
	}
	if log := s.Log.String(); strings.Count(log, "slow_consumer") != 2 || !strings.Contains(log, string(grace.ID)) {
		t.Error("the log does not say who was slow")
	}
}

// count returns how many items come until one says "end", -1 where the stream
// ends before.
func (st *stream) count() (n int64) {
	for {
		e := <-st.events
		if e == nil {
			return -1
		}
		n += int64(strings.Count(string(e.Data), `"seq":`))
		if strings.Contains(string(e.Data), `"content":"end"`) {
			return n
		}
	}
}
