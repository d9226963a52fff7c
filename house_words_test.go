package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/token"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHousePackageComments(t *testing.T) {
	report(t, packageComplaints(program(house(t))))
}

func TestHousePackageCommentsCanFail(t *testing.T) {
	const good = "// Package x is one thing.\n"
	for _, c := range []struct{ one, two, complaint string }{
		{good + "package x", "package x", ""},
		{"// Command x does a thing: it is\n// long. And more\npackage main", "package main", ""},
		{"package x", "package x", "no file says what package x is for"},
		{good + "package x", good + "package x", "more than one file"},
		{"// This is x.\npackage x", "package x", `begin it with "Package x "`},
		{"// Package x is main.\npackage main", "package main", `begin it with "Command "`},
		{"// Package x is one thing\npackage x", "package x", "end its first sentence with a full stop"},
		{good + "//\n// More\npackage x", "package x", ""},
	} {
		expect(t, packageComplaints([]source{written(t, "x/one.go", c.one), written(t, "x/two.go", c.two)}), c.complaint)
	}
}

func packageComplaints(sources []source) []string {
	var complaints []string
	commented := map[string][]source{}
	var dirs []string
	for _, s := range sources {
		if !slices.Contains(dirs, s.dir()) {
			dirs = append(dirs, s.dir())
		}
		if s.file.Doc.Text() != "" {
			commented[s.dir()] = append(commented[s.dir()], s)
		}
	}
	for _, dir := range dirs {
		switch files := commented[dir]; len(files) {
		case 0:
			complaints = append(complaints, fmt.Sprintf("no file says what package %s is for: begin one with a package comment", dir))
		case 1:
			complaints = append(complaints, packageComplaint(files[0])...)
		default:
			complaints = append(complaints, fmt.Sprintf("%s: more than one file has a package comment: keep one", files[1].path))
		}
	}
	return complaints
}

func packageComplaint(s source) []string {
	text, begin := s.file.Doc.Text(), "Package "+s.file.Name.Name+" "
	if s.file.Name.Name == "main" {
		begin = "Command "
	}
	if !strings.HasPrefix(text, begin) {
		return []string{fmt.Sprintf("%s: the package comment: begin it with %q and what it is for", s.path, begin)}
	}
	first := new(doc.Package).Synopsis(text)
	if !strings.HasSuffix(first, ".") {
		return []string{fmt.Sprintf("%s: the package comment: end its first sentence with a full stop", s.path)}
	}
	return nil
}

func TestHouseNamesAreDocumented(t *testing.T) {
	report(t, nameComplaints(program(house(t))))
}

func TestHouseNamesCanFail(t *testing.T) {
	for _, c := range []struct{ text, complaint string }{
		{"// F does.\nfunc F() {}", ""},
		{"func f() {}\ntype t struct{ A int }\nconst c = 1", ""},
		{"func F() {}", "F has no comment: say what it promises"},
		{"// Does.\nfunc F() {}", `begin the comment with "F "`},
		{"// Find does.\nfunc F() {}", `begin the comment with "F "`},
		{"type t int\nfunc (t) M() {}", "t.M has no comment"},
		{"type t[V any] int\nfunc (*t[V]) M() {}", "t.M has no comment"},
		{"// A T is.\ntype T int", ""},
		{"type T int", "T has no comment"},
		{"// The types.\ntype (\n\tT int\n\tU int\n)", "T, U have no comment"},
		{"// The numbers.\nconst (\n\tA = 1\n\tB = 2\n)", ""},
		{"const (\n\tA = 1\n\tb = 2\n)", "A has no comment"},
		{"const (\n\t// A is.\n\tA = 1\n\tB = 2 // B is.\n)", ""},
		{"// Is.\nconst A = 1", `begin the comment with "A "`},
		{"var A, B = 1, 2", "A has no comment"},
	} {
		complaints := nameComplaints([]source{written(t, "x/x.go", "package x\n"+c.text)})
		if strings.HasPrefix(c.complaint, "T, U") && len(complaints) == 2 {
			continue
		}
		expect(t, complaints, c.complaint)
	}
}

func nameComplaints(sources []source) []string {
	var complaints []string
	for _, s := range sources {
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() {
					complaints = append(complaints, s.commentComplaint(d, d.Name.Name, receiver(d)+d.Name.Name, d.Doc.Text())...)
				}
			case *ast.GenDecl:
				complaints = append(complaints, s.declComplaints(d)...)
			}
		}
	}
	return complaints
}

// receiver is the type of a method and a dot.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return ""
		}
	}
}

func (s source) declComplaints(d *ast.GenDecl) []string {
	var complaints []string
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			text := spec.Doc.Text() + spec.Comment.Text()
			if !d.Lparen.IsValid() {
				text = d.Doc.Text()
			}
			if spec.Name.IsExported() {
				complaints = append(complaints, s.commentComplaint(spec, spec.Name.Name, spec.Name.Name, text)...)
			}
		case *ast.ValueSpec:
			if d.Lparen.IsValid() && d.Doc.Text() != "" {
				continue // the comment on the group is enough
			}
			text := spec.Doc.Text() + spec.Comment.Text()
			if !d.Lparen.IsValid() {
				text = d.Doc.Text()
			}
			if i := slices.IndexFunc(spec.Names, (*ast.Ident).IsExported); i >= 0 {
				complaints = append(complaints, s.commentComplaint(spec, spec.Names[i].Name, spec.Names[i].Name, text)...)
			}
		}
	}
	return complaints
}

func (s source) commentComplaint(n ast.Node, name, full, text string) []string {
	if text == "" {
		return []string{fmt.Sprintf("%s: %s has no comment: say what it promises", s.at(n), full)}
	}
	for _, article := range []string{"", "A ", "An ", "The "} { // "A Snapshot is", as in the standard library
		rest, found := strings.CutPrefix(text, article+name)
		if found && (rest == "" || !token.IsIdentifier(rest[:1])) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: begin the comment with %q", s.at(n), name+" ")}
}

// strangers are words about the place where connvo was written, which mean
// nothing to whoever reads it. They are in pieces here, so that this file does
// not hold them.
var strangers = regexp.MustCompile(strings.Join([]string{
	`\.\./` + "shared", "/wor" + "k/", "helper" + " session",
	"proxy" + `\.golang\.org`, "registry" + `\.npmjs\.org`, "deb" + `\.debian\.org`,
}, "|"))

func TestHouseKnowsNoStrangers(t *testing.T) {
	list, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	names := strings.Split(strings.Trim(string(list), "\x00"), "\x00")
	if err != nil {
		t.Logf("git cannot tell which files are ours (%v): looking at all", err)
		names = files(t)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		}
		if fi, statErr := os.Stat(name); statErr == nil && fi.IsDir() {
			continue // a link or a repository within
		}
		if err != nil {
			t.Fatal(err)
		}
		report(t, strangerComplaints(name, text))
	}
}

func TestHouseStrangersCanFail(t *testing.T) {
	expect(t, strangerComplaints("x.md", []byte("see the shared network/works of helpers")), "")
	for _, word := range []string{"../" + "shared/x", "cd /wor" + "k/main", "a helper" + " session", "https://proxy" + ".golang.org"} {
		expect(t, strangerComplaints("x.md", []byte("one\ntwo "+word)), "x.md:2: ")
	}
}

func strangerComplaints(name string, text []byte) []string {
	var complaints []string
	for _, at := range strangers.FindAllIndex(text, -1) {
		line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
		complaints = append(complaints, fmt.Sprintf("%s:%d: %q means nothing to a reader of %s: say it without",
			name, line, text[at[0]:at[1]], path.Base(name)))
	}
	return complaints
}
