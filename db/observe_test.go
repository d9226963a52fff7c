package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"connvo/db"
)

// dependencies returns what a statement depends on that is run once, live.
func dependencies(t *testing.T, d *db.DB, query string, args ...any) []db.Dependency {
	t.Helper()
	s, err := observe(t.Context(), d, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s.Deps
}

func observe(ctx context.Context, d *db.DB, query string, args ...any) (db.Snapshot, error) {
	return d.Observe(ctx, func(ctx context.Context, _ int64) error {
		return d.Read(ctx, func(tx db.Reader) error {
			_, err := db.All(tx, func(db.Row) (int, error) { return 0, nil }, query, args...)
			return err
		})
	})
}

// columns returns the mask of columns of notes, by number.
func columns(numbers ...int) (mask uint64) {
	for _, n := range numbers {
		mask |= 1 << n
	}
	return mask
}

// The columns of notes in the schema of these tests; existence is the bit of
// count(*).
const (
	seq, topic, author, isOpen, body = 0, 1, 2, 3, 4
	existence                        = 63
)

func TestStatementWithoutScopeDependsOnTheWholeTable(t *testing.T) {
	d := open(t)
	for query, want := range map[string]uint64{
		"SELECT EXISTS (SELECT 1 FROM notes)":                                             columns(existence),
		"SELECT rowid FROM notes":                                                         columns(seq, existence),
		"SELECT * FROM notes NOT INDEXED":                                                 columns(seq, topic, author, isOpen, body),
		"SELECT text FROM notes":                                                          columns(body),
		"SELECT seq FROM notes WHERE author = 'ann' ORDER BY topic":                       columns(seq, author, topic),
		"SELECT count(*) FROM notes":                                                      columns(existence),
		"SELECT max(seq) FROM notes GROUP BY open":                                        columns(seq, isOpen),
		"WITH some AS (SELECT text FROM notes WHERE open = 1) SELECT * FROM some":         columns(body, isOpen),
		"SELECT (SELECT text FROM notes LIMIT 1)":                                         columns(body),
		"SELECT seq FROM notes AS n WHERE n.topic IN (SELECT value FROM json_each('[]'))": columns(seq, topic),
	} {
		dep := dependency(t, d, query)
		if !dep.Whole || dep.Decides || dep.Key != (db.Key{}) || dep.Columns != want {
			t.Errorf("%s: %+v, want columns %b", query, dep, want)
		}
	}
}

func TestStatementWithScopeDependsOnItsRows(t *testing.T) {
	d := open(t)
	const query = "SELECT text FROM notes WHERE topic = ?\n-- scope: notes.topic=?1"
	a, again, b := dependency(t, d, query, "a"), dependency(t, d, query, "a"), dependency(t, d, query, "b")
	if a.Whole || a.Columns != columns(topic, body) || a.Key.Column != topic {
		t.Errorf("%+v", a)
	}
	if a != again || a.Key == b.Key {
		t.Error("a scope is not the value it is pinned to")
	}
	// An id is a type of its own in the program, and the same in the file.
	type topicID string
	if named := dependency(t, d, query, topicID("a")); named != a {
		t.Errorf("%+v for a named type, %+v for its text", named, a)
	}
}

func TestScopeOfTheSecondArgument(t *testing.T) {
	d := open(t)
	deps := dependencies(t, d, `SELECT t.title, n.text FROM topics t JOIN notes n ON n.topic = t.id
WHERE n.author = ?1 AND n.topic = ?2 AND t.id = ?2
-- scope: notes.topic=?2
-- scope: topics.id=?2`, "ann", "a")
	if len(deps) != 2 || deps[0].Whole || deps[1].Whole || deps[0].Key.Value != deps[1].Key.Value {
		t.Errorf("%+v, want two scopes of one value", deps)
	}
}

func TestScopeOfEachElement(t *testing.T) {
	d := open(t)
	const each = "SELECT text FROM notes WHERE topic IN (SELECT value FROM json_each(?))\n-- scope: notes.topic=each(?1)"
	const one = "SELECT text FROM notes WHERE topic = ?\n-- scope: notes.topic=?1"
	deps := dependencies(t, d, each, `["a","b","a"]`)
	if len(deps) != 2 || deps[0] != dependency(t, d, one, "a") || deps[1] != dependency(t, d, one, "b") {
		t.Errorf("%+v, want one for a and one for b", deps)
	}
	if none := dependencies(t, d, each, `[]`); len(none) != 0 {
		t.Errorf("%+v for no element", none)
	}
}

func TestDependenciesOfOneSnapshotAreMerged(t *testing.T) {
	d := open(t)
	const texts = "SELECT text FROM notes WHERE topic = ?\n-- scope: notes.topic=?1"
	const allowed = "-- decides\nSELECT author FROM notes WHERE topic = ?\n-- scope: notes.topic=?1"
	s, err := d.Observe(t.Context(), func(ctx context.Context, _ int64) error {
		for _, query := range []string{allowed, texts, texts} {
			err := d.Read(ctx, func(tx db.Reader) error {
				_, err := db.All(tx, text, query, "a")
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Deps) != 2 || !s.Deps[0].Decides || s.Deps[0].Columns != columns(topic, author) ||
		s.Deps[1].Decides || s.Deps[1].Columns != columns(topic, body) {
		t.Errorf("%+v, want one that decides and one that does not, each with its columns", s.Deps)
	}
	if dep := dependency(t, d, texts, "a"); dep.Decides {
		t.Error("what decides in one snapshot decides in all")
	}
}

func TestSnapshotKnowsItsCommit(t *testing.T) {
	d := open(t)
	put(t, d, "before")
	s, err := d.Observe(t.Context(), func(ctx context.Context, commit int64) error {
		if commit != 1 {
			t.Errorf("told commit %d", commit)
		}
		put(t, d, "meanwhile")
		if n := countWith(ctx, t, d); n != 1 {
			t.Errorf("the snapshot sees %d pairs", n)
		}
		return nil
	})
	if err != nil || s.Commit != 1 || d.Committed() != 2 {
		t.Errorf("snapshot of %d at %d: %v", s.Commit, d.Committed(), err)
	}
}

func countWith(ctx context.Context, t *testing.T, d *db.DB) (n int64) {
	t.Helper()
	err := d.Read(ctx, func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, countPairs)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailedObservationStillDepends(t *testing.T) {
	d := open(t)
	refused := errors.New("no")
	s, err := d.Observe(t.Context(), func(ctx context.Context, _ int64) error {
		countWith(ctx, t, d)
		return refused
	})
	if !errors.Is(err, refused) || len(s.Deps) != 1 {
		t.Errorf("%v with %+v; a refusal may end when what it rests on changes", err, s.Deps)
	}
}

func TestObservationCannotWrite(t *testing.T) {
	d := open(t)
	_, err := d.Observe(t.Context(), func(ctx context.Context, _ int64) error {
		return d.Write(ctx, inserting("key"))
	})
	if err == nil || stored(t, d, "key") {
		t.Errorf("answered %v", err)
	}
}

func TestReadOutsideTheObservationIsNotRecorded(t *testing.T) {
	d := open(t)
	s, err := d.Observe(t.Context(), func(context.Context, int64) error {
		countWith(t.Context(), t, d)
		return nil
	})
	if err != nil || len(s.Deps) != 0 {
		t.Errorf("%+v, %v", s.Deps, err)
	}
}

func TestStatementThatCannotBeWatchedIsRefused(t *testing.T) {
	d := open(t, func(o *db.Options) {
		o.Schema += "CREATE VIEW texts AS SELECT text FROM notes;"
	})
	const scoped = "SELECT seq FROM notes WHERE topic = ?\n"
	for _, c := range []struct {
		query string
		args  []any
		want  string
	}{
		{"SELECT text FROM drafts", nil, "drafts, whose changes are not published"},
		{"SELECT last FROM sequence", nil, "sequence, whose changes are not published"},
		{"SELECT name FROM sqlite_schema", nil, "does not know"},
		{"SELECT text FROM texts", nil, "does not know"}, // a view may hide an unscoped table
		{scoped + "-- scope: topics.id=?1", []any{"a"}, "topics, which the statement does not read"},
		{scoped + "-- scope: drafts.id=?1", []any{"a"}, "unknown or unwatched"},
		{scoped + "-- scope: nonsense.id=?1", []any{"a"}, "unknown or unwatched"},
		{scoped + "-- scope: notes.text=?1", []any{"a"}, "no key column"},
		{scoped + "-- scope: notes.nonsense=?1", []any{"a"}, "no key column"},
		{scoped + "-- scope: notes.topic = ?1", []any{"a"}, "0 can be read"},
		{scoped + "-- scope: notes.topic=?", []any{"a"}, "0 can be read"},
		{scoped + "-- scope: notes.topic=?1, topics.id=?1", []any{"a"}, "0 can be read"},
		{scoped + "-- scope: notes.topic=?1\n-- scope: notes.author=?1", []any{"a"}, "two scopes"},
		{scoped + "-- scope: notes.topic=?2", []any{"a"}, "argument 2 of 1"},
		{scoped + "-- scope: notes.topic=each(?1)", []any{"a"}, "invalid character"},
		{scoped + "-- scope: notes.topic=each(?1)", []any{`["a", 1]`}, "cannot unmarshal number"},
		{scoped + "-- scope: notes.topic=each(?1)", []any{1}, "needs a JSON array"},
		{scoped + "-- scope: notes.topic=?1", []any{1}, "a column of TEXT to a int64"},
		{"SELECT text FROM notes WHERE seq = ?\n-- scope: notes.seq=?1", []any{"1"}, "a column of INTEGER to a string"},
		{"SELECT text FROM notes WHERE seq = ?\n-- scope: notes.seq=?1", []any{1.0}, "a column of INTEGER to a float64"},
	} {
		_, err := observe(t.Context(), d, c.query, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.query, err, c.want)
		}
	}
}
