// Package users is the people: who they are, to themselves and to others.
package users

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/text"
)

// The bounds of what people say about themselves, in characters and bytes.
const (
	MaxDisplayName = 100
	MaxAvatarURL   = 2048
	MaxEmail       = 320
)

// User is a person as they see themselves.
type User struct {
	ID          domain.UserID
	Email       string
	DisplayName string
	AvatarURL   string // "" when there is none
	Org         string // "" when there is none
	OrgRole     string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	OnboardedAt time.Time // zero until then
}

// Card is a person as everyone sees them.
type Card struct {
	ID          domain.UserID
	DisplayName string
	AvatarURL   string
}

// Identity is a person as the identity provider tells.
type Identity struct {
	Subject       string // the provider's name for the person
	Email         string
	EmailVerified bool   // the provider has seen that the address is theirs
	Name          string // "" makes one from the e-mail address
	AvatarURL     string
	Org           string
	OrgRole       string
	// Memberships are those of Subject that the provider tells of, each with its own
	// instant: stored at the first sight of the person, and ignored later.
	Memberships []Membership
	At          time.Time // when the provider said so
	// ChangedAt is when it last changed address, name or picture: what it has told of
	// them before is out of date at the first sight of the person. Zero is At.
	ChangedAt time.Time
}

// Account is what a request needs to know about whoever sent it.
type Account struct {
	User     domain.UserID
	Active   bool
	Org      string
	OrgRole  string
	ClaimsAt time.Time // when the provider last told organization and role
	Ended    bool      // the session that was asked about has ended
}

// Change is what a person may change about themselves; nil leaves a field.
type Change struct {
	DisplayName *string
	AvatarURL   *string
}

// Store is the people in the database.
type Store struct {
	db       *db.DB
	arrivals []Arrival
	accounts *accounts
	begun    begunSessions
}

// NewStore returns the people in d. Each arrival is told to all of arrivals, in
// that order.
func NewStore(d *db.DB, arrivals ...Arrival) *Store {
	return &Store{db: d, arrivals: arrivals, accounts: newAccounts(d), begun: begunSessions{known: map[string]struct{}{}}}
}

// RequireActive refuses a caller who may not do anything any more. It is the
// decision of whatever needs no membership.
func RequireActive(tx db.Reader, who domain.Actor) error {
	active, err := db.One(tx, db.Int, selectActive, who.User)
	switch {
	case errors.Is(err, db.ErrNone):
		return domain.Fail(domain.Unauthenticated, "the user of this token does not exist")
	case err != nil:
		return err
	case active == 0:
		return domain.Fail(domain.Forbidden, "this user is deactivated")
	}
	return tx.Decided()
}

// RequireInvitable refuses, naming the field, someone who cannot be invited:
// there is no such user, or not any more.
func RequireInvitable(tx db.Reader, id domain.UserID, field string) error {
	active, err := db.One(tx, db.Int, selectActive, id)
	if errors.Is(err, db.ErrNone) || (err == nil && active == 0) {
		return errNotInvitable(field)
	}
	return err
}

// RequireReachable is RequireInvitable, and refuses in the same words whoever a
// block keeps from the caller, who does not learn of it.
func RequireReachable(tx db.Reader, who domain.Actor, id domain.UserID, field string) error {
	if err := RequireInvitable(tx, id, field); err != nil {
		return err
	}
	hidden, err := blocks.Between(tx, who.User, id)
	if err == nil && hidden {
		return errNotInvitable(field)
	}
	return err
}

func errNotInvitable(field string) error {
	return domain.FailField(field, "names no user who can be invited; it is an id such as usr_…")
}

// Cards returns the cards of the people with these ids; unknown ids have none.
// It joins the caller's transaction.
func Cards(tx db.Reader, ids []domain.UserID) (map[domain.UserID]Card, error) {
	b, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := db.All(tx, scanCard, selectCards, string(b))
	return byID(rows), err
}

// ActiveCards is Cards without those who are deactivated.
func ActiveCards(tx db.Reader, ids []domain.UserID) (map[domain.UserID]Card, error) {
	b, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := db.All(tx, scanCard, selectActiveCards, string(b))
	return byID(rows), err
}

func byID(rows []Card) map[domain.UserID]Card {
	cards := make(map[domain.UserID]Card, len(rows))
	for _, c := range rows {
		cards[c.ID] = c
	}
	return cards
}

// BySubject returns the account of the provider's subject, or db.ErrNone, and
// whether session, "" for none, has ended. It asks for no rights: it is how a
// caller becomes somebody, and no part of another transaction.
func (s *Store) BySubject(ctx context.Context, subject, session string) (Account, error) {
	c := credential{subject, session}
	a, known, changes := s.accounts.get(c)
	if known {
		return a, nil
	}
	err := s.db.Read(ctx, func(tx db.Reader) (err error) {
		a, err = db.One(tx, scanAccount, selectAccount, subject, session)
		return err
	})
	if err == nil {
		s.accounts.put(c, a, changes)
	}
	return a, err
}

// Me returns the caller.
func (s *Store) Me(ctx context.Context, who domain.Actor) (User, error) {
	var u User
	err := s.db.Read(ctx, func(tx db.Reader) (err error) {
		if err := RequireActive(tx, who); err != nil {
			return err
		}
		u, err = Find(tx, who.User)
		return err
	})
	return u, err
}

// Find returns a person as they see themselves, or db.ErrNone. It joins the
// caller's transaction, which has checked that they may be read.
func Find(tx db.Reader, id domain.UserID) (User, error) {
	return db.One(tx, scanUser, selectUser, id)
}

// Update changes what c holds and returns the caller. A name is as text.Name
// makes it; an avatar is an http or https URL, or "" for none.
func (s *Store) Update(ctx context.Context, who domain.Actor, c Change) (User, error) {
	var u User
	err := s.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		if err := RequireActive(tx, who); err != nil {
			return err
		}
		u, err = Apply(tx, who.User, c)
		return err
	})
	return u, err
}

// Apply is Update for the person. It joins the caller's transaction, which has
// checked that they may be changed.
func Apply(tx *db.WriteTx, id domain.UserID, c Change) (User, error) {
	before, err := Find(tx, id)
	if err != nil {
		return before, err
	}
	u := before
	if err := c.apply(&u); err != nil || u == before {
		return before, err
	}
	u.UpdatedAt = tx.Now
	_, err = tx.Exec(updateUser, u.DisplayName, nameKey(u.DisplayName), u.AvatarURL, u.UpdatedAt.UnixMilli(), u.ID)
	return u, err
}

func (c Change) apply(u *User) error {
	if c.DisplayName != nil {
		name, err := text.Name("body.displayName", *c.DisplayName, MaxDisplayName)
		if err != nil {
			return err
		}
		u.DisplayName = name
	}
	if c.AvatarURL != nil {
		if *c.AvatarURL != "" {
			link, err := url.Parse(*c.AvatarURL)
			if err != nil || link.Host == "" || (link.Scheme != "https" && link.Scheme != "http") {
				return domain.FailField("body.avatarUrl", "must be an http or https URL")
			}
		}
		u.AvatarURL = *c.AvatarURL
	}
	return nil
}

// Card returns what everyone who is signed in may see of a person. Errors:
// NotFound, also where a block is between the two.
func (s *Store) Card(ctx context.Context, who domain.Actor, id domain.UserID) (Card, error) {
	var c Card
	err := s.db.Read(ctx, func(tx db.Reader) (err error) {
		if err := RequireActive(tx, who); err != nil {
			return err
		}
		if err := blocks.RequireVisible(tx, who, id); err != nil {
			return err
		}
		c, err = db.One(tx, scanCard, selectCard, id)
		if errors.Is(err, db.ErrNone) {
			return domain.Fail(domain.NotFound, "there is no such user")
		}
		return err
	})
	return c, err
}
