package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"connvo/domain"
	"connvo/domain/users"
)

// personTimeout bounds a question with all its attempts: a request waits for the
// answer, for directoryTimeout at most.
const personTimeout = 8 * time.Second

// maxPerson bounds the answer about one person: fifty values of metadata, of 600
// characters each, however they are escaped.
const maxPerson = 512 << 10

// WorkOSAPI says how the API of WorkOS is reached. All fields are required.
type WorkOSAPI struct {
	URL    string // as for WorkOSConfig
	Key    string // the API key; it is sent nowhere else and never logged
	Client *http.Client
	Log    *slog.Logger
}

func (a WorkOSAPI) check() error {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the address of the WorkOS API is not an http or https URL")
	case a.Key == "":
		return errors.New("the WorkOS API needs a key")
	case a.Client == nil, a.Log == nil:
		return errors.New("the WorkOS API needs an HTTP client and a log")
	}
	return nil
}

// client returns a client that goes where it is told only: the key is for no
// other address.
func (a WorkOSAPI) client() *http.Client {
	client := *a.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// WorkOSDirectory is the Directory of the people of WorkOS. It is safe for
// concurrent use.
type WorkOSDirectory struct {
	users       string // the address of the users, with a slash at its end
	memberships string // the address of the list of memberships
	events      string // the address of the list of events
	key         string
	client      *http.Client
	log         *slog.Logger
	policies    failsafe.Executor[reply]
}

// NewWorkOSDirectory returns a directory that asks the API a. It does not ask
// yet whether the key is right.
func NewWorkOSDirectory(a WorkOSAPI) (*WorkOSDirectory, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	base := strings.TrimRight(a.URL, "/")
	d := &WorkOSDirectory{
		users:       base + "/user_management/users/",
		memberships: base + "/user_management/organization_memberships",
		events:      base + "/events",
		key:         a.Key,
		client:      a.client(),
		log:         a.Log,
	}
	// From the outermost: a breaker counts and refuses each attempt.
	d.policies = failsafe.With(again(), d.limited(), d.broken())
	return d, nil
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

// ask makes one attempt; send says what most is.
func (d *WorkOSDirectory) ask(ctx context.Context, address string, most int64) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}, err
	}
	q.Header.Set("Authorization", "Bearer "+d.key)
	q.Header.Set("Accept", "application/json")
	return send(d.client, q, most)
}

// wireUser is what we read of a user of WorkOS. A member that is null is "".
type wireUser struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Verified  bool      `json:"email_verified"`
	FirstName string    `json:"first_name"`
	LastName  string    `json:"last_name"`
	Name      string    `json:"name"`
	Picture   string    `json:"profile_picture_url"`
	UpdatedAt time.Time `json:"updated_at"`
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
		ChangedAt:     u.UpdatedAt,
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
