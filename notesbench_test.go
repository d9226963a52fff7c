package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkHundredEditors is one document that a hundred people edit over HTTP, each
// five times a second, with the reading that goes with it, for ten seconds. It reports
// how long an edit took to be acknowledged.
func BenchmarkHundredEditors(b *testing.B) {
	const editors, rate, lasting = 100, 200 * time.Millisecond, 10 * time.Second
	s := newStage(b, filepath.Join(b.TempDir(), "connvo.db"), time.Now)
	defer s.close()
	meeting := s.begin()
	var grant struct{ AccessToken string }
	s.read(s.send("", "POST", "/dev/token", `{"email":"ada@example.com"}`), &grant)
	transport := &http.Transport{MaxIdleConnsPerHost: editors}
	defer transport.CloseIdleConnections()
	server := &address{url: s.http.URL, changed: make(chan struct{})}
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), lasting)
		var mu sync.Mutex // guards took
		var took []time.Duration
		var all sync.WaitGroup
		for i := range editors {
			w := &writer{ctx: b.Context(), server: server, http: &http.Client{Transport: transport}, rng: rand.New(rand.NewPCG(uint64(i), 4)), calm: true,
				token: grant.AccessToken, path: meeting + "/notes", id: fmt.Sprint("editor-", b.N, "-", i)}
			all.Go(func() {
				tick := time.NewTicker(rate)
				defer tick.Stop()
				for err := w.read(); ; err = errors.Join(w.edit(), timed(&mu, &took, w.send), w.read()) {
					if err != nil {
						b.Error(err)
						return
					}
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		all.Wait()
		cancel()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(len(took))/lasting.Seconds(), "edits/s")
	}
}

// timed notes how long something took.
func timed(mu *sync.Mutex, took *[]time.Duration, do func() error) error {
	began := time.Now()
	err := do()
	mu.Lock()
	defer mu.Unlock()
	*took = append(*took, time.Since(began))
	return err
}
