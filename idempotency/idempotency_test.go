package idempotency_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/idempotency"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a database with a clock that a test moves, and what was arranged.
type fixture struct {
	*testing.T
	db    *db.DB
	store *idempotency.Store
	now   time.Time
	days  []int64     // for which the expiry was arranged, in order
	at    []time.Time // when they expire
	fails error       // what arranging fails with
}

func open(t *testing.T) *fixture {
	f := &fixture{T: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	f.db = dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return f.now } })
	f.store = idempotency.NewStore(func(_ *db.WriteTx, day int64, at time.Time) error {
		f.days, f.at = append(f.days, day), append(f.at, at)
		return f.fails
	})
	return f
}

func (f *fixture) keep(k idempotency.Key, request idempotency.Request, a idempotency.Answer) {
	f.Helper()
	err := f.db.Write(f.Context(), func(tx *db.WriteTx) error { return f.store.Keep(tx, k, request, a) })
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) find(k idempotency.Key, request idempotency.Request) (a idempotency.Answer, found bool, err error) {
	err = f.db.Read(f.Context(), func(tx db.Reader) (err error) {
		a, found, err = f.store.Find(tx, f.now, k, request)
		return err
	})
	return a, found, err
}

// finds says whether an answer is found, and fails the test for any error.
func (f *fixture) finds(k idempotency.Key, request idempotency.Request) bool {
	f.Helper()
	_, found, err := f.find(k, request)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

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

var (
	key     = idempotency.KeyOf("usr_1", "POST", "/v1/meetings", "k")
	request = idempotency.RequestOf([]byte(`{"title":"x"}`))
	created = idempotency.Answer{
		Status: 201,
		Header: idempotency.Header{Location: "/v1/meetings/mtg_1", ETag: `"7"`, Commit: 1<<53 - 1},
		Body:   []byte("{\"id\":\"mtg_1\"}\x00\xff"),
	}
)

func TestAnswerIsFoundAsItWasKept(t *testing.T) {
	f := open(t)
	if f.finds(key, request) {
		t.Error("found before it was kept")
	}
	f.keep(key, request, created)
	got, found, err := f.find(key, request)
	if err != nil || !found || got.Status != created.Status || got.Header != created.Header || !bytes.Equal(got.Body, created.Body) {
		t.Errorf("found %v, %+v, %v", found, got, err)
	}
	other := idempotency.KeyOf("usr_1", "DELETE", "/v1/meetings/mtg_1", "k")
	f.keep(other, request, idempotency.Answer{Status: 204})
	got, found, err = f.find(other, request)
	if err != nil || !found || got.Status != 204 || got.Header != (idempotency.Header{}) || len(got.Body) != 0 {
		t.Errorf("without a body: found %v, %+v, %v", found, got, err)
	}
}

func TestAnswerGoesWithItsEffect(t *testing.T) {
	f := open(t)
	refused := errors.New("refused")
	err := f.db.Write(t.Context(), func(tx *db.WriteTx) error {
		return errors.Join(f.store.Keep(tx, key, request, created), refused)
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if f.finds(key, request) {
		t.Error("found although its write was refused")
	}
}

func TestOtherContentUnderTheKeyIsRefused(t *testing.T) {
	f := open(t)
	f.keep(key, request, created)
	_, found, err := f.find(key, idempotency.RequestOf([]byte(`{"title":"y"}`)))
	if found || !errors.Is(err, idempotency.ErrMismatch) || domain.KindOf(err) != domain.Invalid {
		t.Errorf("found %v, error %v", found, err)
	}
	f.now = f.now.Add(idempotency.Lifetime)
	if f.finds(key, idempotency.RequestOf(nil)) {
		t.Error("a key is not free after its lifetime")
	}
}

func TestKeyHoldsForItsUserMethodAndPath(t *testing.T) {
	f := open(t)
	f.keep(key, request, created)
	for name, k := range map[string]idempotency.Key{
		"user":   idempotency.KeyOf("usr_2", "POST", "/v1/meetings", "k"),
		"method": idempotency.KeyOf("usr_1", "PUT", "/v1/meetings", "k"),
		"path":   idempotency.KeyOf("usr_1", "POST", "/v1/meetings/", "k"),
		"key":    idempotency.KeyOf("usr_1", "POST", "/v1/meetings", "K"),
	} {
		if f.finds(k, request) {
			t.Errorf("another %s finds the answer", name)
		}
	}
}

func TestAnswerLivesADay(t *testing.T) {
	for name, kept := range map[string]time.Time{
		"first millisecond": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"midday":            time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		"last millisecond":  time.Date(2026, 3, 1, 23, 59, 59, 999e6, time.UTC),
		"leap day":          time.Date(2028, 2, 29, 23, 59, 59, 999e6, time.UTC),
	} {
		f := open(t)
		f.now = kept
		f.keep(key, request, created)
		for _, after := range []time.Duration{0, time.Millisecond, 12 * time.Hour, 24*time.Hour - time.Millisecond} {
			if f.now = kept.Add(after); !f.finds(key, request) {
				t.Errorf("%s: not found after %v", name, after)
			}
		}
		for _, after := range []time.Duration{24 * time.Hour, 24*time.Hour + time.Millisecond, 48 * time.Hour} {
			if f.now = kept.Add(after); f.finds(key, request) {
				t.Errorf("%s: found after %v", name, after)
			}
		}
		// The key is free again, beside the row that is still there.
		f.now = kept.Add(24 * time.Hour)
		again := idempotency.RequestOf([]byte("again"))
		f.keep(key, again, idempotency.Answer{Status: 200})
		if a, found, err := f.find(key, again); err != nil || !found || a.Status != 200 {
			t.Errorf("%s: used again: found %v, %+v, %v", name, found, a, err)
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
	if got := f.empty(f.days[0]); got != 3 {
		t.Errorf("%d portions, want 3", got)
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

func TestKeepRefusesWhatIsNoAnswerToKeep(t *testing.T) {
	f := open(t)
	f.keep(key, request, created)
	fresh := idempotency.KeyOf("usr_1", "POST", "/v1/meetings", "fresh")
	for name, c := range map[string]struct {
		key    idempotency.Key
		answer idempotency.Answer
	}{
		"a refusal":    {fresh, idempotency.Answer{Status: 409}},
		"no status":    {fresh, idempotency.Answer{}},
		"a large body": {fresh, idempotency.Answer{Status: 200, Body: make([]byte, 1<<20+1)}},
		"a second":     {key, created},
	} {
		err := f.db.Write(t.Context(), func(tx *db.WriteTx) error { return f.store.Keep(tx, c.key, request, c.answer) })
		if err == nil {
			t.Errorf("%s: kept", name)
		}
	}
	f.keep(fresh, request, idempotency.Answer{Status: 200, Body: make([]byte, 1<<20)})
}
