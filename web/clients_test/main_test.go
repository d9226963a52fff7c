// Package clients_test drives connvo with the clients that people use, against
// the real binary.
package clients_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// deadline bounds every wait: a browser takes a few seconds to start, an EventSource
// whose connection broke comes again after three, a client that found nobody for long
// after half a minute, and a busy machine makes all of it take many times as long.
const deadline = 2 * time.Minute

// parallel is how many tests run at once. They wait for the timers of clients,
// not for processors.
const parallel = "12"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", parallel) // the flag is there wherever tests are
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(built) // or "", which is nothing
		os.Exit(code)
	}))
}

// built is the directory of the binary, "" before it was built.
var built string

// binary returns the path of connvo, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "connvo")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "connvo")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = source
	build.Stderr = os.Stderr
	return path, errors.Join(build.Run(), look(source))
})

// source is the directory of connvo's source.
const source = "../.."

// look reads the directories below root. go test keeps the result of a test until
// a file has changed in a directory that the test has read, and does not know what
// the test has built.
func look(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
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

// module returns the directory of the npm modules, in which the one named is.
func module(t *testing.T, name string) string {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join(source, ".tools/node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
		missing(t, err)
	}
	return modules
}

// missing skips the test, except where everything must be tested.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v; make clients installs it", err)
	}
	t.Skipf("%v; make clients installs it", err)
}
