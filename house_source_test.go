package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the house.
type source struct {
	path string // from the root, with slashes
	text string
	fset *token.FileSet
	file *ast.File
}

// dir is the package's directory, "." for the root.
func (s source) dir() string { return path.Dir(s.path) }

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// at is where n stands, for a complaint.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// house returns every Go file below the root.
func house(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && name != "." && (strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "node_modules"}, base)) {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(base) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, written(t, filepath.ToSlash(name), string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// written is a file of that text.
func written(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, text: text, fset: fset, file: file}
}

// program returns the files that are not tests.
func program(sources []source) []source {
	return slices.DeleteFunc(slices.Clone(sources), source.test)
}

// below returns the files in a directory and those beneath it.
func below(dir string, sources []source) []source {
	return slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return !strings.HasPrefix(s.path, dir+"/") })
}

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

// expect wants exactly one complaint, which contains words; none when there are
// no words.
func expect(t *testing.T, complaints []string, words string) {
	t.Helper()
	switch {
	case words == "" && len(complaints) > 0:
		t.Errorf("complaints about what is right: %q", complaints)
	case words != "" && (len(complaints) != 1 || !strings.Contains(complaints[0], words)):
		t.Errorf("complaints %q, want one with %q", complaints, words)
	}
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
	return p
}

// ourPackage returns the directory of an import path of this module.
func ourPackage(p string) (dir string, ours bool) {
	if p == "connvo" {
		return ".", true
	}
	return strings.CutPrefix(p, "connvo/")
}

// standard reports whether an import path is of the standard library.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// localName is the name by which a file knows an import.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p))
	}
	return base
}

// imported returns the import path that name stands for in the file, or "".
func (s source) imported(name string) string {
	for _, spec := range s.file.Imports {
		if localName(spec) == name {
			return importPath(spec)
		}
	}
	return ""
}

// constant is a string constant of the program, or a string that stands where
// it is used, which has no name.
type constant struct {
	source
	node   ast.Node
	name   string
	value  string
	doc    string // what the comments on it say
	joined bool   // put together with +
}

// id is the package and the name.
func (c constant) id() string { return c.dir() + "." + c.name }

// constants returns every string constant, in the order of the files.
func constants(sources []source) []constant {
	known := map[string]ast.Expr{}
	var all []constant
	for _, s := range sources {
		for name, expr := range constSpecs(s) {
			known[s.dir()+"."+name] = expr
		}
	}
	for _, s := range sources {
		all = append(all, s.constants(known)...)
	}
	return all
}

// constSpecs returns the expressions of the package's constants in a file.
func constSpecs(s source) map[string]ast.Expr {
	specs := map[string]ast.Expr{}
	for _, d := range s.file.Decls {
		d, isDecl := d.(*ast.GenDecl)
		if !isDecl || d.Tok != token.CONST {
			continue
		}
		for _, spec := range d.Specs {
			v := spec.(*ast.ValueSpec)
			for i, value := range v.Values {
				specs[v.Names[i].Name] = value
			}
		}
	}
	return specs
}

func (s source) constants(known map[string]ast.Expr) []constant {
	var all []constant
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.GenDecl:
			if n.Tok != token.CONST {
				return true
			}
			for _, spec := range n.Specs {
				all = append(all, s.named(n, spec.(*ast.ValueSpec), known)...)
			}
			return false
		case *ast.BasicLit, *ast.BinaryExpr:
			if value, ok := s.evaluate(n.(ast.Expr), known); ok {
				_, joined := n.(*ast.BinaryExpr)
				all = append(all, constant{source: s, node: n, value: value, joined: joined})
				return false
			}
		}
		return true
	})
	return all
}

// named returns the constants of one line of a const declaration.
func (s source) named(d *ast.GenDecl, v *ast.ValueSpec, known map[string]ast.Expr) []constant {
	doc := v.Doc.Text() + v.Comment.Text()
	if !d.Lparen.IsValid() {
		doc += d.Doc.Text()
	}
	var all []constant
	for i, expr := range v.Values {
		if value, ok := s.evaluate(expr, known); ok {
			_, joined := ast.Unparen(expr).(*ast.BinaryExpr)
			all = append(all, constant{source: s, node: v, name: v.Names[i].Name, value: value, doc: doc, joined: joined})
		}
	}
	return all
}

// evaluate returns the value of a constant expression of strings.
func (s source) evaluate(expr ast.Expr, known map[string]ast.Expr) (string, bool) {
	switch e := ast.Unparen(expr).(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		value, err := strconv.Unquote(e.Value)
		return value, err == nil
	case *ast.BinaryExpr:
		left, ok := s.evaluate(e.X, known)
		right, ok2 := s.evaluate(e.Y, known)
		return left + right, ok && ok2 && e.Op == token.ADD
	case *ast.Ident:
		return s.lookUp(s.dir()+"."+e.Name, known)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if dir, ours := ourPackage(s.imported(x.Name)); ours {
				return s.lookUp(dir+"."+e.Sel.Name, known)
			}
		}
	}
	return "", false
}

func (s source) lookUp(id string, known map[string]ast.Expr) (string, bool) {
	expr, found := known[id]
	if !found {
		return "", false
	}
	return source{path: strings.TrimSuffix(id, path.Ext(id)) + "/x.go", file: s.file}.evaluate(expr, known)
}
