package idempotency_test

import (
	"bytes"
	"errors"
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

var (
	key     = idempotency.KeyOf("usr_1", "POST", "/v1/meetings", "k")
	request = idempotency.RequestOf("", []byte(`{"title":"x"}`))
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
	_, found, err := f.find(key, idempotency.RequestOf("", []byte(`{"title":"y"}`)))
	if found || !errors.Is(err, idempotency.ErrMismatch) || domain.KindOf(err) != domain.Invalid {
		t.Errorf("found %v, error %v", found, err)
	}
	if _, found, err := f.find(key, idempotency.RequestOf("reason=other", []byte(`{"title":"x"}`))); found || !errors.Is(err, idempotency.ErrMismatch) {
		t.Errorf("with another query: %v, %v", found, err)
	}
	f.now = f.now.Add(idempotency.Lifetime)
	if f.finds(key, idempotency.RequestOf("", nil)) {
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
		again := idempotency.RequestOf("", []byte("again"))
		f.keep(key, again, idempotency.Answer{Status: 200})
		if a, found, err := f.find(key, again); err != nil || !found || a.Status != 200 {
			t.Errorf("%s: used again: found %v, %+v, %v", name, found, a, err)
		}
	}
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
