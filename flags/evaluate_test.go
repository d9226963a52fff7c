package flags_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"connvo/domain"
	"connvo/flags"
)

// on returns those of the people for whom the flag is on, by asking
// the store.
func (w *town) on(people []domain.UserID, key flags.Key) map[domain.UserID]bool {
	w.t.Helper()
	all := map[domain.UserID]bool{}
	w.read(func(enabled func(domain.UserID, flags.Key) bool) {
		for _, id := range people {
			if enabled(id, key) {
				all[id] = true
			}
		}
	})
	return all
}

// TestGreaterPercentageOnlyAddsPeople for anyone, and any two percentages.
func TestGreaterPercentageOnlyAddsPeople(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := domain.UserID(rapid.String().Draw(t, "id"))
		key := rapid.SampledFrom([]flags.Key{flags.InCall, flags.Insights, flags.Matching, flags.PreCall}).Draw(t, "key")
		had := false
		for p := range flags.MaxPercentage + 1 {
			has := flags.Allows(flags.Setting{Enabled: true, Percentage: p}, key, "org_1", id)
			if (had && !has) || (p == 0 && has) || (p == flags.MaxPercentage && !has) {
				t.Fatalf("%q has %s at %d: %v", id, key, p, has)
			}
			had = has
		}
	})
}

// TestPercentageIsOfTheOrganizationsPeople raises it for a crowd.
func TestPercentageIsOfTheOrganizationsPeople(t *testing.T) {
	w := newTown(t)
	boss := w.arrive("boss", "org_1", domain.OrgAdmin)
	people := w.crowd("org_1", 1000)
	var before map[domain.UserID]bool
	for _, p := range []int{0, 1, 25, 50, 99, 100} {
		w.set(boss, flags.Insights, flags.Setting{Enabled: true, Percentage: p})
		now := w.on(people, flags.Insights)
		if n := len(now); n < 10*p-50 || n > 10*p+50 {
			t.Errorf("%d of a thousand have it at %d", n, p)
		}
		for id := range before {
			if !now[id] {
				t.Errorf("%s has lost it at %d", id, p)
			}
		}
		before = now
	}
}

// TestPercentagesAreFair counts 100,000 people in the hundred places that
// percentages cut at. The statistic exceeds 150 for one in a thousand hashes that
// are fair; what it is never changes, for neither the ids nor the hash do.
func TestPercentagesAreFair(t *testing.T) {
	const people = 100_000
	for _, key := range []flags.Key{flags.InCall, flags.Insights, flags.Matching, flags.PreCall} {
		var counts [flags.MaxPercentage]float64
		for i := range people {
			counts[flags.Bucket(key, domain.UserID(fmt.Sprintf("usr_%026d", i)))]++
		}
		chi, want := 0.0, float64(people)/flags.MaxPercentage
		for _, n := range counts {
			chi += (n - want) * (n - want) / want
		}
		if chi > 150 || chi < 50 {
			t.Errorf("%s: chi-square is %.0f with 99 degrees of freedom", key, chi)
		}
	}
}

// TestPlacesNeverChange: a place that moved would take the flag from people at the
// next start.
func TestPlacesNeverChange(t *testing.T) {
	for _, c := range []struct {
		key  flags.Key
		id   domain.UserID
		want int
	}{
		{flags.Insights, "usr_1", 56}, {flags.Insights, "usr_2", 22}, {flags.Matching, "usr_1", 55},
	} {
		if got := flags.Bucket(c.key, c.id); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.key, c.id, got, c.want)
		}
	}
}
