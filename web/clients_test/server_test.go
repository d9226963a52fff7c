package clients_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a connvo that can be stopped, killed and started again on the same
// database and port.
type server struct {
	variables []string // of its configuration
	t         *testing.T
	dir       string
	listen    string // where it listened last
	URL       string

	process *exec.Cmd
	drained chan struct{} // closed when its log has ended

	mu sync.Mutex    // guards up
	up chan struct{} // closed while it listens
}

// limited is the variable of a server that limits how often it is asked. Without
// it there are no limits: most tests say more at once than people do.
const limited = "CONNVO_RATE_LIMITS=on"

// serve starts connvo on a fresh database, configured by variables. It is stopped
// when the test ends.
func serve(t *testing.T, variables ...string) *server {
	t.Helper()
	s := &server{t: t, variables: variables, dir: t.TempDir(), listen: address(t), up: make(chan struct{})}
	s.start()
	t.Cleanup(func() {
		if s.process != nil {
			s.stop()
		}
	})
	return s
}

// The ports of servers are none of those that the system gives to who asks for any: else
// another test might have the port of a server that is to be started again.
const firstPort, ports = 20_000, 10_000

var port = struct {
	sync.Mutex // guards last
	last       int
}{last: rand.IntN(ports)}

// address returns one on which nobody listens, and that it has not returned before.
func address(t *testing.T) string {
	t.Helper()
	port.Lock()
	defer port.Unlock()
	for range ports {
		port.last = (port.last + 1) % ports
		address := fmt.Sprint("127.0.0.1:", firstPort+port.last)
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close() // nobody has called
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start starts it, on the port that it had before, and waits until it listens.
func (s *server) start() {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatalf("build: %v", err)
	}
	s.process = exec.Command(path, "serve", "--listen", s.listen, "--db", filepath.Join(s.dir, "connvo.db"), "--log-format", "json", "--log-level", "warn")
	s.process.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "CONNVO_RATE_LIMITS=off"}, s.variables...)
	logs, err := s.process.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		s.process = nil
		s.t.Fatal(err)
	}
	found, drained := make(chan string, 1), make(chan struct{})
	s.drained = drained
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var entry struct{ Msg, URL string }
			if err := json.Unmarshal(lines.Bytes(), &entry); err == nil && strings.Contains(entry.Msg, "listening") {
				found <- entry.URL
				break
			}
			s.t.Logf("connvo: %s", lines.Text())
		}
		_, _ = io.Copy(io.Discard, logs) // what it logs later must not block it
	}()
	select {
	case s.URL = <-found:
		s.listen = strings.TrimPrefix(s.URL, "http://")
		s.mu.Lock()
		close(s.up)
		s.mu.Unlock()
	case <-drained:
		s.t.Fatal("connvo ended before it was listening")
	case <-time.After(deadline):
		s.t.Fatal("connvo does not listen")
	}
}

// stop ends it as a host does that will start it again, and waits.
func (s *server) stop() {
	s.t.Helper()
	if err := s.end(syscall.SIGTERM); err != nil {
		s.t.Errorf("connvo ended with %v", err)
	}
}

// kill ends it as the loss of its machine would.
func (s *server) kill() {
	s.t.Helper()
	if err := s.end(syscall.SIGKILL); err == nil {
		s.t.Error("connvo ended by itself")
	}
}

func (s *server) end(signal syscall.Signal) error {
	s.mu.Lock()
	s.up = make(chan struct{})
	s.mu.Unlock()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
	<-s.drained
	err := s.process.Wait()
	s.process = nil
	return err
}

// running returns a channel that is closed once it listens.
func (s *server) running() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up
}

// files returns the content of the database's files by name; connvo must have
// ended.
func (s *server) files() map[string][]byte {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.dir, "connvo.db*"))
	if err != nil || len(paths) == 0 {
		s.t.Fatalf("%v, error %v", paths, err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		if all[path], err = os.ReadFile(path); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// restore puts back what files has returned; connvo must have ended.
func (s *server) restore(files map[string][]byte) {
	s.t.Helper()
	for path := range s.files() {
		if err := os.Remove(path); err != nil {
			s.t.Fatal(err)
		}
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}
