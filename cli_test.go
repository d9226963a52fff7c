package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// The command line is tested as it is used: testdata/script/*.txtar start
// processes, read what they print, and send them signals.

// patience is how long a script waits for what must come: a busy machine under
// the race detector takes seconds for what takes milliseconds.
const patience = time.Minute

func TestMain(m *testing.M) {
	testscript.Main(tidied{m}, map[string]func(){"connvo": connvo})
}

// tidied removes what the tests share.
type tidied struct{ m *testing.M }

// Run runs the tests.
func (t tidied) Run() int {
	defer func() { _ = os.RemoveAll(shared) }()
	return t.m.Run()
}

// connvo is the program, and complains of goroutines that outlive a command.
func connvo() {
	code := run(os.Args[1:], terminal{out: os.Stdout, err: os.Stderr})
	http.DefaultClient.CloseIdleConnections()
	// The client of S3 in Litestream keeps its connections to itself for a while.
	kept := []goleak.Option{goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")}
	if err := goleak.Find(kept...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 99
	}
	os.Exit(code)
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Values[processesKey{}] = map[string]*process{}
			e.Setenv("CONNVO_METRICS_LISTEN", "off") // the usual port is one, and scripts run together
			e.Setenv("SOON", time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339))
			commands, err := readmeMeeting()
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "meeting.sh"), []byte(commands), 0o600)
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start":    start,
			"await":    await,
			"signal":   signalTo,
			"finish":   finish,
			"count":    count,
			"post":     post,
			"hold":     hold,
			"sql":      execSQL,
			"truncate": truncate,
		},
	})
}

// readmeMeeting returns the commands by which the README goes through a meeting, at a
// server on this machine whose port is in PORT.
func readmeMeeting() (string, error) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		return "", err
	}
	_, section, _ := strings.Cut(string(text), "## A meeting of your own\n")
	_, block, _ := strings.Cut(section, "```bash\n")
	commands, _, found := strings.Cut(block, "```\n")
	if !found {
		return "", errors.New("README.md has no commands for a meeting of your own")
	}
	return strings.NewReplacer("go run .", "connvo", "127.0.0.1:8080", "127.0.0.1:$PORT").Replace(commands), nil
}

// TestEveryFlagIsAVariable holds for flags that are added later, too.
func TestEveryFlagIsAVariable(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, kong.Name("connvo"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(false) {
		for _, f := range command.Flags {
			if f.Name != "help" && (len(f.Envs) == 0 || f.Help == "") {
				t.Errorf("connvo %s --%s has the variables %q and the help %q", command.Name, f.Name, f.Envs, f.Help)
			}
		}
	}
}

type processesKey struct{}

// process is a program that runs while the script goes on.
type process struct {
	command *exec.Cmd
	printed *printed
	ended   chan struct{}
	err     error // of the end; read it after ended
}

// printed is what a process has written to its standard output and error.
type printed struct {
	mu   sync.Mutex // guards all below
	text []byte
	seen int           // await goes on after it
	more chan struct{} // closed when there is more
}

// Write keeps what is written and wakes who awaits it.
func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = append(p.text, b...)
	close(p.more)
	p.more = make(chan struct{})
	return len(b), nil
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.text)
}

// next returns the submatches of what has been printed since the last match, or
// a channel that tells when to look again.
func (p *printed) next(re *regexp.Regexp) ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := re.FindSubmatchIndex(p.text[p.seen:])
	if at == nil {
		return nil, p.more
	}
	found := re.FindSubmatch(p.text[p.seen:])
	p.seen += at[1]
	texts := make([]string, len(found))
	for i, f := range found {
		texts[i] = string(f)
	}
	return texts, nil
}

// start NAME [VARIABLE=VALUE…] PROGRAM [ARGUMENT…] starts a process.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start name [variable=value…] program [argument…]")
	}
	name, args := args[0], args[1:]
	environment := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	for len(args) > 1 && strings.Contains(args[0], "=") {
		environment, args = append(environment, args[0]), args[1:]
	}
	p := &process{command: exec.Command(args[0], args[1:]...), printed: &printed{more: make(chan struct{})}, ended: make(chan struct{})}
	p.command.Dir, p.command.Env = ts.MkAbs("."), environment
	p.command.Stdout, p.command.Stderr = p.printed, p.printed
	p.command.WaitDelay = 5 * time.Second // what it has started may outlive it, and hold these
	ts.Check(p.command.Start())
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	ts.Defer(func() {
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
		ts.Logf("[%s]\n%s", name, p.printed)
	})
	ts.Value(processesKey{}).(map[string]*process)[name] = p
}

func running(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processesKey{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

// await NAME REGEXP waits until the process has printed a match, after those it
// was awaited for before. Named groups become variables.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await name regexp")
	}
	p, re := running(ts, args[0]), regexp.MustCompile("(?m)"+args[1])
	deadline := time.After(patience)
	for last := false; ; {
		found, more := p.printed.next(re)
		if found != nil {
			for i, name := range re.SubexpNames() {
				if name != "" {
					ts.Setenv(name, found[i])
				}
			}
			return
		}
		if last {
			ts.Fatalf("%s has ended without printing %s", args[0], args[1])
		}
		select {
		case <-more:
		case <-p.ended:
			last = true // it may have printed before it ended
		case <-deadline:
			ts.Fatalf("%s does not print %s", args[0], args[1])
		}
	}
}

// count NAME N REGEXP counts the matches in all that the process has printed.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: count name n regexp")
	}
	n := len(regexp.MustCompile("(?m)"+args[2]).FindAllString(running(ts, args[0]).printed.String(), -1))
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has printed %s %d times", args[0], args[2], n)
	}
}

// signal NAME TERM|INT|KILL signals a process.
func signalTo(ts *testscript.TestScript, neg bool, args []string) {
	known := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || known[args[1]] == nil {
		ts.Fatalf("usage: signal name TERM|INT|KILL")
	}
	ts.Check(running(ts, args[0]).command.Process.Signal(known[args[1]]))
}

// finish NAME CODE|SIGNAL waits until a process has ended, and how.
func finish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finish name code|signal")
	}
	p := running(ts, args[0])
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Fatalf("%s does not end", args[0])
	}
	if _, exited := errors.AsType[*exec.ExitError](p.err); p.err != nil && !exited {
		ts.Fatalf("%s: %v", args[0], p.err)
	}
	how := strconv.Itoa(p.command.ProcessState.ExitCode())
	if status := p.command.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		how = status.Signal().String()
	}
	if how != args[1] {
		ts.Fatalf("%s has ended with %s", args[0], how)
	}
}

// post TOKEN URL BODY posts JSON.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: post token url body")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, args[1], strings.NewReader(args[2]))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+args[0])
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if (answer.StatusCode < 300) == neg {
		ts.Fatalf("the answer is %s: %s", answer.Status, body)
	}
	_, _ = ts.Stdout().Write(body) // it keeps everything
}

// hold URL begins a request there that the server must wait for.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold url")
	}
	u, err := url.Parse(args[0])
	ts.Check(err)
	c, err := net.DialTimeout("tcp", u.Host, patience)
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	// The server answers that it wants the body when the handler begins to read.
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", u.Path, u.Host)
	ts.Check(err)
	ts.Check(c.SetReadDeadline(time.Now().Add(patience)))
	begun := make([]byte, 64)
	n, err := c.Read(begun)
	ts.Check(err)
	if !bytes.Contains(begun[:n], []byte("100 Continue")) {
		ts.Fatalf("the answer is %s", begun[:n])
	}
}

// sql FILE STATEMENT changes a database behind connvo's back.
func execSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql file statement")
	}
	d, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { ts.Check(d.Close()) }()
	_, err = d.Exec(args[1])
	ts.Check(err)
}

// truncate FILE SIZE cuts a file off.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate file size")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}
