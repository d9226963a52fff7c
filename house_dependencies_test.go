package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dependencies are the modules that we use ourselves, each with the reason. One
// more is bought with a line here.
var dependencies = map[string]string{
	"github.com/MicahParks/jwkset":            "the keys of an identity provider, stored as keyfunc wants them",
	"github.com/MicahParks/keyfunc/v3":        "the key of a token, from a key set that is fetched and kept",
	"github.com/alecthomas/kong":              "flags and environment variables from one struct",
	"github.com/aws/aws-sdk-go-v2/config":     "the usual credentials and variables of AWS",
	"github.com/aws/aws-sdk-go-v2/service/s3": "objects beside those of Litestream, whose client keeps its own to itself",
	"github.com/benbjohnson/litestream":       "replication of the database, and restoring it",
	"github.com/danielgtaylor/huma/v2":        "typed handlers: validation, OpenAPI 3.1, problem documents",
	"github.com/emersion/go-sasl":             "tests: what go-smtp asks for the password with",
	"github.com/emersion/go-smtp":             "tests: a mail server with TLS and passwords that is not the library that sends",
	"github.com/failsafe-go/failsafe-go":      "retries and breakers around every provider",
	"github.com/golang-jwt/jwt/v5":            "parsing and verifying access tokens",
	"github.com/jonreiter/govader":            "VADER: how friendly English is, by a lexicon",
	"github.com/kljensen/snowball":            "the stems of words, so that one topic in several forms is one",
	"github.com/oklog/ulid/v2":                "ids that grow with time",
	"github.com/prometheus/client_golang":     "the text format of figures, histograms, those of the Go runtime; telemetry alone uses it",
	"github.com/r3labs/sse/v2":                "the client of event streams, in the command line and in tests; never its server",
	"github.com/rogpeppe/go-internal":         "testscript: the command line as conversations",
	"github.com/superfly/ltx":                 "the names of Litestream's files, in the signatures of its library",
	"github.com/swaggest/swgui":               "the page that shows the OpenAPI document, in the binary",
	"github.com/wneessen/go-mail":             "sending mail: net/smtp is frozen, and writes neither messages nor their encodings",
	"go.uber.org/goleak":                      "tests: every goroutine has ended",
	"golang.org/x/sync":                       "singleflight: what many ask at once is computed once",
	"golang.org/x/sys":                        "a clock that goes on while the machine is suspended",
	"golang.org/x/text":                       "names and texts in one form of Unicode, tags of languages",
	"golang.org/x/time":                       "rate: how many streams begin in a second, in the order in which they came",
	"modernc.org/sqlite":                      "the database, in pure Go",
	"pgregory.net/rapid":                      "tests: random workloads that shrink to the smallest failure",
}

// module is a go.mod, as the go command prints it.
type module struct {
	Require []requirement
}

type requirement struct {
	Path, Version string
	Indirect      bool
}

func (m module) version(path string) string {
	for _, r := range m.Require {
		if r.Path == path {
			return r.Version
		}
	}
	return ""
}

// readModule reads a go.mod by the go command.
func readModule(t *testing.T, file string) (m module) {
	t.Helper()
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json", file), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	c.Stderr = t.Output()
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestHouseDependencies(t *testing.T) {
	report(t, dependencyComplaints(house(t), readModule(t, "go.mod"), dependencies))
}

func TestHouseDependenciesCanFail(t *testing.T) {
	const a, b = "example.com/a/v2", "example.com/b"
	uses := func(p string) []source {
		return []source{written(t, "x/x.go", "package x\nimport \"fmt\"\nimport \""+p+"\"\nimport \"connvo/db\"")}
	}
	direct := module{Require: []requirement{{Path: a}, {Path: b, Indirect: true}}}
	for _, c := range []struct {
		sources   []source
		module    module
		list      map[string]string
		complaint string
	}{
		{uses(a + "/sub"), direct, map[string]string{a: "a reason"}, ""},
		{uses(a), direct, map[string]string{a: ""}, "example.com/a/v2 has no reason"},
		{uses(a), module{Require: []requirement{{Path: a}, {Path: b}}}, map[string]string{a: "a reason"}, "go.mod requires example.com/b, which has no reason"},
		{uses(a), direct, map[string]string{a: "a reason", b: "another"}, "example.com/b is listed, but not used"},
		{append(uses(a), uses(b)...), direct, map[string]string{a: "a reason"}, "imports example.com/b, which has no reason"},
		{append(uses(a), uses(b)...), direct, map[string]string{a: "a reason", b: "another"}, "example.com/b is used, but not a direct requirement"},
		{append(uses(a), uses("example.com/c/sub")...), direct, map[string]string{a: "a reason", "example.com/c": "a third"}, "example.com/c is used, but not a direct requirement"},
		{append(uses(a), uses("example.com/c")...), direct, map[string]string{a: "a reason"}, "imports example.com/c, which has no reason"},
		{nil, direct, map[string]string{a: "a reason"}, "example.com/a/v2 is listed, but not used"},
	} {
		expect(t, dependencyComplaints(c.sources, c.module, c.list), c.complaint)
	}
}

func dependencyComplaints(sources []source, m module, list map[string]string) []string {
	var complaints []string
	used := map[string]bool{}
	for _, s := range sources {
		for _, spec := range s.file.Imports {
			p := importPath(spec)
			if _, ours := ourPackage(p); ours || standard(p) {
				continue
			}
			owner := moduleOf(p, m, list)
			if _, listed := list[owner]; !listed && !used[owner] {
				complaints = append(complaints, fmt.Sprintf("%s: %s imports %s, which has no reason: give it one in house_dependencies_test.go, or do without", s.at(spec), s.dir(), p))
			}
			used[owner] = true
		}
	}
	for _, r := range m.Require {
		if _, listed := list[r.Path]; !listed && !r.Indirect && !used[r.Path] {
			complaints = append(complaints, fmt.Sprintf("go.mod requires %s, which has no reason: give it one in house_dependencies_test.go, or run go mod tidy", r.Path))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(list)) {
		switch {
		case list[p] == "":
			complaints = append(complaints, fmt.Sprintf("%s has no reason: give it one in house_dependencies_test.go", p))
		case !used[p]:
			complaints = append(complaints, fmt.Sprintf("%s is listed, but not used: take it out of house_dependencies_test.go and of go.mod", p))
		case !slices.ContainsFunc(m.Require, func(r requirement) bool { return r.Path == p && !r.Indirect }):
			complaints = append(complaints, fmt.Sprintf("%s is used, but not a direct requirement: run go mod tidy", p))
		}
	}
	return complaints
}

// moduleOf returns the required or listed module that holds a package, or the
// package itself when none does.
func moduleOf(p string, m module, list map[string]string) string {
	modules := slices.Collect(maps.Keys(list))
	for _, r := range m.Require {
		modules = append(modules, r.Path)
	}
	owner := ""
	for _, name := range modules {
		if (p == name || strings.HasPrefix(p, name+"/")) && len(name) > len(owner) {
			owner = name
		}
	}
	return cmp.Or(owner, p)
}

// TestHouseLibc: SQLite is translated to Go against one version of libc, and
// with another one it may break without a word.
func TestHouseLibc(t *testing.T) {
	file := strings.TrimSpace(string(goCommand(t, "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite")))
	linked := strings.TrimSpace(string(goCommand(t, "list", "-m", "-f", "{{with .Replace}}{{.Path}} {{.Version}}{{else}}{{.Version}}{{end}}", libc)))
	report(t, libcComplaints(linked, readModule(t, file)))
}

const libc = "modernc.org/libc"

func TestHouseLibcCanFail(t *testing.T) {
	sqlite := module{Require: []requirement{{Path: libc, Version: "v1.79.0"}}}
	expect(t, libcComplaints("v1.79.0", sqlite), "")
	expect(t, libcComplaints("v1.79.1", sqlite), "run go get modernc.org/libc@v1.79.0")
	expect(t, libcComplaints("v1.79.0", module{}), "asks for no")
}

func libcComplaints(linked string, sqlite module) []string {
	switch asked := sqlite.version(libc); asked {
	case linked:
		return nil
	case "":
		return []string{"modernc.org/sqlite asks for no " + libc + ": mend TestHouseLibc"}
	default:
		return []string{fmt.Sprintf("%s is %s, but modernc.org/sqlite was made with %s: run go get %s@%s", libc, linked, asked, libc, asked)}
	}
}
