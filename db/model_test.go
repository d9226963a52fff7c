package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
)

// outcome is how a random closure ends.
type outcome int

const (
	succeeds outcome = iota
	fails
	panicking
	breaks // the whole transaction, by asking for more than the file holds
	outcomes
)

// step is one random closure: it adds to some pairs, or deletes them, and ends.
type step struct {
	keys   []string
	by     int64 // 0 deletes
	ends   outcome
	number int64 // what it took, once answered
	err    error
}

var (
	errRefused = errors.New("refused")

	anyStep = rapid.Custom(func(t *rapid.T) *step {
		return &step{
			keys: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3).Draw(t, "keys"),
			by:   rapid.Int64Range(0, 5).Draw(t, "by"),
			ends: outcome(rapid.IntRange(0, int(outcomes)-1).Draw(t, "ends")),
		}
	})
)

func (s *step) run(tx *db.WriteTx) error {
	for _, k := range s.keys {
		var err error
		if s.by == 0 {
			_, err = tx.Exec("DELETE FROM pairs WHERE key = ?", k)
		} else {
			_, err = tx.Exec("INSERT INTO pairs (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = 2 * value + ?2", k, s.by)
		}
		if err != nil {
			return err
		}
	}
	s.number = tx.Next()
	switch s.ends {
	case fails:
		return errRefused
	case panicking:
		panic(errRefused)
	case breaks:
		_, err := tx.Exec(insertBlob, tooMuch)
		return err
	}
	return nil
}

// apply does to the model what run does to the table. Doubling makes the result
// depend on the order.
func (s *step) apply(model map[string]int64) {
	for _, k := range s.keys {
		if s.by == 0 {
			delete(model, k)
		} else if old, found := model[k]; found {
			model[k] = 2*old + s.by
		} else {
			model[k] = s.by
		}
	}
}

// wellAnswered reports whether the caller was told how its closure ended.
func (s *step) wellAnswered() bool {
	_, panicked := errors.AsType[*db.PanicError](s.err)
	switch s.ends {
	case succeeds:
		return s.err == nil
	case fails:
		return errors.Is(s.err, errRefused)
	case panicking:
		return panicked
	default:
		return domain.KindOf(s.err) == domain.Unavailable
	}
}

func TestTableIsWhatTheAcknowledgedWritesMadeInCommitOrder(t *testing.T) {
	d := open(t, smallFile)
	var mu sync.Mutex // guards published
	var published []int64
	d.OnCommit(func(s db.ChangeSet) {
		mu.Lock()
		defer mu.Unlock()
		published = append(published, s.Commit)
	})
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(anyStep, 1, 60).Draw(t, "steps")
		if err := d.Write(context.Background(), func(tx *db.WriteTx) error { _, err := tx.Exec("DELETE FROM pairs"); return err }); err != nil {
			t.Fatal(err)
		}
		var writers sync.WaitGroup
		for _, s := range steps {
			writers.Go(func() { s.err = d.Write(context.Background(), s.run) })
		}
		writers.Wait()

		model := map[string]int64{}
		acknowledged := []*step{}
		for _, s := range steps {
			if !s.wellAnswered() {
				t.Fatalf("a step that ends by %d was answered %v", s.ends, s.err)
			}
			if s.err == nil {
				acknowledged = append(acknowledged, s)
			}
		}
		slices.SortFunc(acknowledged, func(a, b *step) int { return int(a.number - b.number) })
		for i, s := range acknowledged {
			if i > 0 && acknowledged[i-1].number == s.number {
				t.Fatalf("the number %d was given twice", s.number)
			}
			s.apply(model)
		}
		if got := pairs(t, d); !maps.Equal(got, model) {
			t.Fatalf("the table is %v, the acknowledged writes make %v", got, model)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(published) || len(slices.Compact(published)) != len(published) {
		t.Error("commit numbers do not ascend")
	}
}

func pairs(t *rapid.T, d *db.DB) map[string]int64 {
	all := map[string]int64{}
	err := d.Read(context.Background(), func(tx db.Reader) error {
		_, err := db.All(tx, func(r db.Row) (int, error) {
			var key string
			var value int64
			err := r.Scan(&key, &value)
			all[key] = value
			return 0, err
		}, "SELECT key, value FROM pairs")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What live queries rest on: were a result to change without a change that
// concerns its dependencies, someone would look at an old answer for good.
func TestNoResultChangesUnnoticed(t *testing.T) {
	d := open(t)
	sets := following(d)
	queries := []string{
		"SELECT group_concat(text ORDER BY text) FROM notes WHERE topic = ?1\n-- scope: notes.topic=?1",
		"SELECT count(*) FROM notes WHERE topic = ?1\n-- scope: notes.topic=?1",
		"SELECT group_concat(text ORDER BY seq) FROM notes WHERE author = ?1\n-- scope: notes.author=?1",
		"SELECT count(*) FROM notes WHERE open = 1 AND author <> ?1",
		"SELECT group_concat(author ORDER BY author) FROM notes WHERE topic <> ?1",
		"SELECT group_concat(t.title || n.text ORDER BY n.seq) FROM topics t JOIN notes n ON n.topic = t.id WHERE t.id = ?1 AND n.topic = ?1\n-- scope: topics.id=?1\n-- scope: notes.topic=?1",
		"SELECT max(seq) FROM notes WHERE topic = ?1\n-- scope: notes.topic=?1",
	}
	writes := []string{
		"INSERT OR REPLACE INTO topics (id, title) VALUES (?1, ?2)",
		"INSERT OR REPLACE INTO notes (seq, topic, author, text) VALUES (?3, ?1, ?2, ?2)",
		"UPDATE notes SET text = ?2 WHERE topic = ?1 AND seq <> ?3",
		"UPDATE notes SET topic = ?2, author = ?1 WHERE seq = ?3",
		"UPDATE OR REPLACE notes SET seq = seq + ?3 WHERE author = ?1 AND topic = ?2",
		"UPDATE topics SET open = 1 - open WHERE id = ?1 OR id = ?2 OR length(id) = ?3",
		"UPDATE OR REPLACE topics SET id = ?2 WHERE id = ?1 AND ?3",
		"DELETE FROM notes WHERE topic = ?1 AND author = ?2 AND seq > ?3",
	}
	name := rapid.SampledFrom([]string{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		clear := []string{"DELETE FROM notes", "DELETE FROM topics"}
		for _, write := range append(clear, rapid.SliceOfN(rapid.SampledFrom(writes[:2]), 0, 12).Draw(t, "rows")...) {
			a, b, n := name.Draw(t, "first"), name.Draw(t, "second"), rapid.IntRange(0, 5).Draw(t, "number")
			writing(t, d, write, a, b, n)
		}
		arg := name.Draw(t, "argument")
		before := make([]db.Snapshot, len(queries))
		results := make([]string, len(queries))
		for i, q := range queries {
			before[i], results[i] = result(t, d, q, arg)
		}
		*sets = (*sets)[:0]
		write := rapid.SampledFrom(writes).Draw(t, "write")
		a, b, n := name.Draw(t, "first"), name.Draw(t, "second"), rapid.IntRange(0, 5).Draw(t, "number")
		writing(t, d, write, a, b, n)
		for i, q := range queries {
			if _, now := result(t, d, q, arg); now != results[i] && !anyConcerns(*sets, before[i].Deps) {
				t.Fatalf("%s\nwas %q and is %q after %s, unnoticed", q, results[i], now, write)
			}
		}
	})
}

func writing(t *rapid.T, d *db.DB, query string, args ...any) {
	err := d.Write(context.Background(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func result(t *rapid.T, d *db.DB, query, arg string) (s db.Snapshot, answer string) {
	s, err := d.Observe(context.Background(), func(ctx context.Context, _ int64) error {
		return d.Read(ctx, func(tx db.Reader) error {
			rows, err := db.All(tx, func(r db.Row) (string, error) {
				var v any
				err := r.Scan(&v)
				return fmt.Sprint(v), err
			}, query, arg)
			answer = strings.Join(rows, "\n")
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, answer
}

func anyConcerns(sets []db.ChangeSet, deps []db.Dependency) bool {
	for _, s := range sets {
		for _, c := range s.Changes {
			if slices.ContainsFunc(deps, func(dep db.Dependency) bool { return concerns(c, dep) }) {
				return true
			}
		}
	}
	return false
}
