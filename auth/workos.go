package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"connvo/domain"
	"connvo/domain/users"
)

const (
	// personTimeout bounds a question with all its attempts, and attemptTimeout
	// one of them: a request waits for the answer, for directoryTimeout at most.
	personTimeout  = 8 * time.Second
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
	// maxPerson bounds the answer about one person: fifty values of metadata, of
	// 600 characters each, however they are escaped.
	maxPerson = 512 << 10
)

// WorkOSAPI says how the API of WorkOS is reached. All fields are required.
type WorkOSAPI struct {
	URL    string // as for WorkOSConfig
	Key    string // the API key; it is sent nowhere else and never logged
	Client *http.Client
	Log    *slog.Logger
}

// WorkOSDirectory is the Directory of the people of WorkOS. It is safe for
// concurrent use.
type WorkOSDirectory struct {
	users    string // the address of the users, with a slash at its end
	events   string // the address of the list of events
	key      string
	client   *http.Client
	log      *slog.Logger
	policies failsafe.Executor[reply]
}

// NewWorkOSDirectory returns a directory that asks the API a. It does not ask
// yet whether the key is right.
func NewWorkOSDirectory(a WorkOSAPI) (*WorkOSDirectory, error) {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the address of the WorkOS API is not an http or https URL")
	case a.Key == "":
		return nil, errors.New("the WorkOS API needs a key")
	case a.Client == nil, a.Log == nil:
		return nil, errors.New("the WorkOS API needs an HTTP client and a log")
	}
	client := *a.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the key is for no other address
	}
	d := &WorkOSDirectory{
		users:  strings.TrimRight(a.URL, "/") + "/user_management/users/",
		events: strings.TrimRight(a.URL, "/") + "/events",
		key:    a.Key,
		client: &client,
		log:    a.Log,
	}
	// From the outermost: a breaker counts and refuses each attempt.
	d.policies = failsafe.With(again(), d.limited(), d.broken())
	return d, nil
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

// limited keeps silent for as long as WorkOS asks for, when that is longer than
// a request can wait.
func (d *WorkOSDirectory) limited() failsafe.Policy[reply] {
	return circuitbreaker.NewBuilder[reply]().
		HandleIf(func(r reply, _ error) bool { return r.overloaded() && r.wait > maxAsked }).
		WithDelayFunc(asked).
		OnOpen(func(circuitbreaker.StateChangedEvent) {
			d.log.Warn("WorkOS asks us to come later: nobody who is new can sign in, and nothing new is learned, meanwhile", "at most", maxSilence)
		}).
		Build()
}

// broken keeps silent for a while when nothing has come of the last attempts. A
// caller who went away is no failure of WorkOS.
func (d *WorkOSDirectory) broken() failsafe.Policy[reply] {
	return circuitbreaker.NewBuilder[reply]().
		HandleIf(func(r reply, err error) bool {
			if err != nil {
				return !errors.Is(err, context.Canceled)
			}
			return r.status != http.StatusOK && r.status != http.StatusNotFound
		}).
		WithFailureThreshold(brokenAfter).
		WithSuccessThreshold(1).
		WithDelay(brokenFor).
		OnOpen(func(circuitbreaker.StateChangedEvent) {
			d.log.Warn("WorkOS does not answer as it should: nobody who is new can sign in, and nothing new is learned", "asked again in", brokenFor)
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { d.log.Info("WorkOS answers again") }).
		Build()
}

// asked is the pause that WorkOS asks for, -1 when it does not.
func asked(attempt failsafe.ExecutionAttempt[reply]) time.Duration {
	if wait := attempt.LastResult().wait; wait > 0 {
		return wait
	}
	return -1
}

// Person returns the person with the subject, which is the id of a WorkOS user.
//
// Errors: NotFound when WorkOS has no such user; Unavailable for all else, also
// when it refuses our key.
func (d *WorkOSDirectory) Person(ctx context.Context, subject string) (Person, error) {
	ctx, cancel := context.WithTimeout(ctx, personTimeout)
	defer cancel()
	r, err := d.policies.WithContext(ctx).Get(func() (reply, error) { return d.ask(ctx, d.users+url.PathEscape(subject), maxPerson) })
	if err != nil {
		return Person{}, unavailable(fmt.Errorf("ask WorkOS about a user: %w", err))
	}
	switch r.status {
	case http.StatusOK:
		p, err := r.person(subject)
		if err != nil {
			return Person{}, unavailable(fmt.Errorf("what WorkOS tells about a user, in answer %q: %w", r.id, err))
		}
		return p, nil
	case http.StatusNotFound:
		return Person{}, domain.Fail(domain.NotFound, "WorkOS has no such user")
	case http.StatusUnauthorized, http.StatusForbidden:
		d.log.Error("WorkOS refuses our API key: nobody who is new can sign in", "status", r.status, "answer", r.id)
		return Person{}, unavailable(nil)
	}
	return Person{}, unavailable(fmt.Errorf("WorkOS answered %d to a question about a user, in answer %q", r.status, r.id))
}

func unavailable(cause error) error {
	return domain.Because(domain.Unavailable, cause, "the identity provider cannot answer now")
}

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

// ask makes one attempt. A body is cut off after most bytes, which makes a longer
// one that cannot be parsed.
func (d *WorkOSDirectory) ask(ctx context.Context, address string, most int64) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}, err
	}
	q.Header.Set("Authorization", "Bearer "+d.key)
	q.Header.Set("Accept", "application/json")
	a, err := d.client.Do(q)
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

// wireUser is what we read of a user of WorkOS. A member that is null is "".
type wireUser struct {
	ID        string `json:"id"`
	Email     string `json:"email"`
	Verified  bool   `json:"email_verified"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Name      string `json:"name"`
	Picture   string `json:"profile_picture_url"`
}

// person returns the person that the answer is about.
func (r reply) person(subject string) (Person, error) {
	var u wireUser
	if err := json.Unmarshal(r.body, &u); err != nil {
		return Person{}, err
	}
	if u.ID != subject {
		return Person{}, errors.New("it is about somebody else")
	}
	return u.person()
}

func (u wireUser) person() (Person, error) {
	if u.Email == "" || len(u.Email) > users.MaxEmail {
		return Person{}, errors.New("it has no e-mail address")
	}
	words := cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), u.Name)
	return Person{
		Email:         u.Email,
		EmailVerified: u.Verified,
		Name:          strings.Join(strings.Fields(words), " "),
		AvatarURL:     picture(u.Picture),
	}, nil
}

// picture returns the address if people's browsers may be sent there, else "".
func picture(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || len(address) > users.MaxAvatarURL {
		return ""
	}
	return address
}
