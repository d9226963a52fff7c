package db

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"connvo/domain"
)

// What a change set says about a row and what a live query asks for meet in
// their hashes: one made from the row by the hook, one from the argument.
func FuzzScopeMatchesTheStoredValue(f *testing.F) {
	d := openSmall(f)
	var last ChangeSet
	d.OnCommit(func(s ChangeSet) { last = s })
	f.Add("key", int64(1), []byte("mark"), 1.5)
	f.Add("", int64(0), []byte{}, 0.0)
	f.Add("k\x00ey", int64(math.MinInt64), []byte{0}, math.Inf(1))
	f.Add("\xff\xfe", int64(math.MaxInt64), []byte(nil), math.MaxFloat64)
	f.Fuzz(func(t *testing.T, key string, rank int64, mark []byte, value float64) {
		if math.IsNaN(value) {
			t.Skip("SQLite stores null")
		}
		last = ChangeSet{}
		err := d.Write(context.Background(), func(tx *WriteTx) error {
			if _, err := tx.Exec("DELETE FROM pairs"); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO pairs (key, rank, mark, value) VALUES (?, ?, ?, ?)", key, rank, mark, value)
			return err
		})
		if strings.Contains(key, "\x00") {
			if domain.KindOf(err) != domain.Invalid {
				t.Errorf("a text with a NUL is answered %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		insert := last.Changes[len(last.Changes)-1]
		for column, v := range map[string]any{"key": key, "rank": rank, "mark": mark} {
			checkScope(t, d, insert, column, v)
		}
	})
}

// checkScope asks for the row by one of its columns, live.
func checkScope(t *testing.T, d *DB, insert Change, column string, v any) {
	query := strings.ReplaceAll("SELECT rank FROM pairs WHERE $ = ?\n-- scope: pairs.$=?1", "$", column)
	found := true
	s, err := d.Observe(context.Background(), func(ctx context.Context, _ int64) error {
		return d.Read(ctx, func(tx Reader) error {
			_, err := One(tx, Int, query, v)
			if errors.Is(err, ErrNone) {
				found = false
				return nil
			}
			return err
		})
	})
	if err != nil {
		t.Fatalf("%s: %v", column, err)
	}
	matches := false
	for _, k := range insert.Keys {
		matches = matches || k == s.Deps[0].Key
	}
	if found && !matches {
		t.Errorf("%s = %#v is found, and a change of it is not noticed", column, v)
	}
}

// No comment may be misread in silence: what is not understood is an error,
// and what is understood says what was written.
func FuzzScopeComments(f *testing.F) {
	d := openSmall(f)
	for _, seed := range []string{
		"-- scope: pairs.key=?1",
		"SELECT 1\n  -- scope: pairs.rank=each(?2)\n-- decides",
		"-- scope: pairs.key=?1\r\n-- scope: pairs.key=?2",
		"-- scope: pairs.key=?1 -- scope: pairs.rank=?1",
		"--scope: pairs.key=?1",
		"'-- scope: pairs.key=?1'",
		"-- scope: pairs.value=?12",
		"-- scope:", "-- decides it",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		scopes, decides, err := d.catalog.declarations(query)
		if err != nil {
			return
		}
		count := 0
		for _, of := range scopes {
			count += len(of)
		}
		if count != strings.Count(query, "-- scope:") {
			t.Errorf("%d scopes of %q", count, query)
		}
		if decides && !strings.Contains(query, "-- decides") {
			t.Errorf("%q decides", query)
		}
		for number, of := range scopes {
			table := d.catalog.tables[number]
			for _, s := range of {
				want := "-- scope: " + table.name + "." + table.columns[s.column] + "="
				if !strings.Contains(query, want) || s.argument < 0 || s.argument > 9 {
					t.Errorf("%+v of %q", s, query)
				}
			}
		}
	})
}

func TestValuesAreComparedAsSQLiteStoresThem(t *testing.T) {
	for _, c := range []struct {
		a, b any
		same bool
	}{
		{nil, nil, true}, {nil, int64(0), false}, {nil, "", false}, {nil, []byte{}, false},
		{int64(1), int64(1), true}, {int64(1), int64(2), false}, {int64(1), 1.0, false},
		{"a", "a", true}, {"a", "b", false}, {"a", []byte("a"), false}, {[]byte("a"), "a", false},
		{[]byte("a"), []byte("a"), true}, {[]byte("a"), []byte("b"), false}, {[]byte{}, []byte{}, true},
	} {
		if got := sameValue(c.a, c.b); got != c.same {
			t.Errorf("%#v and %#v: same %v", c.a, c.b, got)
		}
	}
}

func TestTruthPinsAColumnOfNumbers(t *testing.T) {
	sc := &scope{declared: "INTEGER", argument: 1}
	for b, want := range map[bool]int64{true: 1, false: 0} {
		if got, err := sc.values([]any{b}); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%v is %v, %v", b, got, err)
		}
	}
	bytesScope := &scope{declared: "BLOB", argument: 1}
	if got, err := bytesScope.values([]any{[]byte("a")}); err != nil || !bytes.Equal(got[0].([]byte), []byte("a")) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := sc.values([]any{struct{}{}}); err == nil {
		t.Error("a value that cannot be bound is accepted")
	}
}
