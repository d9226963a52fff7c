package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 35 * time.Second // a drain is promised within 30 s
	keptLines    = 30               // of the server's log, shown when it fails
)

// build compiles the server of the module around the working directory into dir.
func build(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("run bench inside the module, or give --url or --bin")
	}
	bin := filepath.Join(dir, "connvo")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
	cmd.Dir = filepath.Dir(mod)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// server is a connvo that the bench starts, and may start again on the same database and port.
type server struct {
	bin, dir string
	args     []string
	env      []string
	addr     string // where it listened last, "" before

	cmd    *exec.Cmd
	url    chan string   // receives the URL once, when the server listens
	ended  chan struct{} // closed when the process and its output have ended; err is set before
	err    error
	mu     sync.Mutex // guards recent
	recent []string   // the last lines of its log
}

// newServer returns a server that runs bin on a fresh database in dir, once it is started. At the level warn it still
// says that it listens, and no longer writes a line for each request.
func newServer(bin, dir string, extra, env []string) *server {
	args := append([]string{"serve", "--db", filepath.Join(dir, "connvo.db"), "--no-demo", "--rate-limits", "off",
		"--log-level", "warn", "--log-format", "json"}, extra...)
	return &server{bin: bin, dir: dir, args: args, env: env}
}

// start runs the server, waits until it listens and tells t where.
func (s *server) start(ctx context.Context, t *target) error {
	listen := "127.0.0.1:0"
	if s.addr != "" {
		listen = s.addr
	}
	s.url, s.ended, s.err = make(chan string, 1), make(chan struct{}), nil
	s.cmd = exec.Command(s.bin, append(s.args[:len(s.args):len(s.args)], "--listen", listen)...)
	s.cmd.Dir = s.dir
	s.cmd.Env = append(plainEnv(os.Environ()), s.env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the bench, which then stops the server
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return err
	}
	go s.watch(r)
	if err := s.await(ctx); err != nil {
		_ = s.stop() // what it says is in err already
		return err
	}
	t.addr, t.pid = s.addr, s.cmd.Process.Pid
	return nil
}

// plainEnv keeps what programs need to run and drops what could configure the server: a developer's shell
// may hold the keys of a real replica.
func plainEnv(env []string) []string {
	var kept []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if name == "PATH" || name == "HOME" || name == "TMPDIR" || strings.HasPrefix(name, "GO") {
			kept = append(kept, e)
		}
	}
	return kept
}

// watch reads the server's output to its end, then waits for the process.
func (s *server) watch(r io.ReadCloser) {
	defer close(s.ended)
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		text, err := lines.ReadString('\n')
		if text = strings.TrimSpace(text); text != "" {
			s.keep(text)
			if url := listening(text); url != "" {
				select {
				case s.url <- url:
				default:
				}
			}
		}
		if err != nil {
			break
		}
	}
	_ = r.Close()
	s.err = s.cmd.Wait()
}

func (s *server) keep(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = append(s.recent, text)
	if len(s.recent) > keptLines {
		s.recent = s.recent[1:]
	}
}

func (s *server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.recent, "\n")
}

// listening returns the URL in the log line that says where the server listens, and "" for any other line.
func listening(text string) string {
	if !strings.Contains(text, "listening") {
		return ""
	}
	return regexp.MustCompile(`http://[A-Za-z0-9.:\[\]-]+`).FindString(text)
}

// await waits until the server listens.
func (s *server) await(ctx context.Context) (err error) {
	select {
	case url := <-s.url:
		s.addr, err = parseURL(url)
		return err
	case <-s.ended:
		return fmt.Errorf("server ended before it listened:\n%s", s.log())
	case <-time.After(startTimeout):
		return fmt.Errorf("server did not listen within %v:\n%s", startTimeout, s.log())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the server as an operator does. Anything but a clean exit in time is an error. A server that has ended
// already is judged by how it did.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("server did not end within %v:\n%s", stopTimeout, s.log())
	}
	if s.err != nil {
		return fmt.Errorf("server ended with %w:\n%s", s.err, s.log())
	}
	return nil
}
