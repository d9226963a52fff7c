package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
)

// unscoped are the statements of domains that read a watched table without a
// scope, each with the reason why no live query runs it, or why it may.
var unscoped = map[string]string{
	"domain/audio.selectBacklog":                "read by writes and for figures only: how much waits",
	"domain/audio.selectOldest":                 "read by a job only: when the first falls due",
	"domain/audio.selectPieces":                 "read by the scribe only: what it does next, of all meetings",
	"domain/audio.selectSound":                  "read by the scribe only: what it sends",
	"domain/events.selectOldest":                "read by a job only: when the first falls due",
	"domain/insights.selectList":                "of whole transcripts few are deleted, and a list of insights reads other meetings' rows anyway",
	"domain/interests.selectCounts":             "the same for everybody: a live answer is read once for all, whoever's interests have changed",
	"domain/meetings.selectConcluded":           "read by a job only: when the first falls due",
	"domain/meetings.selectHeir":                "read by a job only: who is host next",
	"domain/meetings.selectPlanned":             "read by a job only: what a deactivated host leaves",
	"domain/messages.selectEndedAt":             "read by writes only: whether the chat of a concluded meeting is still open",
	"domain/messages.selectMessage":             "read by writes only: the message to be answered, edited or deleted",
	"domain/messages.selectNextOrg":             "read by a job only: when the first falls due",
	"domain/messages.selectOldest":              "read by a job only: when the first falls due",
	"domain/messages.selectOldestChat":          "read by a job only: what is to be deleted",
	"domain/messages.selectOldestIn":            "read by a job only: what is to be deleted",
	"domain/messages.selectWritten":             "read by a job only: what an erased person has said",
	"domain/notifications.selectAudience":       "read by writes only: the members to be told",
	"domain/notifications.selectLetter":         "read by a job only: what leaves the server",
	"domain/notifications.selectOldest":         "read by a job only: when the first falls due",
	"domain/notifications.selectPlan":           "read by writes only: when a meeting is to begin",
	"domain/notifications.selectTold":           "read by writes only: whether its members know",
	"domain/notifications.selectWishes":         "read by writes only: by which channels who was told wants to hear",
	"domain/transcripts.selectNextOrg":          "read by a job only: when the first falls due",
	"domain/transcripts.selectOldest":           "read by a job only: when the first falls due",
	"domain/transcripts.selectOldestIn":         "read by a job only: what is to be deleted",
	"domain/transcripts.selectForgotten":        "read by a job only: whether the meeting is remembered",
	"domain/transcripts.selectOldestTranscript": "read by a job only: what is to be deleted",
	"domain/transcripts.selectOldestChunks":     "read by a job only: what is to be deleted",
	"domain/transcripts.selectTranscribed":      "read by a job only: whether a transcript is left",
	"domain/transcripts.selectProgress":         "read by a job only: how far it has come",
	"domain/transcripts.selectRound":            "read by a job only: what it does next, of all meetings",
	"domain/transcripts.selectRoundEnd":         "read by a job only: what it does next, of all meetings",
	"domain/transcripts.selectUnsettled":        "read by a job only: whether there is more to do, of any meeting",
	"domain/users.selectAccount":                "read at sign-in only: how a subject becomes an actor",
	"domain/users.selectAwaited":                "read by writes only: who of those who were seen is invited",
	"domain/users.selectByAddress":              "read by writes only: who is invited by an address",
	"domain/users.selectErasures":               "read at start only: whose erasure goes on",
	"domain/users.selectOldestErased":           "read by a job only: when the first falls due",
	"domain/users.selectSession":                "read before every request only: how a cookie becomes an actor",
}

// scopeLine is a scope as the catalogue reads it.
var scopeLine = regexp.MustCompile(`(?m)^\s*-- scope: (\w+)\.(\w+)=(?:(\?\d)|each\((\?\d)\))\s*$`)

// decidesLine marks what access decisions rest on.
var decidesLine = regexp.MustCompile(`(?m)^\s*-- decides\s*$`)

func TestHouseScopesPinEveryRow(t *testing.T) {
	all, _ := statements(house(t))
	report(t, scopeComplaints(all))
	report(t, lookupComplaints(all, fullText(t, dbtest.Schema(t))))
	report(t, unscopedComplaints(all, scoped(t, dbtest.Open(t)), unscoped))
	if schema := dbtest.Schema(t); strings.Contains(strings.ToUpper(schema), "COLLATE") {
		t.Error("schema.sql has a COLLATE: a scope compares bytes, so let scopeComplaints refuse a scope on such a column first")
	}
}

func TestHouseScopesCanFail(t *testing.T) {
	const scope, each = "\n-- scope: messages.meeting_id=?1", "\n-- scope: messages.meeting_id=each(?1)"
	const loose = "does not pin messages.meeting_id"
	for _, c := range []struct{ query, complaint string }{
		{"SELECT seq FROM messages WHERE meeting_id = ?1" + scope, ""},
		{"SELECT seq FROM messages WHERE ?1 = meeting_id AND (seq = 1 OR seq = 2)" + scope, ""},
		{"SELECT m.seq FROM messages AS m WHERE m.seq BETWEEN 1 AND 2 AND m.meeting_id = ?1" + scope, ""},
		{"SELECT seq FROM messages WHERE meeting_id IN (SELECT value FROM json_each(?1))" + each, ""},
		{"SELECT u.id FROM users u LEFT JOIN messages m ON m.meeting_id = ?1 WHERE u.id = ?2" + scope, ""},
		{"WITH n AS (SELECT seq FROM messages WHERE meeting_id = ?1) SELECT count(*) FROM n" + scope, ""},
		{"SELECT role FROM participants WHERE meeting_id = ?1 AND user_id = ?2\n-- scope: participants.meeting_id=?1\n-- scope: participants.user_id=?2", ""},
		{"SELECT role FROM participants WHERE meeting_id = ?1\n-- scope: participants.meeting_id=?1\n-- scope: participants.user_id=?2", "does not pin participants.user_id"},
		{"SELECT seq FROM messages" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?2" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 OR seq = 1" + scope, loose},
		{"SELECT seq FROM messages WHERE NOT meeting_id = ?1" + scope, loose},
		{"SELECT seq FROM messages WHERE (meeting_id = ?1) = 0" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id > ?1" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 COLLATE NOCASE" + scope, loose},
		{"SELECT seq FROM messages WHERE seq BETWEEN 1 AND meeting_id = ?1" + scope, loose},
		{"SELECT seq FROM messages WHERE CASE WHEN 1 AND meeting_id = ?1 AND 2 THEN 1 END" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id IN (SELECT value FROM json_each(?1) UNION SELECT 'x')" + each, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1" + each, loose},
		{"SELECT m.seq FROM messages m, messages n WHERE m.meeting_id = ?1" + scope, loose},
		{"SELECT m.seq FROM messages m, messages n WHERE m.meeting_id = ?1 AND n.meeting_id = m.meeting_id" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 AND seq IN (SELECT reply_to FROM messages)" + scope, loose},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 UNION SELECT seq FROM messages" + scope, loose},
		{"SELECT m.seq FROM messages m LEFT JOIN users u ON m.meeting_id = ?1" + scope, loose},
		{"SELECT m.seq FROM users u RIGHT JOIN messages m ON m.meeting_id = ?1" + scope, loose},
		{"SELECT seq FROM messages, users WHERE meeting_id = ?1" + scope, loose},
		{"SELECT id FROM users WHERE id = ?1" + scope, "names no messages"},
		{"SELECT seq FROM messages WHERE meeting_id = ?1 -- scope: messages.meeting_id=?1", "cannot be read"},
		{"INSERT INTO messages (seq) VALUES (1)" + scope, "only a SELECT"},
	} {
		all, complaints := statements([]source{declared(t, c.query)})
		expect(t, append(complaints, scopeComplaints(all)...), c.complaint)
	}
}

// declared is a file of a domain with one statement in it, q.
func declared(t *testing.T, query string) source {
	t.Helper()
	return written(t, "domain/x/sql.go", "package x\n\nconst q = `"+query+"`\n")
}

// scopeComplaints looks at what a scope promises: that no row outside it can
// matter to the statement.
func scopeComplaints(all []statement) []string {
	var complaints []string
	for _, s := range all {
		scopes := scopeLine.FindAllStringSubmatch(s.value, -1)
		if len(scopes) != strings.Count(s.value, "-- scope") {
			complaints = append(complaints, s.title()+" has a scope that cannot be read: write it on a line of its own, as \"-- scope: table.column=?1\"")
		}
		for _, m := range scopes {
			if !s.selects() {
				complaints = append(complaints, s.title()+" has a scope, which only a SELECT can have: take it away")
				continue
			}
			if complaint := scopeComplaint(s, m[1], m[2], m[3], m[4]); complaint != "" {
				complaints = append(complaints, complaint)
			}
		}
	}
	return complaints
}

func scopeComplaint(s statement, table, column, argument, each string) string {
	found := false
	for _, q := range s.queries {
		for _, o := range q.from {
			if o.table != table || o.function {
				continue
			}
			found = true
			if !pinned(q, o, column, argument, each) {
				return fmt.Sprintf("%s does not pin %s.%s in every place: let each one that reads %s say so by itself, joined by AND, or take the scope away",
					s.title(), table, column, table)
			}
		}
	}
	if !found {
		return fmt.Sprintf("%s names no %s, which its scope is about: take the scope away", s.title(), table)
	}
	return ""
}

// pinned reports whether the query says, by itself, that the column of each row
// it takes from o is the argument, or one of its elements.
func pinned(q query, o occurrence, column, argument, each string) bool {
	all := conjuncts(q.where)
	if !q.outer {
		all = append(all, conjuncts(o.on)...)
	}
	names := []string{o.alias + " . " + column}
	if len(q.from) == 1 {
		names = append(names, column)
	}
	for _, name := range names {
		forms := []string{name + " = " + argument, name + " == " + argument, argument + " = " + name}
		if each != "" {
			forms = []string{name + " in ( select value from json_each ( " + each + " ) )"}
		}
		if slices.ContainsFunc(forms, func(form string) bool { return slices.Contains(all, form) }) {
			return true
		}
	}
	return false
}

func TestHouseUnscopedCanFail(t *testing.T) {
	tables := map[string]bool{"messages": true, "users": true}
	for _, c := range []struct {
		query, complaint string
		allowed          map[string]string
	}{
		{"SELECT last FROM sequence WHERE id = 1", "", nil},
		{"SELECT seq FROM messages WHERE meeting_id = ?1\n-- scope: messages.meeting_id=?1", "", nil},
		{"SELECT seq FROM messages WHERE seq = ?1", "reads messages without a scope", nil},
		{"SELECT seq FROM messages WHERE seq = ?1", "", map[string]string{"domain/x.q": "writes only"}},
		{"SELECT 1 FROM messages m, users u WHERE m.meeting_id = ?1\n-- scope: messages.meeting_id=?1", "reads users without a scope", nil},
		{"SELECT last FROM sequence WHERE id = 1", "domain/x.q needs no exception", map[string]string{"domain/x.q": "writes only"}},
	} {
		all, _ := statements([]source{declared(t, c.query)})
		expect(t, unscopedComplaints(all, tables, c.allowed), c.complaint)
	}
}

// unscopedComplaints tells of statements in domains that make a live query wait
// for every row of a table.
func unscopedComplaints(all []statement, tables map[string]bool, allowed map[string]string) []string {
	var complaints []string
	used := map[string]bool{}
	for _, s := range all {
		if !strings.HasPrefix(s.path, "domain/") || !s.selects() {
			continue
		}
		scoped := map[string]bool{}
		for _, m := range scopeLine.FindAllStringSubmatch(s.value, -1) {
			scoped[m[1]] = true
		}
		for _, table := range s.reads(tables) {
			switch {
			case scoped[table]:
			case allowed[s.id()] != "":
				used[s.id()] = true
			default:
				complaints = append(complaints, fmt.Sprintf("%s reads %s without a scope: declare one, or give the reason in unscoped of house_scope_test.go", s.title(), table))
			}
		}
	}
	for id := range allowed {
		if !used[id] {
			complaints = append(complaints, fmt.Sprintf("%s needs no exception: take it out of unscoped in house_scope_test.go", id))
		}
	}
	return complaints
}

// TestHouseCatalogueAgrees shows every statement of a domain to the catalogue
// that live queries use, and compares the tables that either finds.
func TestHouseCatalogueAgrees(t *testing.T) {
	d := dbtest.Open(t)
	tables := scoped(t, d)
	all, _ := statements(below("domain", house(t)))
	seen := 0
	for _, s := range all {
		if !s.selects() {
			continue
		}
		seen++
		if complaint := catalogueComplaint(t, d, s, tables); complaint != "" {
			t.Error(complaint)
		}
	}
	if seen == 0 {
		t.Error("no statement was seen: mend statements in house_sql_test.go")
	}
}

func TestHouseCatalogueCanFail(t *testing.T) {
	d := dbtest.Open(t)
	for _, c := range []struct{ query, complaint string }{
		{"SELECT seq FROM messages WHERE meeting_id = ?1\n-- scope: messages.meeting_id=?1", ""},
		{"SELECT last FROM sequence", "refused by the catalogue"},
		{"SELECT title FROM meetings WHERE title = ?1\n-- scope: meetings.title=?1", "refused by the catalogue"},
		{"SELECT seq FROM messages", "rests on 1 tables, but names 0"},
	} {
		all, _ := statements([]source{declared(t, c.query)})
		tables := map[string]bool{"messages": strings.Contains(c.query, "scope")}
		var complaints []string
		if complaint := catalogueComplaint(t, d, all[0], tables); complaint != "" {
			complaints = append(complaints, complaint)
		}
		expect(t, complaints, c.complaint)
	}
}

// catalogueComplaint describes the statement to the catalogue without running it.
func catalogueComplaint(t *testing.T, d *db.DB, s statement, tables map[string]bool) string {
	t.Helper()
	arguments := make([]any, parameters(s.nodes)) // null is pinned to nothing
	for _, m := range scopeLine.FindAllStringSubmatch(s.value, -1) {
		if each := m[4]; each != "" {
			arguments[each[1]-'1'] = `["one"]`
		}
	}
	seen, err := d.Observe(t.Context(), func(ctx context.Context, _ int64) error {
		return d.Read(ctx, func(tx db.Reader) error {
			_, err := db.All(tx, scanStep, "EXPLAIN QUERY PLAN "+s.value, arguments...)
			return err
		})
	})
	if err != nil {
		return fmt.Sprintf("%s is refused by the catalogue (%v): a domain reads what can be live", s.title(), err)
	}
	if named := s.reads(tables); len(seen.Deps) != len(named) {
		return fmt.Sprintf("%s rests on %d tables, but names %d %q: write it in a form that house_parse_test.go knows", s.title(), len(seen.Deps), len(named), named)
	}
	return ""
}
