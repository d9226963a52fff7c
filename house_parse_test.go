package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What follows reads just enough SQL to know which tables a statement names and
// what it says of their rows. What it does not understand it refuses.

// node is a token in lower case, or what stands in parentheses.
type node struct {
	text  string
	group []node
	paren bool
}

// is reports whether n is one of these words.
func (n node) is(words ...string) bool { return !n.paren && slices.Contains(words, n.text) }

// String writes n with one space between tokens, in a form to compare.
func (n node) String() string {
	if n.paren {
		return "( " + spaced(n.group) + " )"
	}
	return n.text
}

func spaced(nodes []node) string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = n.String()
	}
	return strings.Join(texts, " ")
}

// sqlToken is a comment, a string, a quoted name, a parameter, a word, a number
// or an operator.
var sqlToken = regexp.MustCompile(`(?s)^(?:--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\[[^\]]*\]|` + "`[^`]*`" + `|\?\d*|[:@$]\w+|\w[\w.]*|->>|->|\|\||<=|>=|<>|!=|==|<<|>>|.)`)

// parse reads a statement into its tokens, without comments.
func parse(query string) ([]node, error) {
	stack := [][]node{nil}
	for rest := strings.TrimSpace(query); rest != ""; rest = strings.TrimSpace(rest) {
		token := sqlToken.FindString(rest)
		rest = rest[len(token):]
		last := len(stack) - 1
		switch {
		case strings.HasPrefix(token, "--"), strings.HasPrefix(token, "/*"):
		case token == "(":
			stack = append(stack, nil)
		case token == ")" && last == 0:
			return nil, errors.New("a parenthesis too many")
		case token == ")":
			stack[last-1] = append(stack[last-1], node{group: stack[last], paren: true})
			stack = stack[:last]
		default:
			stack[last] = append(stack[last], words(token)...)
		}
	}
	if len(stack) > 1 {
		return nil, errors.New("a parenthesis is not closed")
	}
	return stack[0], nil
}

// words splits a qualified name, and takes the quotes from a name.
func words(token string) []node {
	switch token[0] {
	case '\'':
		return []node{{text: token}}
	case '"', '[', '`':
		return []node{{text: strings.ToLower(token[1 : len(token)-1])}}
	}
	if _, err := strconv.ParseFloat(token, 64); err == nil || !strings.Contains(token, ".") {
		return []node{{text: strings.ToLower(token)}}
	}
	var all []node
	for i, part := range strings.Split(token, ".") {
		if i > 0 {
			all = append(all, node{text: "."})
		}
		if part != "" {
			all = append(all, node{text: strings.ToLower(part)})
		}
	}
	return all
}

// occurrence is one place where a statement reads a table.
type occurrence struct {
	table    string // or "" for a query in parentheses
	alias    string
	function bool   // it is a table-valued function
	on       []node // the condition of the join that brings it in
}

// query is one SELECT: its tables and what it says of them together.
type query struct {
	from  []occurrence
	where []node
	outer bool // a RIGHT or FULL JOIN: conditions of joins drop no rows
	left  bool // a LEFT JOIN: its condition drops no rows of the tables before it
}

// queries returns every SELECT in a statement, wherever it stands.
func queries(nodes []node) ([]query, error) {
	var all []query
	for _, n := range nodes {
		if n.paren {
			inner, err := queries(n.group)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
		}
	}
	for _, part := range split(nodes, "union", "intersect", "except") {
		i := slices.IndexFunc(part, func(n node) bool { return n.is("select") })
		if i < 0 {
			continue
		}
		q, err := readQuery(part[i+1:])
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	return all, nil
}

func split(nodes []node, at ...string) [][]node {
	parts := [][]node{nil}
	for _, n := range nodes {
		if n.is(at...) {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], n)
	}
	return parts
}

// readQuery reads what follows SELECT.
func readQuery(nodes []node) (query, error) {
	var q query
	from := -1
	for i, n := range nodes {
		if n.is("from") && (i == 0 || !nodes[i-1].is("distinct")) { // not IS DISTINCT FROM
			from = i
			break
		}
	}
	if from < 0 {
		return q, nil
	}
	rest := nodes[from+1:]
	end := slices.IndexFunc(rest, func(n node) bool {
		return n.is("where", "group", "having", "window", "order", "limit", "returning", ";")
	})
	if end < 0 {
		end = len(rest)
	}
	tables, rest := rest[:end], rest[end:]
	if len(rest) > 0 && rest[0].is("where") {
		q.where = rest[1:]
		if end := slices.IndexFunc(q.where, func(n node) bool {
			return n.is("group", "having", "window", "order", "limit", "returning", "on", ";") // ON CONFLICT
		}); end >= 0 {
			q.where = q.where[:end]
		}
	}
	return q, q.readTables(tables)
}

var joinWords = []string{",", "natural", "left", "right", "full", "inner", "cross", "outer", "join"}

// readTables reads what follows FROM.
func (q *query) readTables(nodes []node) error {
	for len(nodes) > 0 {
		for len(nodes) > 0 && nodes[0].is(joinWords...) {
			q.outer = q.outer || nodes[0].is("right", "full")
			q.left = q.left || nodes[0].is("left")
			nodes = nodes[1:]
		}
		end := slices.IndexFunc(nodes, func(n node) bool { return n.is(joinWords...) })
		if end < 0 {
			end = len(nodes)
		}
		o, err := readOccurrence(nodes[:end])
		if err != nil {
			return err
		}
		q.from = append(q.from, o)
		nodes = nodes[end:]
	}
	return nil
}

func readOccurrence(nodes []node) (occurrence, error) {
	var o occurrence
	whole := spaced(nodes)
	next := func() (n node) {
		if len(nodes) > 0 {
			n, nodes = nodes[0], nodes[1:]
		}
		return n
	}
	name := next()
	if name.paren {
		if len(name.group) == 0 || !name.group[0].is("select", "with", "values") {
			return o, fmt.Errorf("%q is a join in parentheses: write it without", whole)
		}
	} else {
		o.table = name.text
		if len(nodes) > 0 && nodes[0].is(".") { // main.users
			next()
			o.table = next().text
		}
		if len(nodes) > 0 && nodes[0].paren {
			next()
			o.function = true
		}
	}
	o.alias = o.table
	if len(nodes) > 0 && nodes[0].is("as") {
		next()
		o.alias = next().text
	} else if len(nodes) > 0 && !nodes[0].paren && !nodes[0].is("on", "using", "indexed", "not") {
		o.alias = next().text
	}
	for len(nodes) > 0 && nodes[0].is("not", "indexed", "by") {
		if next().is("by") {
			next()
		}
	}
	switch {
	case len(nodes) == 0:
	case nodes[0].is("on"):
		o.on = nodes[1:]
	case nodes[0].is("using") && len(nodes) == 2:
	default:
		return o, fmt.Errorf("%q cannot be read: teach house_parse_test.go its form", whole)
	}
	return o, nil
}

// conjuncts returns the conditions of which each must hold. A condition with an
// OR in it, outside parentheses, has none.
func conjuncts(condition []node) []string {
	var all []string
	var current []node
	between, cases := false, 0
	for _, n := range condition {
		switch {
		case n.is("case"):
			cases++
		case n.is("end"):
			cases--
		case cases > 0:
		case n.is("or"):
			return nil
		case n.is("between"):
			between = true
		case n.is("and") && between:
			between = false
		case n.is("and"):
			all, current = append(all, spaced(current)), nil
			continue
		}
		current = append(current, n)
	}
	if len(current) > 0 {
		all = append(all, spaced(current))
	}
	return all
}

// parameters is how many arguments the statement takes; a ? without a number is
// one more than the largest before it.
func parameters(nodes []node) int {
	largest := 0
	var count func([]node)
	count = func(nodes []node) {
		for _, n := range nodes {
			switch {
			case n.paren:
				count(n.group)
			case n.text == "?":
				largest++
			case strings.HasPrefix(n.text, "?"):
				number, _ := strconv.Atoi(n.text[1:]) // digits, by the token's form
				largest = max(largest, number)
			}
		}
	}
	count(nodes)
	return largest
}

func TestHouseReadsSQL(t *testing.T) {
	nodes, err := parse(`WITH near AS (SELECT id FROM "Rooms" r WHERE r.x BETWEEN ?1 AND 2.5)
		SELECT a.n, a.n IS NOT DISTINCT FROM 1 -- FROM nowhere
		FROM main.people AS a LEFT JOIN near ON near.id = a.room, json_each(?2) j
		WHERE a.id = ?3 AND (a.n = 'it''s OR' OR a.m) ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := queries(nodes)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range all {
		for _, o := range q.from {
			got = append(got, fmt.Sprintf("%s as %s %t on %q", o.table, o.alias, o.function, conjuncts(o.on)))
		}
		got = append(got, conjuncts(q.where)...)
	}
	want := []string{
		`rooms as r false on []`,
		`r . x between ?1 and 2.5`,
		`people as a false on []`,
		`near as near false on ["near . id = a . room"]`,
		`json_each as j true on []`,
		`a . id = ?3`,
		`( a . n = 'it''s OR' or a . m )`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := parameters(nodes); n != 3 {
		t.Errorf("%d parameters, want 3", n)
	}
	for _, bad := range []string{"SELECT (1", "SELECT 1)", "SELECT 1 FROM (a JOIN b)", "SELECT 1 FROM a b c"} {
		nodes, err := parse(bad)
		if err == nil {
			_, err = queries(nodes)
		}
		if err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
