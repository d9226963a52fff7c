package auth

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

const (
	// attemptTimeout bounds one attempt at a question, of which there are
	// maxAttempts.
	attemptTimeout = 3 * time.Second
	maxAttempts    = 3
	// The pause before another attempt is random, so that those who failed
	// together do not come again together; or what WorkOS asks for, up to
	// maxAsked.
	minPause = 100 * time.Millisecond
	maxPause = 500 * time.Millisecond
	maxAsked = 2 * time.Second
	// maxSilence is how long we are silent at most when WorkOS asks for longer
	// than maxAsked: its limits count in windows of up to a minute.
	maxSilence = time.Minute
	// After brokenAfter failures in a row nobody is asked about for brokenFor;
	// then one question finds out.
	brokenAfter = 5
	brokenFor   = 10 * time.Second
)

// reply is what WorkOS has answered to one attempt.
type reply struct {
	status int
	id     string // what WorkOS calls it, for its support
	wait   time.Duration
	body   []byte
}

// overloaded reports whether another attempt may fare better.
func (r reply) overloaded() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError
}

// send makes one attempt. A body is cut off after most bytes, which makes a
// longer one that cannot be parsed.
func send(client *http.Client, q *http.Request, most int64) (reply, error) {
	a, err := client.Do(q)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = a.Body.Close() }() // nothing is lost: it was only read
	body, err := io.ReadAll(io.LimitReader(a.Body, most))
	return reply{
		status: a.StatusCode,
		id:     a.Header.Get("X-Request-Id"),
		wait:   retryAfter(a.Header.Get("Retry-After")),
		body:   body,
	}, err
}

// again is when and how soon an attempt is followed by another.
func again() failsafe.Policy[reply] {
	return retrypolicy.NewBuilder[reply]().
		HandleIf(func(r reply, err error) bool {
			if err != nil {
				return !errors.Is(err, circuitbreaker.ErrOpen)
			}
			return r.overloaded() && r.wait <= maxAsked
		}).
		WithMaxAttempts(maxAttempts).
		WithRandomDelay(minPause, maxPause).
		WithDelayFunc(asked).
		ReturnLastFailure().
		Build()
}

// asked is the pause that WorkOS asks for, -1 when it does not.
func asked(attempt failsafe.ExecutionAttempt[reply]) time.Duration {
	if wait := attempt.LastResult().wait; wait > 0 {
		return wait
	}
	return -1
}

// retryAfter returns the pause that the header asks for, 0 for none: WorkOS
// writes seconds, and what stands before it may write a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxSilence/time.Second))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), maxSilence)
}
