package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
)

func TestNameIsUniqueWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var c runs
		start(t, d, map[string]jobs.Handler{"sum": c.handle})
		began := time.Now()
		for i, after := range []time.Duration{2 * time.Hour, time.Hour, 3 * time.Hour} {
			enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1", RunAt: began.Add(after), Payload: i})
		}
		enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:2", RunAt: began.Add(time.Hour)})
		if f := count(t, d); f.Waiting != 2 {
			t.Errorf("%d waiting, want 2", f.Waiting)
		}
		time.Sleep(24 * time.Hour)
		tasks, at := c.all()
		if len(tasks) != 2 {
			t.Fatalf("%d runs, want 2", len(tasks))
		}
		if at[0].Sub(began) != time.Hour || tasks[0].Name == tasks[1].Name {
			t.Errorf("ran after %v: %+v", at[0].Sub(began), tasks)
		}
		enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1"})
		if tasks, _ := c.all(); len(tasks) != 3 {
			t.Error("a name that waits no longer is taken")
		}
	})
}

func TestNewerPayloadCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var c runs
		start(t, d, map[string]jobs.Handler{"sum": c.handle})
		for n := range 3 {
			enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1", Payload: n, RunAt: time.Now().Add(time.Hour)})
		}
		time.Sleep(time.Hour)
		if tasks, _ := c.all(); len(tasks) != 1 || string(tasks[0].Payload) != "2" {
			t.Errorf("tasks %+v", tasks)
		}
	})
}

func TestJobAskedForWhileItRunsRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		begun, proceed := make(chan string), make(chan error)
		start(t, d, map[string]jobs.Handler{"sum": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
			begun <- string(task.Payload)
			return func(tx *db.WriteTx) error { return mark(tx, string(task.Payload)) }, <-proceed
		}})
		enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1", Payload: 1})
		<-begun
		enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1", Payload: 2})
		synctest.Wait() // it does not begin beside the first
		proceed <- nil
		if got := <-begun; got != "2" {
			t.Errorf("second run with payload %s", got)
		}
		enqueue(t, d, jobs.Job{Kind: "sum", Name: "sum:1", Payload: 3})
		began := time.Now()
		proceed <- errors.New("busy")
		if got := <-begun; got != "3" || time.Since(began) < 500*time.Millisecond {
			t.Errorf("third run with payload %s after %v", got, time.Since(began))
		}
		proceed <- nil
		synctest.Wait()
		if got, want := fmt.Sprint(marks(t, d)), "map[1:1 3:1]"; got != want {
			t.Errorf("effects %s, want %s", got, want)
		}
		if f := count(t, d); f != (jobs.Figures{}) {
			t.Errorf("left over: %+v", f)
		}
	})
}

func TestJobAskedForDuringItsLastAttemptLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		attempts := 0
		start(t, d, map[string]jobs.Handler{"mail": func(context.Context, jobs.Task) (jobs.Effect, error) {
			attempts++
			if attempts == 16 {
				enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1"})
			}
			return nil, errors.New("no route")
		}})
		enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if f := count(t, d); attempts != 17 || f != (jobs.Figures{Dead: 1}) {
			t.Errorf("%d attempts, %+v", attempts, f)
		}
	})
}
