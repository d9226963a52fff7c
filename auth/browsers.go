package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

const (
	// sessionTime is how long a browser stays signed in at most; WorkOS may end
	// it earlier, by what is configured there.
	sessionTime = 30 * 24 * time.Hour
	// secretLength is of the secret in a cookie, in bytes, before base64.
	secretLength = 32
	// idLength is that of rand.Text.
	idLength = 26
	// MinCookiePassword is how long the password is that seals cookies and
	// refresh tokens, in bytes.
	MinCookiePassword = 32
)

// Browsers signs browsers in: a cookie of theirs names a row in the database,
// which holds the refresh token, sealed by a key of the cookie's secret and the
// password. It renews tokens before they end, each session once at a time. It is
// safe for concurrent use.
//
// When the process ends between the answer of WorkOS and our commit, the refresh
// token that is stored is used up: the person signs in again. So does everybody
// when the password changes.
type Browsers struct {
	auth     *Authenticator
	people   *users.Store
	kit      *AuthKit // nil where tokens cannot be renewed
	password string
	now      func() time.Time
	log      *slog.Logger

	cut      context.Context    // ends when renewals are to be cut off
	cutOff   context.CancelFunc // ends cut
	renewing sync.WaitGroup

	mu       sync.Mutex // guards the rest
	closed   bool       // nothing is renewed any more
	renewals map[string]*renewal
	spent    spentAttempts
}

// NewBrowsers returns the browsers whose tokens a believes. kit is nil, and
// password may be "", where no AuthKit signs people in. Close it before the
// database.
func NewBrowsers(a *Authenticator, kit *AuthKit, password string, now func() time.Time, log *slog.Logger) *Browsers {
	b := &Browsers{auth: a, people: a.people, kit: kit, password: password, now: now, log: log, renewals: map[string]*renewal{}}
	b.cut, b.cutOff = context.WithCancel(context.Background())
	return b
}

// Close waits for what is being renewed, so that no token is lost that WorkOS has
// just given, and cuts it off when ctx ends.
func (b *Browsers) Close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	defer context.AfterFunc(ctx, b.cutOff)()
	b.renewing.Wait()
	b.cutOff()
}

// Cookie is what a browser is given, and until when.
type Cookie struct {
	Value string
	Ends  time.Time
}

// Open signs a browser in with an access token that a provider has just given,
// and makes the account as Authenticate does. Without a refresh token it lasts as
// long as the access token.
//
// Errors: as Authenticate. A deactivated user is returned with the error, for the
// record.
func (b *Browsers) Open(ctx context.Context, access, refresh string) (Cookie, domain.Actor, error) {
	c, err := b.auth.verifier.Verify(ctx, access)
	if err != nil {
		return Cookie{}, domain.Actor{}, err
	}
	account, err := b.auth.account(ctx, c)
	if err != nil {
		return Cookie{}, domain.Actor{}, err
	}
	if !account.Active {
		return Cookie{}, actorOf(account, c), errDeactivated
	}
	k := sessionKey{id: rand.Text()}
	_, _ = rand.Read(k.secret[:]) // it never fails
	sealed, err := seal(b.keyOf(k), k.purpose(), refresh)
	if err != nil {
		return Cookie{}, domain.Actor{}, err
	}
	name := cmp.Or(c.Session, k.id)
	s := users.Session{ID: k.id, User: account.User, Name: name, Current: name, Impersonator: c.Impersonator, Sealed: sealed, TokenEnds: c.Expires, Ends: b.now().Add(sessionTime)}
	if refresh == "" {
		s.Ends = c.Expires
	}
	if err := b.people.OpenSession(ctx, s); err != nil {
		return Cookie{}, domain.Actor{}, err
	}
	s.Account = account
	b.auth.seen.Note(account.User)
	return Cookie{Value: k.String(), Ends: s.Ends}, actorIn(s), nil
}

// Authenticate returns whom the cookie speaks for, and what renews it, nil where
// nothing does. A token that has ended is renewed first; one that is about to
// end, meanwhile.
//
// Errors: Unauthenticated when the session has ended; Forbidden for a
// deactivated user, who is returned all the same, for the record; Unavailable when
// the token has ended and WorkOS cannot renew it now.
func (b *Browsers) Authenticate(ctx context.Context, cookie string) (domain.Actor, *Renewable, error) {
	k, err := parseKey(cookie)
	if err != nil {
		return domain.Actor{}, nil, err
	}
	s, refresh, err := b.find(ctx, k)
	if err != nil {
		return domain.Actor{}, nil, err
	}
	if !s.Account.Active {
		return actorIn(s), nil, errDeactivated
	}
	switch now := b.now(); {
	case refresh == "":
	case !now.Before(s.TokenEnds):
		if _, err := b.renewed(ctx, k, s.TokenEnds); err != nil {
			return domain.Actor{}, nil, err
		}
		if s, _, err = b.find(ctx, k); err != nil {
			return domain.Actor{}, nil, err
		}
	case now.After(renewAt(s)):
		_, _ = b.start(k, s.TokenEnds) // the token is good for as long as there is trouble
	}
	b.auth.seen.Note(s.User)
	if refresh == "" {
		return actorIn(s), nil, nil
	}
	return actorIn(s), &Renewable{browsers: b, key: k, known: s.TokenEnds}, nil
}

// SignOut ends the cookie's session and returns whose it was, and where the
// browser ends the one at WorkOS, "" for none.
//
// Errors: Unauthenticated when there is nothing to end.
func (b *Browsers) SignOut(ctx context.Context, cookie string) (domain.Actor, string, error) {
	k, err := parseKey(cookie)
	if err != nil {
		return domain.Actor{}, "", err
	}
	s, refresh, err := b.find(ctx, k)
	if err != nil {
		return domain.Actor{}, "", err
	}
	if err := b.people.EndSession(ctx, domain.Actor{User: s.User, Session: s.Name}); err != nil {
		return domain.Actor{}, "", err
	}
	if b.kit == nil || refresh == "" {
		return actorIn(s), "", nil
	}
	return actorIn(s), b.kit.LogoutURL(s.Current), nil
}

// find returns the session that the key opens, and its refresh token.
func (b *Browsers) find(ctx context.Context, k sessionKey) (users.Session, string, error) {
	s, err := b.people.Session(ctx, k.id)
	if errors.Is(err, db.ErrNone) {
		return users.Session{}, "", errEnded
	}
	if err != nil {
		return users.Session{}, "", err
	}
	refresh, err := unseal(b.keyOf(k), k.purpose(), s.Sealed)
	if err != nil || !b.now().Before(s.Ends) {
		return users.Session{}, "", errEnded
	}
	return s, refresh, nil
}

// What somebody is refused with who was let in before.
var (
	errEnded       = refuse(Ended, "the session has ended; sign in again")
	errDeactivated = domain.Because(domain.Forbidden, Deactivated, "this user is deactivated")
)

// actorIn returns whom the session speaks for.
func actorIn(s users.Session) domain.Actor {
	return actorOf(s.Account, Claims{Session: s.Name, Impersonator: s.Impersonator, Expires: earlier(s.TokenEnds, s.Ends)})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// sessionKey is what a cookie holds: the id of the row, and a part of the key to
// what is sealed in it.
type sessionKey struct {
	id     string
	secret [secretLength]byte
}

// String returns the value of the cookie.
func (k sessionKey) String() string {
	return k.id + "." + base64.RawURLEncoding.EncodeToString(k.secret[:])
}

func parseKey(cookie string) (k sessionKey, err error) {
	id, secret, _ := strings.Cut(cookie, ".")
	b, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || len(id) != idLength || len(b) != secretLength {
		return k, refuse(Foreign, "the cookie is none of this server; sign in again")
	}
	k.id = id
	copy(k.secret[:], b)
	return k, nil
}

// keyOf is the key material of the session: neither the cookie nor the password
// opens anything alone.
func (b *Browsers) keyOf(k sessionKey) []byte {
	return append(append(make([]byte, 0, secretLength+len(b.password)), k.secret[:]...), b.password...)
}

// purpose binds what is sealed to its row.
func (k sessionKey) purpose() string { return "connvo session " + k.id }
