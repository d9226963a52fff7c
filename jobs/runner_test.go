package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
)

func TestFailedJobIsTriedLessAndLessOftenThenDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var at []time.Time
		start(t, d, map[string]jobs.Handler{"mail": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
			at = append(at, time.Now())
			if task.Attempt != len(at) {
				t.Errorf("attempt %d, want %d", task.Attempt, len(at))
			}
			return nil, fmt.Errorf("attempt %d: no route", task.Attempt)
		}})
		enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(at) != 16 {
			t.Fatalf("%d attempts, want 16", len(at))
		}
		for n := 1; n < len(at); n++ {
			longest := min(time.Hour, time.Second<<(n-1))
			if wait := at[n].Sub(at[n-1]); wait < longest/2 || wait > longest {
				t.Errorf("waited %v after attempt %d, want %v to %v", wait, n, longest/2, longest)
			}
		}
		letters := dead(t, d)
		if len(letters) != 1 || letters[0].LastError != "attempt 16: no route" || letters[0].Attempts != 16 ||
			letters[0].Name != "mail:1" || !letters[0].DiedAt.Equal(at[15]) || !letters[0].CreatedAt.Equal(at[0]) {
			t.Errorf("dead: %+v", letters)
		}
		if f := count(t, d); f != (jobs.Figures{Dead: 1}) {
			t.Errorf("%+v", f)
		}
	})
}

func TestAskingDoesNotHurryAFailingJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		attempts := 0
		start(t, d, map[string]jobs.Handler{"mail": func(context.Context, jobs.Task) (jobs.Effect, error) {
			attempts++
			return nil, errors.New("no route")
		}})
		for range 100 {
			enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1"})
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if attempts < 3 || attempts > 6 { // in 10 s: at 0, 1, 3 and 7 s, or somewhat sooner
			t.Errorf("%d attempts", attempts)
		}
	})
}

func TestUnknownKindDiesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		start(t, d, nil)
		enqueue(t, d, jobs.Job{Kind: "nonsense"})
		synctest.Wait()
		letters := dead(t, d)
		if len(letters) != 1 || letters[0].LastError != `no handler for jobs of kind "nonsense"` || letters[0].Attempts != 1 {
			t.Errorf("dead: %+v", letters)
		}
	})
}

func TestPanicIsAFailedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t, func(o *db.Options) { o.Log = quiet })
		start(t, d, map[string]jobs.Handler{
			"handler": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
				if task.Attempt < 3 {
					panic("out of tune")
				}
				return func(tx *db.WriteTx) error { return mark(tx, "handler") }, nil
			},
			"effect": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
				return func(tx *db.WriteTx) error {
					if err := mark(tx, "effect"); err != nil || task.Attempt == 3 {
						return err
					}
					panic("out of tune")
				}, nil
			},
			"always": func(context.Context, jobs.Task) (jobs.Effect, error) { panic(errors.New("out of tune")) },
		})
		enqueue(t, d, jobs.Job{Kind: "handler"}, jobs.Job{Kind: "effect"}, jobs.Job{Kind: "always"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got, want := fmt.Sprint(marks(t, d)), "map[effect:1 handler:1]"; got != want {
			t.Errorf("effects %s, want %s", got, want)
		}
		if letters := dead(t, d); len(letters) != 1 || letters[0].LastError != "panic in a job: out of tune" {
			t.Errorf("dead: %+v", letters)
		}
	})
}

func TestFailedEffectLeavesNothingButTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		start(t, d, map[string]jobs.Handler{"sum": func(context.Context, jobs.Task) (jobs.Effect, error) {
			return func(tx *db.WriteTx) error {
				return errors.Join(mark(tx, "sum"), jobs.Enqueue(tx, jobs.Job{Kind: "sum"}), errors.New("no room"))
			}, nil
		}})
		enqueue(t, d, jobs.Job{Kind: "sum"})
		synctest.Wait()
		if f := count(t, d); f != (jobs.Figures{Waiting: 1}) || len(marks(t, d)) != 0 {
			t.Errorf("after a failed effect: %+v, effects %v", f, marks(t, d))
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if letters := dead(t, d); len(letters) != 1 || letters[0].LastError != "no room" || len(marks(t, d)) != 0 {
			t.Errorf("dead: %+v, effects %v", letters, marks(t, d))
		}
	})
}

func TestAnyErrorIsKeptCutToASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		start(t, d, map[string]jobs.Handler{"mail": func(context.Context, jobs.Task) (jobs.Effect, error) {
			return nil, errors.New("\xff\x00" + strings.Repeat("é", 2000))
		}})
		enqueue(t, d, jobs.Job{Kind: "mail"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		letters := dead(t, d)
		if len(letters) != 1 || !utf8.ValidString(letters[0].LastError) || len(letters[0].LastError) > 510 || len(letters[0].LastError) < 490 {
			t.Errorf("dead: %+v", letters)
		}
	})
}

func TestHandlerHasBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		began, took := time.Now(), time.Duration(0)
		start(t, d, map[string]jobs.Handler{"slow": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
			if task.Attempt > 1 {
				return nil, nil
			}
			<-ctx.Done()
			took = time.Since(began)
			return nil, ctx.Err()
		}})
		enqueue(t, d, jobs.Job{Kind: "slow"})
		time.Sleep(time.Hour)
		synctest.Wait()
		if took != 2*time.Minute {
			t.Errorf("the handler had %v", took)
		}
		if f := count(t, d); f != (jobs.Figures{}) {
			t.Errorf("left over: %+v", f)
		}
	})
}

func TestFewRunAtOnceAndNoneStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var running, most, done atomic.Int32
		var order []int64
		proceed := make(chan struct{})
		start(t, d, map[string]jobs.Handler{"slow": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			<-proceed
			running.Add(-1)
			done.Add(1)
			return func(*db.WriteTx) error { order = append(order, task.ID); return nil }, nil
		}})
		for range 3 {
			enqueue(t, d, jobs.Job{Kind: "slow"}, jobs.Job{Kind: "slow"}, jobs.Job{Kind: "slow"})
		}
		synctest.Wait()
		if running.Load() != 4 {
			t.Fatalf("%d run at once, want 4", running.Load())
		}
		for range 9 {
			proceed <- struct{}{}
			synctest.Wait()
		}
		if most.Load() != 4 || done.Load() != 9 {
			t.Errorf("%d at once, %d done", most.Load(), done.Load())
		}
		// One that is let go first may be any of the four that run.
		for i, id := range order {
			for _, later := range order[i+1:] {
				if later < id-4 {
					t.Errorf("order %v", order)
				}
			}
		}
	})
}

func TestIdleRunnerDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock atomic.Int64 // read before every look and every write
		path := filepath.Join(t.TempDir(), "connvo.db")
		d := dbtest.Open(t, func(o *db.Options) {
			o.Path = path
			o.Now = func() time.Time { clock.Add(1); return time.Now() }
		})
		var c runs
		start(t, d, map[string]jobs.Handler{"tick": c.handle})
		enqueue(t, d, jobs.Job{Kind: "tick"}, jobs.Job{Kind: "tick", RunAt: time.Now().Add(1000 * time.Hour)})
		synctest.Wait()
		looked, stats, logged := clock.Load(), d.Stats(), walSize(t, path)
		time.Sleep(999 * time.Hour)
		synctest.Wait()
		if clock.Load() != looked || d.Stats() != stats || walSize(t, path) != logged {
			t.Errorf("idle: %d looks, %+v after %+v", clock.Load()-looked, d.Stats(), stats)
		}
		// Nor does it look when a commit concerns no job.
		err := d.Write(t.Context(), func(tx *db.WriteTx) error { return mark(tx, "other") })
		if synctest.Wait(); err != nil || clock.Load() != looked+1 {
			t.Errorf("%d looks after a commit without jobs, error %v", clock.Load()-looked-1, err)
		}
		time.Sleep(2 * time.Hour)
		if tasks, _ := c.all(); len(tasks) != 2 {
			t.Errorf("%d runs, want 2", len(tasks))
		}
	})
}

func walSize(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}
