package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/jobs"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		os.Exit(runChild(path))
	}
	goleak.VerifyTestMain(m)
}

// quiet is a log for failures that a test causes.
var quiet = slog.New(slog.DiscardHandler)

// start runs jobs with the handlers until the test ends.
func start(t *testing.T, d *db.DB, handlers map[string]jobs.Handler) *jobs.Runner {
	t.Helper()
	r := jobs.NewRunner(d, quiet, handlers)
	r.Start()
	t.Cleanup(func() {
		if err := r.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

func enqueue(t *testing.T, d *db.DB, all ...jobs.Job) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		for _, j := range all {
			if err := jobs.Enqueue(tx, j); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, d *db.DB) jobs.Figures {
	t.Helper()
	var f jobs.Figures
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		f, err = jobs.Count(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func dead(t *testing.T, d *db.DB) []jobs.Letter {
	t.Helper()
	var all []jobs.Letter
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		all, err = jobs.Dead(tx, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mark is an effect that can be counted.
func mark(tx *db.WriteTx, name string) error {
	_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT DO UPDATE SET value = value + 1`, "mark:"+name)
	return err
}

// marks returns how often each mark was made.
func marks(t *testing.T, d *db.DB) map[string]int {
	t.Helper()
	made := map[string]int{}
	err := d.Read(t.Context(), func(tx db.Reader) error {
		_, err := db.All(tx, func(r db.Row) (struct{}, error) {
			var key string
			var n int
			err := r.Scan(&key, &n)
			made[strings.TrimPrefix(key, "mark:")] = n
			return struct{}{}, err
		}, `SELECT key, CAST(value AS INTEGER) FROM meta WHERE key LIKE 'mark:%'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// runs collects when, and with what, a handler was called.
type runs struct {
	mu    sync.Mutex // guards the rest
	tasks []jobs.Task
	at    []time.Time
}

func (c *runs) handle(_ context.Context, t jobs.Task) (jobs.Effect, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks, c.at = append(c.tasks, t), append(c.at, time.Now())
	return nil, nil
}

// all returns the calls that were made once nothing moves any more.
func (c *runs) all() ([]jobs.Task, []time.Time) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tasks), slices.Clone(c.at)
}

func TestJobRunsAfterCommitOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var c runs
		start(t, d, map[string]jobs.Handler{"greet": c.handle})
		refused := errors.New("refused")
		err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			return errors.Join(jobs.Enqueue(tx, jobs.Job{Kind: "greet"}), refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if tasks, _ := c.all(); len(tasks) != 0 {
			t.Fatalf("a job ran that was rolled back: %v", tasks)
		}
		enqueue(t, d, jobs.Job{Kind: "greet", Name: "greet:bob", Payload: map[string]int{"n": 7}})
		tasks, _ := c.all()
		if len(tasks) != 1 {
			t.Fatalf("%d runs, want 1", len(tasks))
		}
		got := tasks[0]
		if got.Kind != "greet" || got.Name != "greet:bob" || string(got.Payload) != `{"n":7}` || got.Attempt != 1 || !got.CreatedAt.Equal(time.Now()) {
			t.Errorf("task %+v", got)
		}
		if f := count(t, d); f != (jobs.Figures{}) {
			t.Errorf("left over: %+v", f)
		}
	})
}

func TestJobRunsAtItsInstantInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var c runs
		start(t, d, map[string]jobs.Handler{"tick": c.handle})
		began := time.Now()
		// Each lets the timer be set anew: later, earlier, between two milliseconds.
		for _, after := range []time.Duration{3 * time.Hour, time.Hour, 2*time.Hour + time.Microsecond} {
			enqueue(t, d, jobs.Job{Kind: "tick", RunAt: began.Add(after)})
			synctest.Wait()
		}
		time.Sleep(24 * time.Hour)
		_, at := c.all()
		want := []time.Duration{time.Hour, 2*time.Hour + time.Millisecond, 3 * time.Hour}
		if len(at) != len(want) {
			t.Fatalf("%d runs, want %d", len(at), len(want))
		}
		for i := range want {
			if got := at[i].Sub(began); got != want[i] {
				t.Errorf("run %d after %v, want %v", i, got, want[i])
			}
		}
	})
}

func TestEffectMayEnqueueItsOwnNameAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		var at []time.Time
		start(t, d, map[string]jobs.Handler{"daily": func(context.Context, jobs.Task) (jobs.Effect, error) {
			at = append(at, time.Now())
			return func(tx *db.WriteTx) error {
				return jobs.Enqueue(tx, jobs.Job{Kind: "daily", Name: "daily", RunAt: tx.Now.Add(24 * time.Hour)})
			}, nil
		}})
		began := time.Now()
		enqueue(t, d, jobs.Job{Kind: "daily", Name: "daily"})
		time.Sleep(60 * time.Hour)
		synctest.Wait()
		if len(at) != 3 || at[2].Sub(began) != 48*time.Hour {
			t.Errorf("ran at %v", at)
		}
	})
}

func TestEnqueueRefusesWhatIsTooLarge(t *testing.T) {
	d := dbtest.Open(t)
	for name, j := range map[string]jobs.Job{
		"no kind":          {},
		"long kind":        {Kind: strings.Repeat("k", 201)},
		"long name":        {Kind: "k", Name: strings.Repeat("n", 201)},
		"long payload":     {Kind: "k", Payload: strings.Repeat("p", 16<<10)},
		"no JSON":          {Kind: "k", Payload: func() {}},
		"unencodable deep": {Kind: "k", Payload: map[string]any{"c": make(chan int)}},
	} {
		err := d.Write(t.Context(), func(tx *db.WriteTx) error { return jobs.Enqueue(tx, j) })
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	enqueue(t, d, jobs.Job{Kind: "k", Payload: strings.Repeat("p", 16<<10-2)})
	if f := count(t, d); f.Waiting != 1 {
		t.Errorf("%+v", f)
	}
}

func TestRetryBringsOnlyTheDeadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.Open(t)
		retry := func(id int64) error {
			return d.Write(t.Context(), func(tx *db.WriteTx) error { return jobs.Retry(tx, id) })
		}
		broken, repaired := true, 0
		start(t, d, map[string]jobs.Handler{"mail": func(_ context.Context, task jobs.Task) (jobs.Effect, error) {
			if broken {
				return nil, errors.New("no route")
			}
			repaired++
			return nil, nil
		}})
		enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		letters := dead(t, d)
		if len(letters) != 1 {
			t.Fatalf("dead: %+v", letters)
		}
		broken = false
		// A dead job does not swallow a new one of its name, and cannot come
		// back beside it.
		enqueue(t, d, jobs.Job{Kind: "mail", Name: "mail:1", RunAt: time.Now().Add(time.Hour)})
		if err := retry(letters[0].ID); domain.KindOf(err) != domain.Conflict {
			t.Errorf("retry beside one that waits: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := retry(letters[0].ID); err != nil {
			t.Error(err)
		}
		if synctest.Wait(); repaired != 2 {
			t.Errorf("%d runs, want 2", repaired)
		}
		if err := retry(letters[0].ID); domain.KindOf(err) != domain.NotFound {
			t.Errorf("retry of a job that is done: %v", err)
		}
		if f := count(t, d); f != (jobs.Figures{}) {
			t.Errorf("left over: %+v", f)
		}
	})
}
