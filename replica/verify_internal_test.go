package replica

import (
	"errors"
	"testing"
	"time"
)

// TestVerificationIsDueOnceADay at night, where anything was written since, and soon
// where the last one has found something.
func TestVerificationIsDueOnceADay(t *testing.T) {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		now      time.Time
		schedule schedule
		last     Verification
		newest   uint64
		due      bool
	}{
		"nothing is known yet":      {at(2, 12, 0), schedule{from: at(2, 13, 0)}, Verification{}, 1, true},
		"just started":              {at(2, 12, 0), schedule{from: at(2, 13, 0), known: true}, Verification{}, 1, false},
		"never made":                {at(2, 13, 0), schedule{from: at(2, 13, 0), known: true}, Verification{}, 1, true},
		"nothing was written":       {at(9, 13, 0), schedule{known: true}, Verification{At: at(1, 3, 0), Transaction: 1}, 1, false},
		"before the night":          {at(2, 2, 59), schedule{known: true}, Verification{At: at(1, 13, 0), Transaction: 1}, 2, false},
		"at night":                  {at(2, 3, 7), schedule{known: true, minute: 7}, Verification{At: at(1, 13, 0), Transaction: 1}, 2, true},
		"before its minute":         {at(2, 3, 6), schedule{known: true, minute: 7}, Verification{At: at(1, 13, 0), Transaction: 1}, 2, false},
		"in the same night":         {at(2, 3, 30), schedule{known: true}, Verification{At: at(2, 3, 1), Transaction: 1}, 2, false},
		"in the next night":         {at(3, 3, 0), schedule{known: true}, Verification{At: at(2, 3, 1), Transaction: 1}, 2, true},
		"missed the night":          {at(3, 14, 0), schedule{known: true}, Verification{At: at(1, 3, 1), Transaction: 1}, 2, true},
		"something was found":       {at(2, 4, 1), schedule{known: true}, Verification{At: at(2, 3, 1), Transaction: 1, Problem: "x"}, 1, true},
		"not as soon as that":       {at(2, 3, 2), schedule{from: at(2, 4, 1), known: true}, Verification{At: at(2, 3, 1), Transaction: 1, Problem: "x"}, 1, false},
		"the clock has jumped back": {at(1, 2, 0), schedule{known: true}, Verification{At: at(1, 3, 0), Transaction: 1}, 2, false},
	} {
		if due := c.schedule.due(c.now, Status{Transaction: c.newest, Verified: c.last}); due != c.due {
			t.Errorf("%s: due %t", name, due)
		}
	}
}

// TestVerificationNeedsRoom for the file, so that it does not fill the disk.
func TestVerificationNeedsRoom(t *testing.T) {
	if err := roomFor(t.TempDir(), 1<<60); !errors.Is(err, errNoRoom) {
		t.Error(err)
	}
	if err := roomFor(t.TempDir(), 0); err != nil && diskPercent(t.TempDir()) < alarmPercent {
		t.Error(err)
	}
}
