package replica

import (
	"time"

	"golang.org/x/sys/unix"
)

// newClock returns a clock that nobody sets, and that goes on while the machine is
// suspended: Go's own stands still then, and whoever wakes would believe in a lease that
// lapsed long ago.
func newClock() func() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return sinceNow()
	}
	return func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it has worked
		return time.Duration(t.Nano())
	}
}
