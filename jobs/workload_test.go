package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/jobs"
)

// How an attempt may fail.
const (
	failHandler = iota
	failEffect
	panicHandler
	panicEffect
	waysToFail
)

// planned is a job, and how many of its attempts fail.
type planned struct {
	after, takes time.Duration
	failures     []int // how each of the first attempts fails
}

func TestEveryJobEndsOnceAsDoneOrDead(t *testing.T) {
	way := rapid.IntRange(0, waysToFail-1)
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) planned {
			return planned{
				after:    time.Duration(rapid.IntRange(0, 5000).Draw(rt, "after")) * time.Millisecond,
				takes:    time.Duration(rapid.IntRange(0, 3000).Draw(rt, "takes")) * time.Millisecond,
				failures: rapid.OneOf(rapid.SliceOfN(way, 0, 3), rapid.SliceOfN(way, 14, 18)).Draw(rt, "failures"),
			}
		}), 1, 4).Draw(rt, "plan")
		stops := rapid.SliceOfN(rapid.IntRange(0, 10_000), 0, 2).Draw(rt, "stops")
		var f jobs.Figures
		var made map[string]int
		synctest.Test(t, func(t *testing.T) { f, made = carryOut(t, plan, stops) })
		died := 0
		for i, p := range plan {
			want := 1
			if len(p.failures) >= 16 {
				want = 0
				died++
			}
			if made[fmt.Sprint(i)] != want {
				rt.Errorf("job %d had its effect %d times, want %d", i, made[fmt.Sprint(i)], want)
			}
		}
		if f != (jobs.Figures{Dead: int64(died)}) {
			rt.Errorf("%+v, want %d dead", f, died)
		}
	})
}

// carryOut runs the plan to its end and restarts the runner after each of stops,
// in milliseconds.
func carryOut(t *testing.T, plan []planned, stops []int) (jobs.Figures, map[string]int) {
	d := dbtest.Open(t, func(o *db.Options) { o.Log = quiet })
	handlers := map[string]jobs.Handler{"plan": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
		var i int
		if _, err := fmt.Sscan(string(task.Payload), &i); err != nil {
			return nil, err
		}
		select {
		case <-time.After(plan[i].takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		way := waysToFail
		if task.Attempt <= len(plan[i].failures) {
			way = plan[i].failures[task.Attempt-1]
		}
		switch way {
		case failHandler:
			return nil, errors.New("failed as planned")
		case panicHandler:
			panic("as planned")
		}
		return func(tx *db.WriteTx) error {
			err := mark(tx, fmt.Sprint(i))
			switch way {
			case failEffect:
				err = errors.New("failed as planned")
			case panicEffect:
				panic("as planned")
			}
			return err
		}, nil
	}}
	for i, p := range plan {
		enqueue(t, d, jobs.Job{Kind: "plan", Payload: i, RunAt: time.Now().Add(p.after)})
	}
	for _, ms := range stops {
		r := jobs.NewRunner(d, quiet, handlers)
		r.Start()
		time.Sleep(time.Duration(ms) * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := r.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	start(t, d, handlers)
	time.Sleep(48 * time.Hour)
	synctest.Wait()
	return count(t, d), marks(t, d)
}

// childPath is the variable that makes the test binary a process to be killed.
const childPath = "CONNVO_JOBS_CHILD"

// marking is the handler whose effect is one mark for each payload.
func marking(_ context.Context, task jobs.Task) (jobs.Effect, error) {
	return func(tx *db.WriteTx) error { return mark(tx, string(task.Payload)) }, nil
}

// runChild runs jobs until it is killed, and says when it has begun.
func runChild(path string) int {
	schema, err := os.ReadFile(path + ".sql")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	d, err := db.Open(context.Background(), db.Options{Path: path, Schema: string(schema)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	begun := make(chan struct{}, 1)
	jobs.NewRunner(d, quiet, map[string]jobs.Handler{"mark": func(ctx context.Context, task jobs.Task) (jobs.Effect, error) {
		select {
		case begun <- struct{}{}:
		default:
		}
		return marking(ctx, task)
	}}).Start()
	<-begun
	fmt.Println("begun")
	select {}
}

func TestKilledProcessLosesAndRepeatsNothing(t *testing.T) {
	const all, kills = 3000, 4
	path := filepath.Join(t.TempDir(), "connvo.db")
	at := func(o *db.Options) { o.Path = path }
	if err := os.WriteFile(path+".sql", []byte(dbtest.Schema(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, at)
	for i := 0; i < all; i += 100 {
		var batch []jobs.Job
		for n := range 100 {
			batch = append(batch, jobs.Job{Kind: "mark", Payload: i + n})
		}
		enqueue(t, d, batch...)
	}
	for n := range kills {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		runAndKill(t, path, time.Duration(n+1)*17*time.Millisecond)
		d = dbtest.Open(t, at)
		made := marks(t, d)
		if f := count(t, d); f.Waiting+int64(len(made)) != all {
			t.Fatalf("after kill %d: %d wait and %d are done, of %d", n+1, f.Waiting, len(made), all)
		}
		for name, times := range made {
			if times != 1 {
				t.Fatalf("after kill %d: job %s had its effect %d times", n+1, name, times)
			}
		}
		t.Logf("kill %d: %d of %d done", n+1, len(made), all)
	}
}

// runAndKill lets a process run jobs for a while.
func runAndKill(t *testing.T, path string, after time.Duration) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "begun" {
		t.Errorf("the process says %q, %v", line, err)
	}
	time.Sleep(after)
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait() // says that it was killed
}
