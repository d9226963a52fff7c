// Package auth turns a token into an actor.
package auth

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// directoryTimeout bounds the first request of a new person: it waits for the
// identity provider, and so do all that the same person sends meanwhile.
const directoryTimeout = 10 * time.Second

// Person is what the identity provider knows about somebody and their token
// does not tell.
type Person struct {
	Email     string
	Name      string // "" when the provider has none
	AvatarURL string // "" when there is none
}

// Directory is where the identity provider keeps people. A subject that it does
// not know is an error of the kind domain.NotFound.
type Directory interface {
	Person(ctx context.Context, subject string) (Person, error)
}

// Authenticator turns tokens into actors. It is safe for concurrent use.
type Authenticator struct {
	verifier  *Verifier
	people    *users.Store
	directory Directory
	arrivals  singleflight.Group // of people without an account, by subject
}

// NewAuthenticator returns an authenticator that believes the tokens that v
// verifies, and asks directory about people it has not seen before.
func NewAuthenticator(v *Verifier, people *users.Store, directory Directory) *Authenticator {
	return &Authenticator{verifier: v, people: people, directory: directory}
}

// Authenticate returns whom the token speaks for. The first token of a person
// makes their account. Organization and role are those of the newest source,
// which an older token does not change.
//
// Errors: Unauthenticated as Verifier.Verify says, and when the directory does
// not know the subject; Forbidden for a deactivated user; Unavailable when the
// identity provider or the database cannot answer now.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (domain.Actor, error) {
	c, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return domain.Actor{}, err
	}
	account, err := a.people.BySubject(ctx, c.Subject)
	if errors.Is(err, db.ErrNone) {
		account, err = a.arrive(ctx, c)
	}
	if err == nil && c.news(account) {
		account, err = a.people.SignIn(ctx, users.Identity{Subject: c.Subject, Org: c.Org, OrgRole: c.OrgRole, At: c.IssuedAt})
	}
	if err != nil {
		return domain.Actor{}, err
	}
	if !account.Active {
		return domain.Actor{}, domain.Fail(domain.Forbidden, "this user is deactivated")
	}
	return domain.Actor{
		User:    account.User,
		Org:     account.Org,
		OrgRole: account.OrgRole,
		Session: c.Session,
		Expires: c.Expires,
	}, nil
}

// news reports whether the token tells more recently than the account of
// another organization or role.
func (c Claims) news(account users.Account) bool {
	return c.IssuedAt.After(account.ClaimsAt) && (c.Org != account.Org || c.OrgRole != account.OrgRole)
}

// arrive makes the account of a person who has none. However many requests
// arrive together, the directory is asked once; it goes on when the request
// that asks ends, for the sake of the others.
func (a *Authenticator) arrive(ctx context.Context, c Claims) (users.Account, error) {
	account, err, _ := a.arrivals.Do(c.Subject, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), directoryTimeout)
		defer cancel()
		// An earlier arrival may have ended since the account was looked for.
		account, err := a.people.BySubject(ctx, c.Subject)
		if !errors.Is(err, db.ErrNone) {
			return account, err
		}
		p, err := a.directory.Person(ctx, c.Subject)
		if err != nil {
			return users.Account{}, strangerError(err)
		}
		if len(p.AvatarURL) > users.MaxAvatarURL {
			p.AvatarURL = "" // a picture is not worth refusing a person
		}
		return a.people.SignIn(ctx, users.Identity{
			Subject:   c.Subject,
			Email:     p.Email,
			Name:      p.Name,
			AvatarURL: p.AvatarURL,
			Org:       c.Org,
			OrgRole:   c.OrgRole,
			At:        c.IssuedAt,
		})
	})
	return account.(users.Account), err
}

// strangerError is what the caller learns when the directory has not told who
// they are.
func strangerError(err error) error {
	switch domain.KindOf(err) {
	case domain.NotFound:
		return domain.Because(domain.Unauthenticated, err, "the identity provider does not know the user of this token")
	case domain.Unavailable:
		return err
	}
	return domain.Because(domain.Unavailable, err, "the identity provider cannot answer now")
}
