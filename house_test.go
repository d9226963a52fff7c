package main

import (
	"fmt"
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rules of the house, each a test whose failure names the remedy. What
// reads the code is a function over sources, so that a second test can show it
// code that breaks the rule: a rule that cannot fail is only a wish.

// floors are the packages, lowest first. An import points to a lower floor;
// siblings never import each other. A name whose directory is not there yet is
// the place that is kept for it.
var floors = [][]string{
	{"domain"},
	{"telemetry", "domain/text", "domain/words"},
	{"db", "domain/topics"},
	{"realtime", "presence", "pressure", "audit", "idempotency", "ratelimit", "jobs", "ai"},
	// Whom people see depends on who blocks whom, so this is below them.
	{"domain/blocks"},
	// The design has users and participants on one floor. Here they are two: who
	// may be in a meeting is decided over users, and the log of what happened is
	// appended to by everyone above it.
	{"domain/users", "domain/events"},
	// Flags and settings are decided over users, and asked by everyone above.
	{"flags", "domain/settings", "domain/interests"},
	// What is deleted, and how, is known above; retention says when.
	{"retention"},
	{"domain/participants"},
	{"domain/profiles", "domain/notifications", "domain/meetings"},
	{"domain/conversation", "domain/connections"},
	{"domain/messages", "domain/notes", "domain/transcripts", "domain/prompts", "domain/embeddings", "domain/video"},
	{"domain/search", "domain/insights", "domain/matching", "domain/analytics", "domain/audio"},
	// It reaches into every table that says something about a person.
	{"privacy", "scribe"},
	{"auth"},
	{"handlers"},
	{"."},
}

// apart are the packages that import nothing of ours, and who may import them.
var apart = map[string][]string{
	"replica":  {"."},
	"outgoing": {"."},
	"web":      {"handlers", "."},
	// These two see a running connvo from outside, as its users do.
	"bench":            nil,
	"web/clients_test": nil,
}

// testFloors are what tests alone import, and what each stands on.
var testFloors = map[string]string{
	"db/dbtest":       "db",
	"auth/workostest": "domain",
	"ai/aitest":       "domain",
}

func TestHouseImportsPointDown(t *testing.T) {
	report(t, importComplaints(house(t)))
}

func TestHouseImportsCanFail(t *testing.T) {
	for _, c := range []struct{ path, imports, complaint string }{
		{"db/x.go", "connvo/domain", ""},
		{"db/x.go", "connvo/jobs", "db/x.go:2: db imports jobs, which is no lower floor"},
		{"domain/users/x.go", "connvo/domain/events", "domain/users imports domain/events, which is no lower floor"},
		{"domain/messages/x.go", "connvo/domain/meetings", ""},
		{"domain/meetings/x.go", "connvo/domain/messages", "domain/meetings imports domain/messages, which is no lower floor"},
		{"domain/x.go", "github.com/oklog/ulid/v2", "domain imports github.com/oklog/ulid/v2"},
		{"surprise/x.go", "fmt", "give it a floor in house_test.go"},
		{"jobs/x.go", "connvo/db/dbtest", "jobs imports db/dbtest outside a test"},
		{"jobs/x_test.go", "connvo/db/dbtest", ""},
		{"jobs/x_test.go", "connvo/jobs", ""},
		{"jobs/x_test.go", "connvo/auth", "jobs imports auth, which is no lower floor"},
		{"db/dbtest/x.go", "connvo/db", ""},
		{"db/dbtest/x.go", "connvo/jobs", "db/dbtest imports jobs, which is no lower floor"},
		{"auth/x.go", "connvo/auth/workostest", "auth imports auth/workostest outside a test"},
		{"handlers/x_test.go", "connvo/auth/workostest", ""},
		{"auth/workostest/x.go", "connvo/auth", "auth/workostest imports auth, which is no lower floor"},
		{"bench/x_test.go", "connvo/domain", "bench imports domain, but imports nothing of ours"},
		{"web/x.go", "connvo/domain", "web imports domain, but imports nothing of ours"},
		{"handlers/x.go", "connvo/web", ""},
		{"auth/x.go", "connvo/replica", "auth imports replica, which only . may"},
		{"x.go", "connvo/bench", ". imports bench, which nobody may"},
		{"x.go", "connvo/handlers", ""},
	} {
		s := written(t, c.path, "package x\nimport "+strconv.Quote(c.imports))
		expect(t, importComplaints([]source{s}), c.complaint)
	}
}

func importComplaints(sources []source) []string {
	var all []string
	unknown := map[string]bool{}
	for _, s := range sources {
		if _, known := floorOf(s.dir()); !known && !unknown[s.dir()] {
			unknown[s.dir()] = true
			all = append(all, fmt.Sprintf("package %s stands nowhere: give it a floor in house_test.go", s.dir()))
		}
		for _, spec := range s.file.Imports {
			if complaint := importComplaint(s, spec); complaint != "" {
				all = append(all, complaint)
			}
		}
	}
	return all
}

// importComplaint returns what is wrong with an import, or "".
func importComplaint(s source, spec *ast.ImportSpec) string {
	imported, ours := ourPackage(importPath(spec))
	if !ours {
		if s.dir() == "domain" && !s.test() && !standard(importPath(spec)) {
			return fmt.Sprintf("%s: domain imports %s: it is made of the standard library only; do it a floor up", s.at(spec), importPath(spec))
		}
		return ""
	}
	if imported == s.dir() {
		return "" // a test of the package from outside
	}
	if _, alone := apart[s.dir()]; alone {
		return fmt.Sprintf("%s: %s imports %s, but imports nothing of ours: let main pass in what it needs", s.at(spec), s.dir(), imported)
	}
	if importers, alone := apart[imported]; alone {
		if slices.Contains(importers, s.dir()) {
			return ""
		}
		return fmt.Sprintf("%s: %s imports %s, which %s may: let main pass in what is needed", s.at(spec), s.dir(), imported, importersOf(importers))
	}
	if _, testing := testFloors[imported]; testing {
		if s.test() {
			return ""
		}
		return fmt.Sprintf("%s: %s imports %s outside a test: take what it makes as an argument instead", s.at(spec), s.dir(), imported)
	}
	from, _ := floorOf(s.dir())
	to, known := floorOf(imported)
	if !known || from > to {
		return "" // what has no floor is told of once, by itself
	}
	return fmt.Sprintf("%s: %s imports %s, which is no lower floor: move what it needs down, take it as a func from main, or append an event",
		s.at(spec), s.dir(), imported)
}

// floorOf returns the number of a package's floor, and false when it has none.
func floorOf(dir string) (int, bool) {
	if below, testing := testFloors[dir]; testing {
		floor, known := floorOf(below)
		return floor + 1, known
	}
	if _, alone := apart[dir]; alone {
		return -1, true
	}
	i := slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, dir) })
	return i, i >= 0
}

func importersOf(dirs []string) string {
	if len(dirs) == 0 {
		return "nobody"
	}
	return "only " + strings.Join(dirs, " and ")
}
