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
	Email         string
	EmailVerified bool   // the provider has seen that the address is theirs
	Name          string // "" when the provider has none
	AvatarURL     string // "" when there is none
	// ChangedAt is when the provider last changed any of it, zero where it does not say.
	ChangedAt time.Time
}

// Directory is where the identity provider keeps people.
type Directory interface {
	// Person returns who the subject is. Errors: NotFound for a subject that the
	// provider does not know.
	Person(ctx context.Context, subject string) (Person, error)
	// Memberships returns to which organizations the subject belongs, or did, as
	// far as the provider tells; all that it tells, or an error.
	Memberships(ctx context.Context, subject string) ([]users.Membership, error)
}

// Authenticator turns tokens into actors. It is safe for concurrent use.
type Authenticator struct {
	verifier  *Verifier
	people    *users.Store
	directory Directory
	seen      *LastSeen
	arrivals  singleflight.Group // of people without an account, by subject
}

// NewAuthenticator returns an authenticator that believes the tokens that v
// verifies, asks directory about people it has not seen before, and notes in
// seen whom it lets in.
func NewAuthenticator(v *Verifier, people *users.Store, directory Directory, seen *LastSeen) *Authenticator {
	return &Authenticator{verifier: v, people: people, directory: directory, seen: seen}
}

// Authenticate returns whom the token speaks for. The first token of a person
// makes their account. Organization and role are those of the newest source,
// which an older token does not change.
//
// Errors: Unauthenticated as Verifier.Verify says, when the token's session has
// ended, and when the directory does not know the subject; Forbidden for a
// deactivated user; Unavailable when the identity provider or the database
// cannot answer now. A deactivated user, or one whose session has ended, is
// returned with the error, for the record.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (domain.Actor, error) {
	c, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return domain.Actor{}, err
	}
	account, err := a.account(ctx, c)
	switch {
	case account.User == "":
		return domain.Actor{}, err
	case err != nil:
	case !account.Active:
		err = errDeactivated
	default:
		a.seen.Note(account.User)
	}
	return actorOf(account, c), err
}

var errTokenEnded = refuse(Ended, "the session has ended")

// SignOut ends the session of the token and returns whose it was: also for a user
// who is deactivated, or was never seen, who is nobody then.
//
// Errors: Unauthenticated and Unavailable as Verifier.Verify says, Unauthenticated
// too when it has ended already; Conflict when the token belongs to no session.
func (a *Authenticator) SignOut(ctx context.Context, token string) (domain.Actor, error) {
	c, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return domain.Actor{}, err
	}
	account, err := a.people.BySubject(ctx, c.Subject, c.Session)
	switch {
	case err != nil && !errors.Is(err, db.ErrNone):
		return domain.Actor{}, err
	case account.Ended:
		return domain.Actor{}, errTokenEnded
	}
	who := actorOf(account, c)
	return who, a.people.EndSession(ctx, who)
}

// actorOf returns whom a token with the claims speaks for.
func actorOf(a users.Account, c Claims) domain.Actor {
	return domain.Actor{User: a.User, Org: a.Org, OrgRole: a.OrgRole, Session: c.Session, Impersonator: c.Impersonator, Expires: c.Expires}
}

// account returns the account that the claims are about, made or brought up to
// date as they say; as it is, with an error, if their session has ended.
func (a *Authenticator) account(ctx context.Context, c Claims) (users.Account, error) {
	account, err := a.people.BySubject(ctx, c.Subject, c.Session)
	if errors.Is(err, db.ErrNone) {
		if err = a.arrive(ctx, c); err == nil {
			// Those who arrived together share an account, and no session.
			account, err = a.people.BySubject(ctx, c.Subject, c.Session)
		}
	}
	switch {
	case err != nil:
		return users.Account{}, err
	case account.Ended:
		return account, errTokenEnded
	case !c.news(account):
		return account, nil
	}
	return a.people.SignIn(ctx, users.Identity{Subject: c.Subject, Org: c.Org, OrgRole: c.OrgRole, At: c.IssuedAt})
}

// news reports whether the token tells more recently than the account of
// another organization or role.
func (c Claims) news(account users.Account) bool {
	return c.IssuedAt.After(account.ClaimsAt) && (c.Org != account.Org || c.OrgRole != account.OrgRole)
}

// arrive makes the account of a person who has none, with their memberships, in one
// transaction: while the directory tells only a part of it there is no account,
// and the person is asked to come again. However many requests arrive together,
// the directory is asked once; it goes on when the request that asks ends, for the
// sake of the others.
func (a *Authenticator) arrive(ctx context.Context, c Claims) error {
	_, err, _ := a.arrivals.Do(c.Subject, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), directoryTimeout)
		defer cancel()
		// An earlier arrival may have ended since the account was looked for.
		if _, err := a.people.BySubject(ctx, c.Subject, c.Session); !errors.Is(err, db.ErrNone) {
			return nil, err
		}
		p, err := a.directory.Person(ctx, c.Subject)
		if err != nil {
			return nil, strangerError(err)
		}
		memberships, err := a.directory.Memberships(ctx, c.Subject)
		if err != nil {
			return nil, strangerError(err)
		}
		if len(p.AvatarURL) > users.MaxAvatarURL {
			p.AvatarURL = "" // a picture is not worth refusing a person
		}
		_, err = a.people.SignIn(ctx, users.Identity{
			Subject:       c.Subject,
			Email:         p.Email,
			EmailVerified: p.EmailVerified,
			Name:          p.Name,
			AvatarURL:     p.AvatarURL,
			Org:           c.Org,
			OrgRole:       c.OrgRole,
			Memberships:   memberships,
			At:            c.IssuedAt,
			ChangedAt:     p.ChangedAt,
		})
		return nil, err
	})
	return err
}

// strangerError is what the caller learns when the directory has not told who
// they are.
func strangerError(err error) error {
	switch domain.KindOf(err) {
	case domain.NotFound:
		return refuse(Unknown, "the identity provider does not know the user of this token")
	case domain.Unavailable:
		return err
	}
	return domain.Because(domain.Unavailable, err, "the identity provider cannot answer now")
}
