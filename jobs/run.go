package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"connvo/db"
)

// The bounds of failing. With these a job survives an outage of two hours, and
// dies within four and a half.
const (
	maxAttempts = 16
	firstRetry  = time.Second
	maxRetry    = time.Hour
	maxError    = 500 // bytes of an error that are kept: the sentence, not the page
)

// errGone says that the job's row was removed while the job ran.
var errGone = errors.New("the job is gone")

// run does one attempt and reports whether its end is in the database, or needs
// not be, for the runner stops.
func (r *Runner) run(t Task) (stored bool) {
	log := r.log.With("job", t.ID, "kind", t.Kind, "name", t.Name, "attempt", t.Attempt)
	handler, known := r.handlers[t.Kind]
	err := fmt.Errorf("no handler for jobs of kind %q", t.Kind)
	if known {
		var effect Effect
		effect, err = r.handle(handler, t)
		switch {
		case err == nil:
			err = r.finish(t, effect)
		case r.cut.Err() != nil:
			return true // it was not given its time, so it has not failed
		}
	}
	if errors.Is(err, errGone) {
		log.Warn("a job was removed while it ran; its effect is dropped")
		return true
	}
	if err == nil {
		return true
	}
	if p, found := errors.AsType[*db.PanicError](err); found {
		log = log.With("panic", p) // with its stack
	}
	dies := !known || t.Attempt >= maxAttempts
	if dies {
		log.Error("job died", "error", err)
	} else {
		log.Warn("job failed", "error", err)
	}
	if err := r.fail(t, dies, err); err != nil {
		log.Error("store the failure of a job", "error", err)
		return false
	}
	return true
}

// handle runs the handler within its time. A panic is a failure.
func (r *Runner) handle(handler Handler, t Task) (effect Effect, err error) {
	ctx, cancel := context.WithTimeout(r.cut, jobTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("panic in a job", "job", t.ID, "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			effect, err = nil, fmt.Errorf("panic in a job: %v", v)
		}
	}()
	return handler(ctx, t)
}

// finish deletes the job together with its effect. It is not cut off: what the
// handler has done outside should not have to be done again.
func (r *Runner) finish(t Task, effect Effect) error {
	return r.db.WriteBackground(context.WithoutCancel(r.cut), func(tx *db.WriteTx) error {
		n, err := tx.Exec(deleteDone, t.ID, t.asked)
		if err == nil && n == 0 {
			n, err = tx.Exec(renewDone, t.ID)
		}
		switch {
		case err != nil:
			return err
		case n == 0:
			return errGone
		case effect == nil:
			return nil
		}
		return effect(tx)
	})
}

// fail stores that an attempt has failed, and why.
func (r *Runner) fail(t Task, dies bool, cause error) error {
	wait := backoff(t.Attempt, rand.Float64())
	return r.db.WriteBackground(context.WithoutCancel(r.cut), func(tx *db.WriteTx) error {
		_, err := tx.Exec(updateFailed, t.ID, t.asked, t.Attempt, sentence(cause), dies,
			tx.Now.UnixMilli(), tx.Now.Add(wait).UnixMilli())
		return err
	})
}

// backoff is how long to wait after an attempt has failed: twice as long after
// each, and between half and all of that, so that jobs that failed together do
// not come back together. jitter is in [0, 1).
func backoff(attempt int, jitter float64) time.Duration {
	longest := maxRetry
	if doublings := attempt - 1; doublings < 12 { // beyond, it is over an hour
		longest = min(maxRetry, firstRetry<<doublings)
	}
	return longest/2 + time.Duration(jitter*float64(longest/2))
}

// sentence is the text of an error, made storable and cut to what is kept: an
// error that cannot be stored would make its job run for ever.
func sentence(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "�"), "\x00", "�")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}
