package conversation

// The steps of a window: thirty of ten seconds are five minutes.
const (
	stepMs = 10_000
	steps  = 30
)

// window is how long somebody spoke in each of the latest steps of a meeting in
// which they spoke: ms[i] in the step newest-i. It has at most steps of them, so
// a row of it has a bound, and adding to it costs no more the longer they speak.
type window struct {
	newest int64
	ms     []int64
}

// add adds speech from start to end, offsets in milliseconds. What is older than
// the window is dropped.
func (w *window) add(start, end int64) {
	if end <= start {
		return
	}
	last := (end - 1) / stepMs
	for step := max(start/stepMs, last-steps+1); step <= last; step++ {
		if at := w.slot(step); at >= 0 {
			w.ms[at] += min(end, (step+1)*stepMs) - max(start, step*stepMs)
		}
	}
}

// slot returns where the step is, after moving the window on to it, or -1 when
// it is too old.
func (w *window) slot(step int64) int64 {
	if len(w.ms) == 0 {
		w.newest = step
	}
	if ahead := min(step-w.newest, steps); ahead > 0 {
		w.ms = append(make([]int64, ahead), w.ms...)
		w.ms = w.ms[:min(len(w.ms), steps)]
		w.newest = step
	}
	at := w.newest - step
	if at >= steps {
		return -1
	}
	for int64(len(w.ms)) <= at {
		w.ms = append(w.ms, 0)
	}
	return at
}

// until returns how long they spoke in the window that ends with the step newest,
// which is not before theirs.
func (w *window) until(newest int64) (ms int64) {
	for i, n := range w.ms {
		if newest-w.newest+int64(i) < steps {
			ms += n
		}
	}
	return ms
}
