package jobs_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
)

// TestClockThatJumps neither loses a job nor does it twice; one that waits is done
// later by the jump at most.
func TestClockThatJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forth": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ahead atomic.Int64
				now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				d := dbtest.Open(t, func(o *db.Options) { o.Now = now })
				var mu sync.Mutex // guards done
				done := map[string]int{}
				times := func(name string) int {
					mu.Lock()
					defer mu.Unlock()
					return done[name]
				}
				start(t, d, map[string]jobs.Handler{"work": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
					return func(*db.WriteTx) error {
						mu.Lock()
						defer mu.Unlock()
						done[task.Name]++
						return nil
					}, nil
				}})
				enqueue(t, d, jobs.Job{Kind: "work", Name: "soon", RunAt: now().Add(10 * time.Minute)})
				enqueue(t, d, jobs.Job{Kind: "work", Name: "later", RunAt: now().Add(2 * time.Hour)})
				synctest.Wait()
				ahead.Store(int64(jump))
				enqueue(t, d, jobs.Job{Kind: "work", Name: "now"})
				synctest.Wait()
				if times("now") != 1 {
					t.Error("a job that is due waits")
				}
				time.Sleep(70 * time.Minute)
				synctest.Wait()
				if times("soon") != 1 {
					t.Error("a job waits for longer than the jump")
				}
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				for _, name := range []string{"now", "soon", "later"} {
					if n := times(name); n != 1 {
						t.Errorf("%s was done %d times", name, n)
					}
				}
			})
		})
	}
}
