package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// typescript is the directory of the client that the project gives away.
const typescript = "../client"

// compile returns the directory of the client as JavaScript, compiled once.
var compile = sync.OnceValues(func() (string, error) {
	if _, err := binary(); err != nil { // which makes the directory that goes at the end
		return "", err
	}
	to := filepath.Join(built, "client")
	tsc := exec.Command("node", filepath.Join(source, ".tools/node_modules/typescript/bin/tsc"), "-p", typescript, "--outDir", to)
	said, err := tsc.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tsc: %w\n%s", err, said)
	}
	// It is made of modules, which the package.json above it says of dist.
	return to, errors.Join(err, os.WriteFile(filepath.Join(built, "package.json"), []byte(`{"type":"module"}`), 0o600))
})

// compiled returns the directory of the client as JavaScript.
func compiled(t *testing.T) string {
	t.Helper()
	find(t, "", "node")
	module(t, "typescript")
	dir, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// node runs a script of this directory, or arguments of Node, to its end and
// returns what it prints. heard, unless nil, is called with each line.
func node(t *testing.T, environment []string, heard func(line string), arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*deadline)
	defer cancel()
	run := exec.CommandContext(ctx, find(t, "", "node"), arguments...)
	run.Env = append(append(os.Environ(), "CLIENT="+compiled(t)), environment...)
	run.WaitDelay = 5 * time.Second
	var said, wrong bytes.Buffer
	run.Stderr = &wrong
	output, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(io.TeeReader(output, &said))
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if heard != nil {
			heard(lines.Text())
		}
	}
	if err := errors.Join(lines.Err(), run.Wait()); err != nil {
		t.Fatalf("node %s: %v\n%s%s", strings.Join(arguments, " "), err, &said, &wrong)
	}
	return said.String()
}

// TestTypeScriptUnits runs what the client tests by itself.
func TestTypeScriptUnits(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob(filepath.Join(typescript, "test/*.test.mjs"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("%v, error %v", tests, err)
	}
	t.Log(node(t, []string{fmt.Sprint("SEED=", anySeed(t))}, nil, append([]string{"--test"}, tests...)...))
}

// TestTypeScriptTypes compiles what the types allow, and what they refuse.
func TestTypeScriptTypes(t *testing.T) {
	t.Parallel()
	node(t, nil, nil, filepath.Join(module(t, "typescript"), "typescript/bin/tsc"), "-p", filepath.Join(typescript, "test"))
}

// TestTypesAreThoseOfTheServer generates the types from what the server says of
// itself, and compares them with those that are checked in.
func TestTypesAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	modules, s := module(t, "openapi-typescript"), serve(t)
	answer, err := http.Get(s.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "openapi.json"), filepath.Join(dir, "openapi.ts")
	if err := os.WriteFile(from, document, 0o600); err != nil {
		t.Fatal(err)
	}
	node(t, nil, nil, filepath.Join(modules, "openapi-typescript/bin/cli.js"), from, "-o", to)
	want, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(typescript, "src/openapi.ts")
	if os.Getenv("GENERATE") != "" {
		if err := os.WriteFile(kept, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the server says of itself: make types", kept)
	}
}
