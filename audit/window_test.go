package audit_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

// crowd records so many entries of an organization, of which every rare-th is
// another's deed and was refused; all of them touch /v1/x.
func crowd(t testing.TB, d *db.DB, org string, entries, rare int) {
	t.Helper()
	const portion = 20_000
	for done := 0; done < entries; done += portion {
		err := d.Write(context.Background(), func(tx *db.WriteTx) error {
			first := tx.Number()
			n := min(portion, entries-done)
			for range n {
				tx.Next()
			}
			_, err := tx.Exec(`
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
				INSERT INTO audit (position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail)
				SELECT ?1 + i, ?3, iif((?4 + i) % ?5 = 0, 'usr_rare', 'usr_often'), iif((?4 + i) % ?5 = 0, 'rare.deed', 'often.deed'), ?4 + i, '/v1/x',
				  iif((?4 + i) % ?5 = 0, 'refused', 'allowed'), 's', 'r', '127.0.0.1', 'an agent of the usual length, such as browsers send', '{"path":"/v1/x"}'
				FROM n`, first, n, org, done, rare)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// walk reads page after page, the newest first or from the beginning, and returns
// the instants of all entries and how many pages there were.
func walk(t testing.TB, d *db.DB, org string, f audit.Filter, forward bool, limit int) (at []int64, pages int) {
	t.Helper()
	span := domain.Span{Limit: limit}
	if forward {
		span.After = new(int64)
	}
	for more := true; more; pages++ {
		var part domain.Part[audit.Line]
		err := d.Read(t.Context(), func(tx db.Reader) (err error) {
			part, err = audit.Feed(tx, org, f, span)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var page []int64
		for _, l := range part.Items {
			page = append(page, l.At.UnixMilli())
		}
		next := part.Looked
		if forward {
			at = append(at, page...)
			if next == 0 && part.More {
				next = part.Items[len(part.Items)-1].Position
			}
			span.After = &next
		} else {
			at = append(page, at...)
			if next == 0 && part.More {
				next = part.Items[0].Position
			}
			span.Before = &next
		}
		if more = part.More; pages > 1000 {
			t.Fatal("it goes on for ever")
		}
	}
	return at, pages
}

func TestRareFiltersAreLookedForAPartAtATime(t *testing.T) {
	d := dbtest.Open(t)
	crowd(t, d, "org_1", 41_000, 15_000) // the rare ones are the 15,000th and the 30,000th
	crowd(t, d, "org_2", 21_000, 15_000)
	rare := []int64{15_000, 30_000}
	for name, test := range map[string]struct {
		filter audit.Filter
		want   []int64
		pages  int
	}{
		"an actor":            {audit.Filter{Actor: "usr_rare"}, rare, 3},
		"an action":           {audit.Filter{Action: "rare.deed"}, rare, 3},
		"an outcome":          {audit.Filter{Outcome: audit.Refused}, rare, 3},
		"of a thing":          {audit.Filter{Resource: "/v1/x", Actor: "usr_rare"}, rare, 3},
		"nobody":              {audit.Filter{Actor: "usr_none"}, nil, 3},
		"an instant":          {audit.Filter{From: time.UnixMilli(100), To: time.UnixMilli(102)}, []int64{100, 101}, 3},
		"what is not touched": {audit.Filter{Resource: "/v1/y", Actor: "usr_rare"}, nil, 1},
	} {
		for _, forward := range []bool{false, true} {
			if got, pages := walk(t, d, "org_1", test.filter, forward, 50); !slices.Equal(got, test.want) || pages != test.pages {
				t.Errorf("%s, forward %v: %v on %d pages", name, forward, got, pages)
			}
		}
	}
	for name, test := range map[string]struct {
		filter  audit.Filter
		forward bool
		entries int
		pages   int // of a thousand, and one more where looking has stopped within one
	}{
		"what is frequent":      {audit.Filter{Actor: "usr_often"}, false, 20_999, 22},
		"… from the beginning":  {audit.Filter{Actor: "usr_often"}, true, 20_999, 22},
		"everything":            {audit.Filter{}, true, 21_000, 21},
		"everything of a thing": {audit.Filter{Resource: "/v1/x"}, false, 21_000, 21},
	} {
		got, pages := walk(t, d, "org_2", test.filter, test.forward, 1000)
		if len(got) != test.entries || !slices.IsSorted(got) || pages < 21 || pages > test.pages {
			t.Errorf("%s: %d entries on %d pages", name, len(got), pages)
		}
	}
}

// BenchmarkRareFilter is how long one read transaction takes that finds nothing
// among a million entries.
func BenchmarkRareFilter(b *testing.B) {
	d := dbtest.Open(b)
	crowd(b, d, "org_1", 1_000_000, 2_000_000)
	for name, f := range map[string]audit.Filter{
		"actor": {Actor: "usr_none"}, "outcome": {Outcome: audit.Refused}, "resource": {Resource: "/v1/x", Actor: "usr_none"}, "instant": {To: time.UnixMilli(1)},
	} {
		for _, span := range []domain.Span{{Limit: 50}, {Limit: 50, After: new(int64)}} {
			b.Run(fmt.Sprintf("%s/after=%v", name, span.After != nil), func(b *testing.B) {
				for b.Loop() {
					err := d.Read(context.Background(), func(tx db.Reader) error {
						part, err := audit.Feed(tx, "org_1", f, span)
						if err == nil && !part.More {
							b.Error("it has looked to the end")
						}
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
