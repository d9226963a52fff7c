package main

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

func TestHouseRequireDecides(t *testing.T) {
	sources := program(house(t))
	all, _ := statements(sources)
	report(t, decidesComplaints(sources, all, unscoped))
}

func TestHouseRequireCanFail(t *testing.T) {
	const decides, silent = "const q = `SELECT 1\n-- decides`\n", "const q = `SELECT 1`\n"
	for _, c := range []struct{ text, complaint string }{
		{decides + "func RequireThis() { one(q) }", ""},
		{decides + "func requireThis() { one(q) }", ""},
		{decides + "func (s *Store) RequireThis() { one(q) }", ""},
		{silent + "func Get() { one(q) }", ""},
		{decides + "func RequireThis() { one(q) }\nfunc Get() { one(q) }", "q decides, but Get uses it"},
		{decides + "func RequireThis() { one(q) }\nvar v = q", "q decides, but v uses it"},
		{decides, "q decides, but no function uses it"},
		{silent + "func RequireThis() { one(q) }", "RequireThis rests on q, which does not say \"-- decides\""},
		{"const write = `SELECT 1`\nfunc requireThis() { one(write) }", ""},
		{"func RequireThis() { one(`SELECT 1 -- decides`) }", "is to be on a line of its own"},
	} {
		sources := []source{written(t, "domain/x/x.go", "package x\n"+c.text)}
		all, _ := statements(sources)
		expect(t, decidesComplaints(sources, all, map[string]string{"domain/x.write": "writes only"}), c.complaint)
	}
}

// decidesComplaints compares what is marked as deciding with who uses it. When
// it changes, an open stream asks Require again before it sends anything more;
// what Require reads unmarked would keep a stream open to someone without rights.
// The statements in writes are those that no stream runs.
func decidesComplaints(sources []source, all []statement, writes map[string]string) []string {
	var complaints []string
	users := usersOf(sources)
	for _, s := range all {
		decides := decidesLine.MatchString(s.value)
		if !decides && strings.Contains(s.value, "-- decides") {
			complaints = append(complaints, s.title()+`: "-- decides" is to be on a line of its own`)
		}
		if s.name == "" {
			continue
		}
		used := false
		for _, u := range users[name{s.dir(), s.name}] {
			if u.node == s.node {
				continue // its own declaration
			}
			used = true
			switch require := strings.HasPrefix(strings.ToLower(u.name), "require"); {
			case decides && !require:
				complaints = append(complaints, fmt.Sprintf("%s decides, but %s uses it: only a function whose name begins with Require may", s.title(), u.name))
			case !decides && require && s.selects() && writes[s.id()] == "":
				complaints = append(complaints, fmt.Sprintf("%s: %s rests on %s, which does not say \"-- decides\": add the line, or move the rest out of it", s.at(s.node), u.name, s.name))
			}
		}
		if decides && !used {
			complaints = append(complaints, s.title()+" decides, but no function uses it: take the line away")
		}
	}
	return complaints
}

// name is what a package declares.
type name struct{ dir, name string }

// user is a function or variable that uses it.
type user struct {
	name string
	node ast.Node
}

// usersOf returns who uses what, by what is used.
func usersOf(sources []source) map[name][]user {
	all := map[name][]user{}
	for _, s := range sources {
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				s.uses(all, user{d.Name.Name, d})
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						s.uses(all, user{v.Names[0].Name, v})
					}
				}
			}
		}
	}
	return all
}

// uses adds the user to all whose names stand in it.
func (s source) uses(all map[name][]user, u user) {
	add := func(n name) {
		if before := all[n]; len(before) == 0 || before[len(before)-1] != u {
			all[n] = append(before, u)
		}
	}
	ast.Inspect(u.node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				if dir, ours := ourPackage(s.imported(x.Name)); ours {
					add(name{dir, n.Sel.Name})
				}
			}
		case *ast.Ident:
			add(name{s.dir(), n.Name})
		}
		return true
	})
}

// TestHouseStatementsAreConstants: a domain runs only what stands in its sql.go,
// in one piece.
func TestHouseStatementsAreConstants(t *testing.T) {
	sources := program(house(t))
	report(t, queryComplaints(sources))
	report(t, rowsComplaints(sources))
}

func TestHouseQueriesCanFail(t *testing.T) {
	const declared = "const q, half = `SELECT 1`, `SELECT 1 WHERE `\n"
	const imports = "import \"connvo/db\"\n"
	for _, c := range []struct{ text, complaint string }{
		{"func F() { db.One(tx, scan, q, 1) }", ""},
		{"func F() { db.All[int](tx, scan, q, 1) }", ""},
		{"func F() { tx.Exec(q, 1) }", ""},
		{"func F() { db.Part(tx, span, scan, db.Feed{After: q, Before: q}, 1) }", ""},
		{"func F() { db.One(tx, scan, q + `x`) }", "db.One runs something that is no constant"},
		{"func F() { db.All[int](tx, scan, fmt.Sprintf(q, 1)) }", "db.All runs something that is no constant"},
		{"func F(query string) { tx.Exec(query) }", "tx.Exec runs something that is no constant"},
		{"func F() { tx.Exec(`DELETE FROM x`) }", "tx.Exec runs something that is no constant"},
		{"var f = db.Feed{After: q, Before: q + q}", "db.Feed runs something that is no constant"},
		{"func F() { db.Part(tx, span, scan, db.Feed{q, g()}, 1) }", "db.Feed runs something that is no constant"},
		{"const sum = half + `1`\nfunc F() { tx.Exec(sum, 1) }", "sum is put together"},
	} {
		expect(t, queryComplaints([]source{written(t, "domain/x/x.go", "package x\n"+imports+declared+c.text)}), c.complaint)
	}
	for _, c := range []struct{ path, text, complaint string }{
		{"db/x.go", "import \"database/sql\"\nfunc F() { rows.Next() }", ""},
		{"jobs/x.go", "func F() { tx.Next() }", ""},
		{"jobs/x.go", "func F() { for rows.Next() { } }", "read rows through db.One and db.All"},
		{"jobs/x.go", "import \"database/sql\"", "imports database/sql"},
	} {
		expect(t, rowsComplaints([]source{written(t, c.path, "package x\n"+c.text)}), c.complaint)
	}
}

// queryComplaints tells of statements in domains that are made at run time.
func queryComplaints(sources []source) []string {
	var complaints []string
	sources = below("domain", sources)
	named := map[string]bool{}
	for _, c := range constants(sources) {
		named[c.id()] = c.name != ""
		if c.joined && c.name != "" && sqlStart.MatchString(c.value) {
			complaints = append(complaints, fmt.Sprintf("%s: %s is put together: write the statement in one piece, as it runs", c.at(c.node), c.name))
		}
	}
	for _, s := range sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			name, queries := s.runs(n)
			for _, q := range queries {
				id, isName := q.(*ast.Ident)
				if !isName || !named[s.dir()+"."+id.Name] {
					complaints = append(complaints, fmt.Sprintf("%s: %s runs something that is no constant: name the statement in sql.go; a list goes in as one JSON argument",
						s.at(n), name))
				}
			}
			return true
		})
	}
	return complaints
}

// runs returns the statements that a call, or a db.Feed, runs.
func (s source) runs(n ast.Node) (name string, queries []ast.Expr) {
	if feed, ok := n.(*ast.CompositeLit); ok {
		if sel, ok := feed.Type.(*ast.SelectorExpr); ok && s.ofDB(sel) && sel.Sel.Name == "Feed" {
			for _, e := range feed.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					e = pair.Value
				}
				queries = append(queries, e)
			}
		}
		return "db.Feed", queries
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", nil
	}
	f := call.Fun
	switch generic := f.(type) {
	case *ast.IndexExpr:
		f = generic.X
	case *ast.IndexListExpr:
		f = generic.X
	}
	sel, ok := f.(*ast.SelectorExpr)
	switch {
	case !ok:
	case s.ofDB(sel) && slices.Contains([]string{"One", "All"}, sel.Sel.Name) && len(call.Args) > 2:
		return "db." + sel.Sel.Name, call.Args[2:3]
	case sel.Sel.Name == "Exec" && len(call.Args) > 0:
		return "tx.Exec", call.Args[:1]
	}
	return "", nil
}

// ofDB reports whether what is selected is of package db.
func (s source) ofDB(sel *ast.SelectorExpr) bool {
	x, ok := sel.X.(*ast.Ident)
	return ok && s.imported(x.Name) == "connvo/db"
}

// rowsComplaints tells of rows that are read outside package db.
func rowsComplaints(sources []source) []string {
	var complaints []string
	for _, s := range sources {
		if s.dir() == "db" {
			continue
		}
		for _, spec := range s.file.Imports {
			if p := importPath(spec); p == "database/sql" || strings.HasPrefix(p, "database/sql/") {
				complaints = append(complaints, fmt.Sprintf("%s: %s imports %s: open, read and write through package db", s.at(spec), s.dir(), p))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Next" {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "rows" || x.Name == "row") {
					complaints = append(complaints, s.at(n)+": rows.Next outside package db: read rows through db.One and db.All")
				}
			}
			return true
		})
	}
	return complaints
}
