package db_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"connvo/db"
)

// The environment of a process that plays a part; see TestMain.
const (
	partVariable = "CONNVO_DB_TEST_PART"
	pathVariable = "CONNVO_DB_TEST_PATH"
)

// play is what a process does that a test has started.
func play(part string) {
	d, err := db.Open(context.Background(), options(os.Getenv(pathVariable)))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("opened")
	switch part {
	case "hold":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends it
	case "load":
		load(d)
	}
	if err := d.Close(); err != nil {
		fmt.Println(err)
	}
}

// process is a running child.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
	stdin io.Closer
}

// start runs this test binary in a part, with the database at path.
func start(t *testing.T, binary, part, path string, credential *syscall.Credential) *process {
	t.Helper()
	c := exec.Command(binary)
	c.Env = append(os.Environ(), partVariable+"="+part, pathVariable+"="+path)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGKILL}
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{Cmd: c, lines: bufio.NewScanner(out), stdin: in}
}

// firstLine returns what the process says first, which is how Open went.
func (p *process) firstLine(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the process said nothing: %v", p.lines.Err())
	}
	return p.lines.Text()
}

// end lets the process finish and waits for it.
func (p *process) end(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	for p.lines.Scan() {
		t.Errorf("the process said %q", p.lines.Text())
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the process: %v", err)
	}
}

// asNobody returns a copy of this binary that every user can run, and the
// credential of a user who owns nothing; nil where the tests are not root's.
func asNobody(t *testing.T) (binary, dir string, nobody *syscall.Credential) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return self, t.TempDir(), nil
	}
	// t.TempDir is below a directory that only its owner may enter.
	if dir, err = os.MkdirTemp("", "connvo-db-test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "test.binary")
	if err := os.WriteFile(binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	const uid = 65534
	return binary, dir, &syscall.Credential{Uid: uid, Gid: uid}
}

// isOneLine fails the test when a log would show err on several lines.
func isOneLine(t testing.TB, err error) {
	t.Helper()
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("more than one line: %q", err)
	}
}

// refusedWith checks what the operator reads when a database is not opened.
func refusedWith(t testing.TB, err error, want string) {
	t.Helper()
	isOneLine(t, err)
	if !strings.HasPrefix(err.Error(), "database ") || !strings.Contains(err.Error(), want) {
		t.Errorf("refused with %q, want %q", err, want)
	}
}
