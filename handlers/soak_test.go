package handlers_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 0, "how long TestSoak lets connections come and go; it skips itself when 0")

// The bounds of what may be left over once everybody has gone.
const (
	soakConnections = 10_000 // come and go at least
	soakers         = 100    // at once
	soakHeap        = 8 << 20
	soakSpare       = 20 // goroutines and descriptors: of the runtime, of idle connections that are just closing
)

// TestSoak lets connections come and go in every way, while people write, and
// looks at what the process keeps of them.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("make soak runs it")
	}
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Soak")
	ada.must("POST", meeting+"/start", nil)
	guests := make([]*person, 10)
	for i := range guests {
		guests[i] = s.signIn(fmt.Sprint("guest-", i))
		s.exec(`INSERT INTO participants (meeting_id, user_id, meeting_state, role, status) VALUES (?, ?, 'active', 'participant', 'joined')`, idOf(meeting), guests[i].ID)
	}
	s.Log.Close() // it would be all that grows
	warmUp(s, guests, meeting)
	before := s.measure()
	t.Logf("before: %+v", before)

	ctx, cancel := context.WithTimeout(t.Context(), *soak)
	defer cancel()
	var come atomic.Int64
	var wg sync.WaitGroup
	for i := range soakers {
		wg.Go(func() {
			for ctx.Err() == nil || come.Load() < soakConnections {
				come.Add(1)
				s.visit(guests[i%len(guests)], meeting)
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			ada.say(meeting, strings.Repeat("x", 1000))
		}
	})
	wg.Wait()
	after := s.measure()
	t.Logf("after %d connections: %+v", come.Load(), after)
	if after.goroutines > before.goroutines+soakSpare || after.descriptors > before.descriptors+soakSpare || after.heap > before.heap+soakHeap {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// warmUp fills what the process keeps anyway: pools, caches, statements.
func warmUp(s *server, guests []*person, meeting string) {
	for range 20 {
		for _, g := range guests {
			s.visit(g, meeting)
		}
	}
}

// visit opens one stream in one of the ways of clients, and leaves.
func (s *server) visit(p *person, meeting string) {
	path := []string{
		meeting, meeting + "/messages", meeting + "/messages?after=0", meeting + "/participants",
		"/v1/live?q=/v1/me&q=" + meeting + "&q=" + meeting + "/messages",
	}[rand.IntN(5)]
	switch rand.IntN(4) {
	case 0: // reads a little
		s.readSome(p, path, 10)
	case 1: // leaves at once
		s.readSome(p, path, 0)
	case 2: // never reads, then resets
		s.stare(p, path, true)
	default: // says half of a request
		s.stare(p, path, false)
	}
}

func (s *server) readSome(p *person, path string, lines int) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	r, err := s.transport.RoundTrip(p.request(ctx, http.MethodGet, path, nil, "Accept", "text/event-stream"))
	if err != nil {
		return // the time was over
	}
	reader := bufio.NewReader(r.Body)
	for range lines {
		if _, err := reader.ReadString('\n'); err != nil {
			break
		}
	}
	_ = r.Body.Close()
}

// stare opens a connection of its own and reads nothing from it.
func (s *server) stare(p *person, path string, whole bool) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n", path, p.Token)
	if whole {
		head += "\r\n"
	}
	_, _ = io.WriteString(conn, head)
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 1)) // waits for the answer to begin, or for the time to pass
}

// kept is what a process holds.
type kept struct {
	goroutines, descriptors int
	heap                    int64
}

// measure waits until everybody has gone and returns what is held.
func (s *server) measure() (k kept) {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		s.transport.CloseIdleConnections()
		if s.API.Engine().Stats().Streams == 0 || time.Now().After(deadline) {
			break
		}
	}
	smallest := kept{goroutines: 1 << 30}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			s.t.Skip(err)
		}
		k = kept{goroutines: runtime.NumGoroutine(), descriptors: len(open), heap: int64(m.HeapAlloc)}
		if k.goroutines < smallest.goroutines {
			smallest = k
		}
	}
	return smallest
}
