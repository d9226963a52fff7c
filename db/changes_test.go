package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"connvo/db"
	"connvo/domain"
)

// following collects what each commit publishes.
func following(d *db.DB) *[]db.ChangeSet {
	var sets []db.ChangeSet
	d.OnCommit(func(s db.ChangeSet) { sets = append(sets, s) })
	return &sets
}

// change runs one statement in a write of its own and returns what it published.
func change(t *testing.T, d *db.DB, sets *[]db.ChangeSet, query string, args ...any) []db.Change {
	t.Helper()
	before := len(*sets)
	do(t, d, func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	switch now := (*sets)[before:]; len(now) {
	case 0:
		return nil
	case 1:
		return now[0].Changes
	default:
		t.Fatalf("%d change sets for one write", len(now))
		return nil
	}
}

// dependency returns what a statement depends on: the other half of a match.
func dependency(t *testing.T, d *db.DB, query string, args ...any) db.Dependency {
	t.Helper()
	deps := dependencies(t, d, query, args...)
	if len(deps) != 1 {
		t.Fatalf("%s depends on %+v, want one dependency", query, deps)
	}
	return deps[0]
}

// concerns reports whether a change matters to what depends on dep.
func concerns(c db.Change, dep db.Dependency) bool {
	return c.Table == dep.Table && c.Columns&dep.Columns != 0 && (dep.Whole || slices.Contains(c.Keys, dep.Key))
}

func TestChangesOfARowNameItsColumnsAndKeys(t *testing.T) {
	d := open(t)
	sets := following(d)
	const ofTopic = "SELECT %s FROM notes WHERE topic = ?\n-- scope: notes.topic=?1"
	textOf := func(topic string) db.Dependency { return dependency(t, d, fmt.Sprintf(ofTopic, "text"), topic) }
	topicOf := func(topic string) db.Dependency { return dependency(t, d, fmt.Sprintf(ofTopic, "topic"), topic) }
	countOf := func(topic string) db.Dependency { return dependency(t, d, fmt.Sprintf(ofTopic, "count(*)"), topic) }
	authorsOf := dependency(t, d, "SELECT author FROM notes")
	byAuthor := dependency(t, d, "SELECT text FROM notes WHERE author = ?\n-- scope: notes.author=?1", "ann")
	bySeq := dependency(t, d, "SELECT text FROM notes WHERE seq = ?\n-- scope: notes.seq=?1", 1)

	type expectation struct {
		about string
		dep   db.Dependency
		want  bool
	}
	for _, step := range []struct {
		query string
		args  []any
		want  []expectation
	}{
		{insertNote, []any{1, "a", "ann", "first"}, []expectation{
			{"the topic it came to", textOf("a"), true}, {"the count of its topic", countOf("a"), true},
			{"another topic", textOf("b"), false}, {"its author", byAuthor, true},
			{"its key", bySeq, true}, {"all authors", authorsOf, true},
		}},
		{"UPDATE notes SET text = 'second' WHERE seq = 1", nil, []expectation{
			{"the text", textOf("a"), true}, {"another topic", textOf("b"), false},
			{"its author's texts", byAuthor, true}, {"columns it leaves", authorsOf, false},
		}},
		{"UPDATE notes SET topic = 'b' WHERE seq = 1", nil, []expectation{
			{"the topic it left", topicOf("a"), true}, {"the topic it came to", topicOf("b"), true},
			{"a third topic", topicOf("c"), false}, {"columns it leaves", authorsOf, false},
		}},
		{"UPDATE notes SET seq = 2 WHERE seq = 1", nil, []expectation{
			{"the key it left", dependency(t, d, "SELECT seq FROM notes WHERE seq = ?\n-- scope: notes.seq=?1", 1), true},
			{"the key it came to", dependency(t, d, "SELECT seq FROM notes WHERE seq = ?\n-- scope: notes.seq=?1", 2), true},
		}},
		{"DELETE FROM notes WHERE seq = 2", nil, []expectation{
			{"the topic it left", textOf("b"), true}, {"the count of its topic", countOf("b"), true},
			{"another topic", textOf("a"), false}, {"its author", byAuthor, true}, {"all authors", authorsOf, true},
		}},
	} {
		changes := change(t, d, sets, step.query, step.args...)
		if len(changes) != 1 {
			t.Fatalf("%s: %d changes", step.query, len(changes))
		}
		for _, e := range step.want {
			if got := concerns(changes[0], e.dep); got != e.want {
				t.Errorf("%s: concerns %s: %v", step.query, e.about, got)
			}
		}
	}
}

// A key in the middle of a row, in a table that is its own index, is where the
// order of columns in the file differs from the order in the schema.
func TestChangesKnowKeysThatDoNotStandFirst(t *testing.T) {
	d := open(t, func(o *db.Options) {
		o.Schema += `CREATE TABLE members (
  since  INTEGER NOT NULL,
  person TEXT NOT NULL,
  topic  TEXT NOT NULL,
  PRIMARY KEY (topic, person)
) STRICT, WITHOUT ROWID;`
	})
	sets := following(d)
	of := func(column, value string) db.Dependency {
		return dependency(t, d, fmt.Sprintf("SELECT since FROM members WHERE %[1]s = ?\n-- scope: members.%[1]s=?1", column), value)
	}
	// Two scopes hold together: one row, by its primary key.
	both := func(topic, person string) db.Dependency {
		return dependency(t, d, "SELECT since FROM members WHERE topic = ?1 AND person = ?2\n-- scope: members.topic=?1\n-- scope: members.person=?2", topic, person)
	}
	for _, query := range []string{
		"INSERT INTO members (since, person, topic) VALUES (1, 'ann', 'a')",
		"UPDATE members SET since = 2",
		"DELETE FROM members",
	} {
		changes := change(t, d, sets, query)
		if len(changes) != 1 {
			t.Fatalf("%s: %d changes", query, len(changes))
		}
		c := changes[0]
		if !concerns(c, of("topic", "a")) || !concerns(c, of("person", "ann")) {
			t.Errorf("%s: misses the key of the row", query)
		}
		if concerns(c, of("topic", "ann")) || concerns(c, of("person", "a")) {
			t.Errorf("%s: takes one key for the other", query)
		}
		if !concerns(c, both("a", "ann")) || concerns(c, both("a", "bob")) || concerns(c, both("b", "ann")) || concerns(c, both("ann", "a")) {
			t.Errorf("%s: the row is not known by its primary key", query)
		}
	}
	// A row that moves in such a table is one that goes and one that comes.
	change(t, d, sets, "INSERT INTO members (since, person, topic) VALUES (1, 'ann', 'a')")
	moved := change(t, d, sets, "UPDATE members SET topic = 'b'")
	for _, topic := range []string{"a", "b"} {
		if !slices.ContainsFunc(moved, func(c db.Change) bool { return concerns(c, of("topic", topic)) }) {
			t.Errorf("a moved row is not published for topic %s", topic)
		}
		if !slices.ContainsFunc(moved, func(c db.Change) bool { return concerns(c, both(topic, "ann")) }) {
			t.Errorf("a moved row is not published for topic %s and its person", topic)
		}
	}
}

func TestEveryWayToChangeARowIsPublished(t *testing.T) {
	d := open(t, func(o *db.Options) {
		o.Schema += `CREATE TABLE replies (
  id   INTEGER PRIMARY KEY,
  note INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE
) STRICT;
CREATE INDEX replies_by_note ON replies (note);`
	})
	sets := following(d)
	for _, step := range []struct {
		query   string
		changed int
		table   string
	}{
		{"INSERT INTO topics (id, title) VALUES ('a', 'A'), ('b', 'B')", 2, "topics"},
		{"INSERT INTO notes (seq, topic, author, text) SELECT 1, id, 'ann', title FROM topics LIMIT 1", 1, "notes"},
		{"INSERT INTO pairs (key, value) VALUES ('k', 1) ON CONFLICT (key) DO UPDATE SET value = 2", 1, "pairs"},
		{"INSERT INTO pairs (key, value) VALUES ('k', 1) ON CONFLICT (key) DO UPDATE SET value = 2", 1, "pairs"},
		{"INSERT INTO pairs (key, value) VALUES ('k', 1) ON CONFLICT DO NOTHING", 0, ""},
		{"INSERT OR REPLACE INTO pairs (key, value) VALUES ('k', 3)", 2, "pairs"},
		{"UPDATE topics SET open = 0 WHERE id = 'a'", 2, "notes"}, // by the trigger
		{"INSERT INTO replies (note) VALUES (1), (1)", 2, "replies"},
		{"DELETE FROM notes", 3, "replies"}, // by the foreign key
		{"DELETE FROM topics", 2, "topics"}, // all of a table at once
		{"UPDATE topics SET open = 1", 0, ""},
	} {
		before := len(*sets)
		changes := change(t, d, sets, step.query)
		if len(changes) != step.changed {
			t.Errorf("%s: %d changes, want %d", step.query, len(changes), step.changed)
			continue
		}
		if step.changed > 0 && !(*sets)[before].Has(step.table) {
			t.Errorf("%s: nothing about %s", step.query, step.table)
		}
	}
}

func TestUpdateThatChangesNothingIsNotPublished(t *testing.T) {
	d := open(t)
	put(t, d, "key")
	sets := following(d)
	if changes := change(t, d, sets, "UPDATE pairs SET value = value, key = key"); len(changes) != 0 {
		t.Errorf("published %+v", changes)
	}
}

func TestUnwatchedTableIsNotPublished(t *testing.T) {
	d := open(t)
	sets := following(d)
	committed := d.Committed()
	if changes := change(t, d, sets, "INSERT INTO drafts (id, text) VALUES ('a', 'b')"); len(changes) != 0 {
		t.Errorf("published %+v", changes)
	}
	if d.Committed() != committed+1 {
		t.Error("a write to an unwatched table took no number")
	}
}

func TestChangeSetsArePublishedInCommitOrder(t *testing.T) {
	d := open(t)
	sets := following(d)
	for i := range 10 {
		put(t, d, fmt.Sprint(i))
		do(t, d, func(*db.WriteTx) error { return nil })
	}
	if len(*sets) != 10 {
		t.Fatalf("%d change sets for 10 writes that changed something", len(*sets))
	}
	for i, s := range *sets {
		if s.Commit != int64(i)+1 || !s.Has("pairs") || s.Has("notes") || s.Has("nonsense") {
			t.Errorf("set %d is of commit %d: %+v", i, s.Commit, s.Changes)
		}
	}
	if d.Committed() != 10 {
		t.Errorf("committed %d", d.Committed())
	}
}

func TestEveryFollowerSeesEveryCommit(t *testing.T) {
	d := open(t)
	first, second := following(d), following(d)
	put(t, d, "key")
	if len(*first) != 1 || len(*second) != 1 {
		t.Errorf("%d and %d change sets", len(*first), len(*second))
	}
}

func TestRefusedClosureIsNotPublished(t *testing.T) {
	d := open(t)
	sets := following(d)
	refused := errors.New("no")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		tx.Next()
		_ = inserting("refused")(tx)
		return refused
	})
	if !errors.Is(err, refused) || len(*sets) != 0 || d.Committed() != 0 {
		t.Errorf("answered %v, %d change sets, committed %d", err, len(*sets), d.Committed())
	}
}

func TestRefusedClosureIsCutOutOfItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		sets := following(d)
		release := hold(t, d)
		begin(t.Context(), d, inserting("first"))
		refused := begin(t.Context(), d, func(tx *db.WriteTx) error {
			_, err := tx.Exec(insertTopic, "refused", "")
			return errors.Join(err, errors.New("no"))
		})
		begin(t.Context(), d, inserting("last"))
		release()
		if refused.err == nil || count(t, d, "SELECT count(*) FROM topics") != 0 {
			t.Errorf("answered %v, and stored", refused.err)
		}
		if !stored(t, d, "first") || !stored(t, d, "last") {
			t.Error("a neighbour is not stored")
		}
		if len(*sets) != 1 || len((*sets)[0].Changes) != 2 || (*sets)[0].Has("topics") || (*sets)[0].Commit != 2 {
			t.Errorf("published %+v, want one set of two pairs, numbered 2", *sets)
		}
	})
}

// A change whose keys cannot be told would be published under wrong ones, and
// a live query miss it: here the table is not the one that the catalogue knows.
func TestChangeThatCannotBeCapturedFailsItsClosureOnly(t *testing.T) {
	statements := map[string]string{
		"insert": "INSERT INTO topics (id, title, extra) VALUES ('b', '', '')",
		"update": "UPDATE topics SET title = 'new' WHERE id = 'a'",
		"delete": "DELETE FROM topics WHERE id = 'a'",
	}
	for name, statement := range statements {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			do(t, d, func(tx *db.WriteTx) error {
				_, err := tx.Exec(insertTopic, "a", "old")
				return err
			})
			sets := following(d)
			err := d.Write(t.Context(), func(tx *db.WriteTx) error {
				if _, err := tx.Exec("ALTER TABLE topics ADD COLUMN extra TEXT"); err != nil {
					return err
				}
				_, err := tx.Exec(statement)
				return err
			})
			if err == nil || domain.KindOf(err) != domain.Internal || !strings.Contains(err.Error(), "capture a change of topics") {
				t.Errorf("answered %v", err)
			}
			if len(*sets) != 0 || count(t, d, "SELECT count(*) FROM topics WHERE title = 'old'") != 1 {
				t.Errorf("%d commits; the refused closure is stored", len(*sets))
			}
			put(t, d, "next")
			if len(*sets) != 1 || !stored(t, d, "next") {
				t.Error("the next write fails as well")
			}
		})
	}
}
