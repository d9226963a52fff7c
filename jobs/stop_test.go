package jobs_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
)

func TestJobsSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "connvo.db")
		at := func(o *db.Options) { o.Path = path }
		d := dbtest.Open(t, at)
		enqueue(t, d, jobs.Job{Kind: "greet"}, jobs.Job{Kind: "greet", RunAt: time.Now().Add(time.Hour)})
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = dbtest.Open(t, at)
		var c runs
		start(t, d, map[string]jobs.Handler{"greet": c.handle})
		if tasks, _ := c.all(); len(tasks) != 1 {
			t.Fatalf("%d runs at the start, want 1", len(tasks))
		}
		time.Sleep(time.Hour)
		if tasks, _ := c.all(); len(tasks) != 2 {
			t.Errorf("%d runs, want 2", len(tasks))
		}
	})
}

func TestStopWaitsForRunningJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		r := jobs.NewRunner(d, quiet, map[string]jobs.Handler{"slow": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
			time.Sleep(time.Minute)
			return func(tx *db.WriteTx) error { return mark(tx, "slow") }, ctx.Err()
		}})
		r.Start()
		for range 6 {
			enqueue(t, d, jobs.Job{Kind: "slow"})
		}
		synctest.Wait()
		began := time.Now()
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("stopped after %v", took)
		}
		if f, n := count(t, d), marks(t, d)["slow"]; f.Waiting != 2 || n != 4 {
			t.Errorf("%d wait and %d are done, want 2 and 4", f.Waiting, n)
		}
	})
}

func TestJobCutOffByTheStopRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		r := jobs.NewRunner(d, quiet, map[string]jobs.Handler{
			"slow": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
			// What is done outside is not done twice for a stop that came late.
			"done": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
				<-ctx.Done()
				return func(tx *db.WriteTx) error { return mark(tx, "done") }, nil
			},
		})
		r.Start()
		enqueue(t, d, jobs.Job{Kind: "slow"}, jobs.Job{Kind: "done"})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop: %v", err)
		}
		if f, n := count(t, d), marks(t, d)["done"]; f.Waiting != 1 || n != 1 {
			t.Errorf("%d wait and %d are done, want 1 and 1", f.Waiting, n)
		}
		var c runs
		start(t, d, map[string]jobs.Handler{"slow": c.handle})
		if tasks, _ := c.all(); len(tasks) != 1 || tasks[0].Attempt != 1 {
			t.Errorf("after the stop: %+v", tasks)
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	r := jobs.NewRunner(dbtest.Open(t), quiet, nil)
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRunnerOutlivesAClosedDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t, func(o *db.Options) { o.Log = quiet })
		attempts := 0
		r := jobs.NewRunner(d, quiet, map[string]jobs.Handler{"greet": func(context.Context, jobs.Task) (jobs.Effect, error) {
			attempts++
			if attempts == 1 {
				// Neither the end nor the failure of this run can be stored.
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		}})
		r.Start()
		enqueue(t, d, jobs.Job{Kind: "greet"})
		time.Sleep(time.Hour)
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if attempts != 1 {
			t.Errorf("%d attempts with a closed database", attempts)
		}
	})
}

func TestRunnerRestsWhileNothingCanBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t, func(o *db.Options) { o.Log = quiet })
		attempts := 0
		start(t, d, map[string]jobs.Handler{"greet": func(context.Context, jobs.Task) (jobs.Effect, error) {
			attempts++
			return nil, nil
		}})
		enqueue(t, d, jobs.Job{Kind: "greet", RunAt: time.Now().Add(time.Second)})
		// From here on the writer is refused every transaction.
		err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(`PRAGMA query_only = ON`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if f := count(t, d); attempts != 4 || f != (jobs.Figures{Waiting: 1}) {
			t.Errorf("%d attempts in ten seconds, %+v", attempts, f)
		}
	})
}
