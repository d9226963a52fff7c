package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const maxSamples = 5_000_000 // 40 MB; a run that would bring more is refused or sampled

// summary is what is said about a set of latencies.
type summary struct {
	count                int64
	p50, p95, p99, worst time.Duration
}

// summarize sorts kept and takes its percentiles; the zero summary when there is nothing.
func summarize(kept []time.Duration) summary {
	if len(kept) == 0 {
		return summary{}
	}
	slices.Sort(kept)
	return summary{
		count: int64(len(kept)),
		p50:   percentile(kept, 0.50),
		p95:   percentile(kept, 0.95),
		p99:   percentile(kept, 0.99),
		worst: kept[len(kept)-1],
	}
}

// percentile is the nearest rank in sorted: the smallest value that at least the share p does not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// samples keeps latencies as they are up to a limit, and from there on a uniform choice of all (a reservoir).
// The worst is always exact.
type samples struct {
	limit int
	kept  []time.Duration
	seen  int64
	worst time.Duration
}

func (s *samples) add(d time.Duration) {
	s.seen++
	s.worst = max(s.worst, d)
	if len(s.kept) < s.limit {
		s.kept = append(s.kept, d)
		return
	}
	if at := rand.Int64N(s.seen); at < int64(s.limit) {
		s.kept[at] = d
	}
}

// merge summarizes the samples of several goroutines that did the same for the same time.
func merge(all []samples) summary {
	var kept []time.Duration
	var seen int64
	var worst time.Duration
	for _, s := range all {
		kept = append(kept, s.kept...)
		seen += s.seen
		worst = max(worst, s.worst)
	}
	sum := summarize(kept)
	sum.count, sum.worst = seen, worst
	return sum
}
