// Package browser_test drives what people see in a real browser, against the
// real binary.
package browser_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline bounds everything: a browser takes a few seconds to start.
const deadline = 2 * time.Minute

// TestTwoBrowsersChat signs two browsers in on the first page and lets them talk.
func TestTwoBrowsersChat(t *testing.T) {
	script(t, "home.mjs", serve(t))
}

// script runs a script of this directory with the server's URL.
func script(t *testing.T, name, url string) {
	t.Helper()
	modules, err := filepath.Abs("../../.tools/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	chromium := find(t, os.Getenv("CHROMIUM"), "chromium")
	node := find(t, "", "node")
	if _, err := os.Stat(filepath.Join(modules, "playwright-core")); err != nil {
		missing(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	run := exec.CommandContext(ctx, node, name, url, t.TempDir())
	run.Env = append(os.Environ(), "CHROMIUM="+chromium, "MODULES="+modules)
	run.WaitDelay = 5 * time.Second
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// find returns the path of a program: the one named, else one on the path.
func find(t *testing.T, named, program string) string {
	t.Helper()
	if named != "" {
		program = named
	}
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, err)
	}
	return path
}

// missing skips the test, except where everything must be tested.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v; make browser installs it", err)
	}
	t.Skipf("%v; make browser installs it", err)
}

// serve builds and starts connvo on a fresh database and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "connvo")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	server := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--db", filepath.Join(dir, "connvo.db"), "--log-format", "json", "--log-level", "warn")
	server.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	logs, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-drained
		if err := server.Wait(); err != nil {
			t.Errorf("connvo ended with %v", err)
		}
	})
	found := make(chan string, 1)
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var entry struct{ Msg, URL string }
			if err := json.Unmarshal(lines.Bytes(), &entry); err == nil && strings.Contains(entry.Msg, "listening") {
				found <- entry.URL
				break
			}
		}
		_, _ = io.Copy(io.Discard, logs) // what it logs later must not block it
	}()
	select {
	case url := <-found:
		return url
	case <-drained:
		t.Fatal("connvo ended before it was listening")
	case <-time.After(deadline):
		t.Fatal("connvo does not listen")
	}
	return ""
}
