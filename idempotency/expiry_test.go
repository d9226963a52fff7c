package idempotency_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/idempotency"
)

// empty deletes the day and returns how many portions that took.
func (f *fixture) empty(day int64) int {
	f.Helper()
	for portions := 1; ; portions++ {
		var more bool
		err := f.db.WriteBackground(f.Context(), func(tx *db.WriteTx) (err error) {
			more, err = idempotency.DeleteDay(tx, day)
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
		if !more {
			return portions
		}
	}
}

func TestExpiryIsArrangedOnceADay(t *testing.T) {
	f := open(t)
	f.fails = errors.New("no room")
	err := f.db.Write(t.Context(), func(tx *db.WriteTx) error { return f.store.Keep(tx, key, request, created) })
	if !errors.Is(err, f.fails) {
		t.Errorf("kept without an expiry: %v", err)
	}
	// What was undone is arranged anew.
	f.fails, f.days, f.at = nil, nil, nil
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for i, at := range []time.Time{f.now, f.now, midnight.Add(-time.Millisecond), midnight, midnight} {
		f.now = at
		f.keep(idempotency.KeyOf("usr_1", "POST", "/v1/meetings", string(rune('a'+i))), request, created)
	}
	first := midnight.Unix()/86400 - 1
	if !slices.Equal(f.days, []int64{first, first + 1}) {
		t.Errorf("arranged for %v, want %d and the next", f.days, first)
	}
	if !slices.Equal(f.at, []time.Time{midnight.Add(24 * time.Hour), midnight.Add(48 * time.Hour)}) {
		t.Errorf("arranged at %v", f.at)
	}
}

func TestExpiryDeletesOldDaysOnly(t *testing.T) {
	f := open(t)
	f.now = time.Date(2026, 3, 1, 23, 59, 59, 999e6, time.UTC)
	var keys []idempotency.Key
	err := f.db.Write(t.Context(), func(tx *db.WriteTx) error {
		for n := range 600 {
			k := idempotency.KeyOf("usr_1", "POST", "/v1/meetings", time.Duration(n).String())
			keys = append(keys, k)
			if err := f.store.Keep(tx, k, request, created); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Millisecond)
	f.keep(key, request, created)

	f.now = f.at[0].Add(-time.Millisecond)
	err = f.db.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := idempotency.DeleteDay(tx, f.days[0])
		return err
	})
	if err == nil {
		t.Error("a day was deleted before all of it had expired")
	}
	for _, k := range keys {
		if f.finds(k, request) {
			t.Fatal("an answer outlives its day")
		}
	}
	if !f.finds(key, request) {
		t.Error("the younger answer is gone early")
	}

	f.now = f.at[0]
	if got := f.empty(f.days[0]); got != 4 {
		t.Errorf("%d portions, want 250, 250, 100 and none", got)
	}
	if n := f.rows(); n != 1 {
		t.Errorf("%d rows left, want the younger day's one", n)
	}
	f.now = f.at[1]
	f.empty(f.days[1])
	if n := f.rows(); n != 0 {
		t.Errorf("%d rows left", n)
	}
}

// TestAnswersOfAUserAreDeleted on every day, and nobody else's, a few megabytes at
// once.
func TestAnswersOfAUserAreDeleted(t *testing.T) {
	f := open(t)
	large := idempotency.Answer{Status: 200, Body: make([]byte, 1<<20)}
	keyOf := func(user domain.UserID, n int) idempotency.Key {
		return idempotency.KeyOf(user, "POST", "/v1/meetings", fmt.Sprint(n))
	}
	for n := range 8 {
		f.keep(keyOf("usr_1", n), request, large)
		f.keep(keyOf("usr_2", n), request, created)
		f.now = f.now.Add(5 * time.Hour)
	}
	portions := 0
	for more := true; more; portions++ {
		if err := f.db.Write(t.Context(), func(tx *db.WriteTx) (err error) {
			more, err = idempotency.DeleteOf(tx, "usr_1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.rows(); n != 8 || portions < 8 {
		t.Errorf("%d rows are left after %d portions, want the other's 8", n, portions)
	}
	if !f.finds(keyOf("usr_2", 7), request) || f.finds(keyOf("usr_1", 7), request) {
		t.Error("another's answers were deleted")
	}
}

func TestLargeAnswersAreDeletedInSmallPortions(t *testing.T) {
	f := open(t)
	large := idempotency.Answer{Status: 200, Body: make([]byte, 1<<20)}
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		f.keep(idempotency.KeyOf("usr_1", "POST", "/v1/meetings", k), request, large)
	}
	f.now = f.at[0]
	if got := f.empty(f.days[0]); got != 6 {
		t.Errorf("%d portions, want one for each and one to see the end", got)
	}
	if n := f.rows(); n != 0 {
		t.Errorf("%d rows left", n)
	}
}

func (f *fixture) rows() (n int64) {
	f.Helper()
	err := f.db.Read(f.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, `SELECT count(*) FROM idempotency`)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return n
}
