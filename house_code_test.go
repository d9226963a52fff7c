package main

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// long are the files and functions that may be longer, each with the reason:
// "db/writer.go" or "db/writer.go:run".
var long = map[string]string{}

func TestHouseIsShort(t *testing.T) {
	report(t, lengthComplaints(program(house(t)), long))
}

func TestHouseLengthCanFail(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	for _, c := range []struct {
		text, complaint string
		allowed         map[string]string
	}{
		{"package x" + lines(400), "", nil},
		{"package x" + lines(401), "x/x.go has 401 lines", nil},
		{"package x" + lines(401), "", map[string]string{"x/x.go": "a table"}},
		{"package x\nfunc f() {" + lines(59) + "}\n", "", nil},
		{"package x\nfunc f() {" + lines(60) + "}\n", "x/x.go:2: f has 61 lines", nil},
		{"package x\nfunc f() {" + lines(60) + "}\n", "", map[string]string{"x/x.go:f": "a table"}},
		{"package x\n", "x/x.go:f is not long", map[string]string{"x/x.go:f": "a table"}},
	} {
		expect(t, lengthComplaints([]source{written(t, "x/x.go", c.text)}, c.allowed), c.complaint)
	}
}

func lengthComplaints(sources []source, allowed map[string]string) []string {
	var complaints []string
	used := map[string]bool{}
	complain := func(id, at string, lines int) {
		used[id] = true
		if allowed[id] == "" {
			complaints = append(complaints, fmt.Sprintf("%s has %d lines: split it by idea", at, lines))
		}
	}
	for _, s := range sources {
		if lines := strings.Count(s.text, "\n"); lines > maxFileLines {
			complain(s.path, s.path, lines)
		}
		for _, d := range s.file.Decls {
			f, isFunc := d.(*ast.FuncDecl)
			if !isFunc {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > maxFunctionLines {
				name := receiver(f) + f.Name.Name
				complain(s.path+":"+name, s.at(f)+": "+name, lines)
			}
		}
	}
	for id := range allowed {
		if !used[id] {
			complaints = append(complaints, id+" is not long: take it out of long in house_code_test.go")
		}
	}
	return complaints
}

// worldly is what a domain may not reach for: the clock, chance, the environment.
var worldly = map[string][]string{
	"time":      {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"},
	"os":        nil, // nil is everything
	"math/rand": nil, "math/rand/v2": nil, "crypto/rand": nil, "syscall": nil,
	"github.com/oklog/ulid/v2": {"Make", "Now", "DefaultEntropy"},
}

func TestHouseDomainsKnowNoWorld(t *testing.T) {
	report(t, worldComplaints(program(house(t))))
}

func TestHouseWorldCanFail(t *testing.T) {
	for _, c := range []struct{ path, imports, expr, complaint string }{
		{"domain/x/x.go", `"time"`, "time.UnixMilli(1)", ""},
		{"auth/x.go", `"time"`, "time.Now()", ""},
		{"domain/x/x.go", `"time"`, "time.Now()", "time.Now in domain/x"},
		{"domain/x.go", `clock "time"`, "clock.Since(t)", "time.Since in domain"},
		{"domain/x/x.go", `"time"`, "time.Now", "time.Now in domain/x"},
		{"domain/x/x.go", `. "time"`, "Now()", "hides what it takes from time"},
		{"domain/x/x.go", `"math/rand/v2"`, "rand.N(2)", "math/rand/v2.N in domain/x"},
		{"domain/x/x.go", `"crypto/rand"`, "rand.Text()", "crypto/rand.Text in domain/x"},
		{"domain/x/x.go", `"os"`, `os.Getenv("A")`, "os.Getenv in domain/x"},
		{"domain/x/x.go", `"os"`, `os.LookupEnv("A")`, "os.LookupEnv in domain/x"},
		{"domain/x/x.go", `"github.com/oklog/ulid/v2"`, "ulid.Make()", "ulid/v2.Make in domain/x"},
	} {
		text := "package x\nimport " + c.imports + "\nvar v = " + c.expr + "\n"
		expect(t, worldComplaints([]source{written(t, c.path, text)}), c.complaint)
	}
}

func worldComplaints(sources []source) []string {
	const remedy = "take it from tx (tx.Now, tx.ULID), or let main pass it in"
	var complaints []string
	for _, s := range below("domain", sources) {
		for _, spec := range s.file.Imports {
			if _, banned := worldly[importPath(spec)]; banned && localName(spec) == "." {
				complaints = append(complaints, fmt.Sprintf("%s: %s hides what it takes from %s: %s", s.at(spec), s.dir(), importPath(spec), remedy))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			p := s.imported(x.Name)
			if names, banned := worldly[p]; banned && (names == nil || slices.Contains(names, sel.Sel.Name)) {
				complaints = append(complaints, fmt.Sprintf("%s: %s.%s in %s: %s", s.at(n), p, sel.Sel.Name, s.dir(), remedy))
			}
			return true
		})
	}
	return complaints
}

// leakless are the packages whose TestMain does not look for goroutines that are
// left, each with the reason.
var leakless = map[string]string{
	"domain": "pure: its tests start no goroutine",
	".":      "its commands run as processes, and each looks for itself when it ends (connvo in cli_test.go)",
}

func TestHouseGoroutinesEnd(t *testing.T) {
	report(t, leakComplaints(house(t), leakless))
}

func TestHouseLeaksCanFail(t *testing.T) {
	const checks = "import \"go.uber.org/goleak\"\nfunc TestMain(m *testing.M) { goleak.VerifyTestMain(m) }"
	const careless = "func TestMain(m *testing.M) { m.Run() }"
	for _, c := range []struct {
		name, text, complaint string
		allowed               map[string]string
	}{
		{"x/x.go", "", "", nil},
		{"x/x_test.go", checks, "", nil},
		{"x/x_test.go", "", "the tests of x do not look for goroutines", nil},
		{"x/x_test.go", careless, "the tests of x do not look for goroutines", nil},
		{"x/x_test.go", strings.Replace(checks, "VerifyTestMain", "IgnoreCurrent", 1), "the tests of x do not look for goroutines", nil},
		{"x/x_test.go", "", "", map[string]string{"x": "pure"}},
		{"x/x_test.go", checks, "x looks for goroutines", map[string]string{"x": "pure"}},
	} {
		expect(t, leakComplaints([]source{written(t, c.name, "package x\n"+c.text)}, c.allowed), c.complaint)
	}
}

func leakComplaints(sources []source, allowed map[string]string) []string {
	var complaints, dirs []string
	looks := map[string]bool{}
	for _, s := range sources {
		if !s.test() {
			continue
		}
		if !slices.Contains(dirs, s.dir()) {
			dirs = append(dirs, s.dir())
		}
		for _, d := range s.file.Decls {
			f, isFunc := d.(*ast.FuncDecl)
			looks[s.dir()] = looks[s.dir()] || (isFunc && f.Name.Name == "TestMain" && s.looksForLeaks(f))
		}
	}
	for _, dir := range dirs {
		switch listed := allowed[dir] != ""; {
		case !looks[dir] && !listed:
			complaints = append(complaints, fmt.Sprintf("the tests of %s do not look for goroutines that are left: give it a TestMain with goleak.VerifyTestMain(m), or name it in leakless of house_code_test.go", dir))
		case looks[dir] && listed:
			complaints = append(complaints, fmt.Sprintf("%s looks for goroutines: take it out of leakless in house_code_test.go", dir))
		}
	}
	return complaints
}

func (s source) looksForLeaks(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "VerifyTestMain" {
			x, ok := sel.X.(*ast.Ident)
			found = found || (ok && s.imported(x.Name) == "go.uber.org/goleak")
		}
		return !found
	})
	return found
}
