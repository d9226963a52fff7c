package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	maxRead   = 64 << 10 // what the proxy takes at a time
	maxMarker = 100      // the longest text after which it cuts
)

// proxy is the network between a client and a server: it can break.
type proxy struct {
	t    *testing.T
	URL  string
	to   string // the server's address
	wait sync.WaitGroup

	mu      sync.Mutex // guards the rest
	links   map[*link]bool
	away    bool          // no connection is taken
	asked   []string      // the request URIs that have passed
	marker  []byte        // cut after it, nil when nothing is to be cut
	passing chan struct{} // closed while answers pass
	stalled bool
	tell    func() // that an answer waits
}

// link is one connection through the proxy.
type link struct {
	client, server *net.TCPConn
	gone           context.Context
	end            context.CancelFunc
	passed         []byte // the end of what the server has sent
}

// network returns a proxy before the server. It ends with the test.
func network(t *testing.T, s *server) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, URL: "http://" + listener.Addr().String(), to: s.listen, links: map[*link]bool{}, passing: make(chan struct{})}
	close(p.passing)
	p.wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.wait.Go(func() { p.carry(client.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // nobody else closes it
		p.cut()
		p.wait.Wait()
	})
	return p
}

// carry passes requests and answers on until one side ends, or the proxy cuts.
func (p *proxy) carry(client *net.TCPConn) {
	defer func() { _ = client.Close() }() // again, where it was cut
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn)}
	l.gone, l.end = context.WithCancel(context.Background())
	if !p.join(l) {
		_ = server.Close()
		return
	}
	stop := context.AfterFunc(l.gone, func() { _, _ = client.Close(), server.Close() })
	var both sync.WaitGroup
	both.Go(func() { defer l.end(); p.requests(l) })
	both.Go(func() { defer l.end(); p.answers(l) })
	both.Wait()
	stop()
	_, _ = client.Close(), server.Close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// join takes the link, unless the network is down.
func (p *proxy) join(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away {
		p.links[l] = true
	}
	return !p.away
}

// requests passes requests on and notes what they ask for.
func (p *proxy) requests(l *link) {
	from := bufio.NewReader(l.client)
	for {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.asked = append(p.asked, r.URL.RequestURI())
		p.mu.Unlock()
		if err := r.Write(l.server); err != nil {
			return
		}
	}
}

// answers passes answers on, byte for byte.
func (p *proxy) answers(l *link) {
	buffer := make([]byte, maxRead)
	for {
		n, err := l.server.Read(buffer)
		if err != nil || !p.pass(l, buffer[:n]) {
			return
		}
	}
}

// pass writes what the server has sent to the client, and returns false when the
// link has ended or is to be cut.
func (p *proxy) pass(l *link, sent []byte) bool {
	select {
	case <-p.gate():
	case <-l.gone.Done():
		return false
	}
	if end, found := p.cutIn(l, sent); found {
		_, _ = l.client.Write(sent[:end]) // it ends anyway
		return false
	}
	_, err := l.client.Write(sent)
	return err == nil
}

// cutIn returns where in what was sent the link is to be cut. The marker may have
// begun in what was sent before.
func (p *proxy) cutIn(l *link, sent []byte) (end int, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marker != nil {
		begun := l.passed[max(0, len(l.passed)-len(p.marker)+1):]
		if at := bytes.Index(slices.Concat(begun, sent), p.marker); at >= 0 {
			end, p.marker = at+len(p.marker)-len(begun), nil
			return end, true
		}
	}
	l.passed = append(l.passed, sent...)
	l.passed = slices.Clone(l.passed[max(0, len(l.passed)-maxMarker):])
	return 0, false
}

// gate returns a channel that is closed while answers pass, and tells who stalls
// them that one waits.
func (p *proxy) gate() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled {
		p.tell()
	}
	return p.passing
}

// cut ends all connections at once, as a router does that forgets them.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAll()
}

// down ends all connections and takes no more, until up is called.
func (p *proxy) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	p.cutAll()
}

func (p *proxy) up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = false
}

// cutAll ends all connections: what the server sends after it has returned passes on
// none of them. p.mu is held.
func (p *proxy) cutAll() {
	for l := range p.links {
		_ = l.client.SetLinger(0) // the client is told of a reset, where it can be told
		l.end()
		_, _ = l.client.Close(), l.server.Close()
	}
}

// cutAfter ends the connection in which the text comes from the server next,
// right after it.
func (p *proxy) cutAfter(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marker = []byte(text[:min(len(text), maxMarker)])
}

// stall makes answers wait; the channel is closed when the first one does.
func (p *proxy) stall() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.passing, p.stalled, p.tell = make(chan struct{}), true, sync.OnceFunc(func() { close(held) })
	return held
}

// release lets answers pass again.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = false
	close(p.passing)
}

// count returns how many requests for the path, with its parameters, have passed.
func (p *proxy) count(path string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uri := range p.asked {
		if uri == path {
			n++
		}
	}
	return n
}

// await waits for the channel to be closed, or for a value in it.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatalf("%s: it does not happen", what)
	}
}
