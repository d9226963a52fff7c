//go:build !linux

package replica

import "time"

// newClock returns a clock that nobody sets.
func newClock() func() time.Duration { return sinceNow() }
