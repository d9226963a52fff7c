package db_test

import (
	"errors"
	"testing"

	"connvo/db"
)

func TestJoinedWriteIsPartOfTheTransaction(t *testing.T) {
	d := open(t)
	sets := following(d)
	do(t, d, func(tx *db.WriteTx) error {
		ctx := db.Join(t.Context(), tx)
		if err := d.Write(ctx, inserting("joined")); err != nil {
			return err
		}
		if err := d.WriteBackground(ctx, inserting("joined too")); err != nil {
			return err
		}
		return d.Read(ctx, func(joined db.Reader) error {
			n, err := db.One(joined, db.Int, countPairs)
			if n != 2 {
				t.Errorf("a joined read sees %d pairs of its own transaction", n)
			}
			return err
		})
	})
	if len(*sets) != 1 || count(t, d, countPairs) != 2 {
		t.Errorf("%d commits, %d pairs", len(*sets), count(t, d, countPairs))
	}
}

func TestFailedJoinDoomsTheWholeWrite(t *testing.T) {
	d := open(t)
	refused := errors.New("no")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		if err := inserting("before")(tx); err != nil {
			return err
		}
		// The outer closure overlooks that a part of it failed.
		_ = d.Write(db.Join(t.Context(), tx), func(tx *db.WriteTx) error {
			_ = inserting("part")(tx)
			return refused
		})
		return inserting("after")(tx)
	})
	if !errors.Is(err, refused) {
		t.Errorf("answered %v, want the refusal of the part", err)
	}
	if n := count(t, d, countPairs); n != 0 {
		t.Errorf("%d rows of a doomed write are stored", n)
	}
}

func TestOuterErrorWinsOverThatOfTheJoin(t *testing.T) {
	d := open(t)
	outer := errors.New("outer")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_ = d.Write(db.Join(t.Context(), tx), func(*db.WriteTx) error { return errors.New("inner") })
		return outer
	})
	if !errors.Is(err, outer) {
		t.Errorf("answered %v", err)
	}
}

func TestWriteTakesANumberWhenItChangesSomething(t *testing.T) {
	d := open(t)
	for _, step := range []struct {
		about  string
		run    func(tx *db.WriteTx) (int64, error)
		number int64 // what the closure sees
		last   int64 // what is committed then
	}{
		{"nothing changed yet", func(tx *db.WriteTx) (int64, error) { return tx.Number(), nil }, 0, 0},
		{"a change without a number", func(tx *db.WriteTx) (int64, error) { return 0, inserting("a")(tx) }, 0, 1},
		{"a change, then its number", func(tx *db.WriteTx) (int64, error) { return number(tx, inserting("b")(tx)) }, 2, 2},
		{"two of its own", func(tx *db.WriteTx) (int64, error) {
			if first := tx.Next(); first != 3 || tx.Number() != first {
				t.Errorf("the first number is %d, then %d", first, tx.Number())
			}
			return tx.Next(), inserting("c")(tx)
		}, 4, 4},
		{"its own and no change", func(tx *db.WriteTx) (int64, error) { return tx.Next(), nil }, 5, 5},
		{"a read", func(tx *db.WriteTx) (int64, error) {
			_, err := db.One(tx, db.Int, countPairs)
			return number(tx, err)
		}, 5, 5},
		{"a statement without effect", func(tx *db.WriteTx) (int64, error) {
			_, err := tx.Exec("DELETE FROM topics")
			return number(tx, err)
		}, 5, 5},
		{"asked twice", func(tx *db.WriteTx) (int64, error) {
			before := tx.Number()
			err := inserting("d")(tx)
			if after, again := tx.Number(), tx.Number(); before != 5 || after != again {
				t.Errorf("before the change %d, then %d and %d", before, after, again)
			}
			return number(tx, err)
		}, 6, 6},
	} {
		var got int64
		do(t, d, func(tx *db.WriteTx) (err error) { got, err = step.run(tx); return err })
		if got != step.number || d.Committed() != step.last {
			t.Errorf("%s: number %d, committed %d; want %d, %d", step.about, got, d.Committed(), step.number, step.last)
		}
	}
}

func number(tx *db.WriteTx, err error) (int64, error) { return tx.Number(), err }

func TestJoinedWritesShareTheirNumber(t *testing.T) {
	d := open(t)
	do(t, d, func(tx *db.WriteTx) error {
		if err := inserting("outer")(tx); err != nil {
			return err
		}
		first := tx.Number()
		return d.Write(db.Join(t.Context(), tx), func(tx *db.WriteTx) error {
			if tx.Number() != first {
				t.Errorf("the joined write has number %d, its transaction %d", tx.Number(), first)
			}
			return nil
		})
	})
}

func TestExecSaysHowManyRowsChanged(t *testing.T) {
	d := open(t)
	do(t, d, func(tx *db.WriteTx) error {
		for query, want := range map[string]int64{
			"DELETE FROM pairs": 0,
			"INSERT INTO topics (id, title) VALUES ('a', ''), ('b', '')": 2,
		} {
			if n, err := tx.Exec(query); err != nil || n != want {
				t.Errorf("%s: %d rows, %v", query, n, err)
			}
		}
		return nil
	})
}
