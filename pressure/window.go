package pressure

import "time"

// span is how many seconds a window looks back.
const span = 10

// window is the last ten seconds, by second.
type window [span]struct {
	second  int64 // which it is
	n       int
	latency time.Duration // of all of them together
}

// add notes n that each took so long.
func (w *window) add(now time.Time, n int, latency time.Duration) {
	second := now.Unix()
	at := &w[second%span]
	if at.second != second {
		at.second, at.n, at.latency = second, 0, 0
	}
	at.n += n
	at.latency += time.Duration(n) * max(latency, 0) // a clock may be set back
}

// read returns how many there were a second, and how long they took on average; 0
// where there were none. What has just begun is counted as if it had gone on for
// the ten seconds.
func (w *window) read(now time.Time) (rate float64, latency time.Duration) {
	n := 0
	for _, at := range w {
		if age := now.Unix() - at.second; age >= 0 && age < span {
			n += at.n
			latency += at.latency
		}
	}
	if n == 0 {
		return 0, 0
	}
	return float64(n) / span, latency / time.Duration(n)
}

// over reports whether there were none in the seconds up to this one.
func (w *window) over(second int64) bool {
	for _, at := range w {
		if age := second - at.second; at.n > 0 && age >= 0 && age < span {
			return false
		}
	}
	return true
}
