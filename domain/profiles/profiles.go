// Package profiles is what people tell about themselves, and to whom.
package profiles

import (
	"context"
	"errors"
	"reflect"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/interests"
	"connvo/domain/settings"
	"connvo/domain/users"
)

// Profile is what a person tells about themselves. Of Age, Gender and LinkedinURL
// others are told nothing.
type Profile struct {
	Age         int // in years, 0 when it is not told
	Gender      Gender
	TimeZone    string // of the IANA database, "" when it is not told
	Field       string // of work
	JobTitle    string
	Company     string
	LinkedinURL string
	Languages   []string // tags of BCP 47, never nil
	Skills      []string // never nil
	Experience  string
	Goals       string
	Bio         string
	UpdatedAt   time.Time // zero when nothing was ever told
}

// Gender is how somebody wants to be spoken of, "" when it is not told.
type Gender string

// The genders.
const (
	Male        Gender = "male"
	Female      Gender = "female"
	NonBinary   Gender = "non-binary"
	Undisclosed Gender = "prefer-not-to-say"
)

// Shown is a person as their profile shows them to others.
type Shown struct {
	Card      users.Card
	Profile   Profile // without what others are not told
	Interests []interests.Interest
}

// Store is the profiles in the database.
type Store struct {
	db        *db.DB
	interests *interests.Store
}

// NewStore returns the profiles in d.
func NewStore(d *db.DB, all *interests.Store) *Store { return &Store{db: d, interests: all} }

// Mine returns the caller's profile.
func (s *Store) Mine(ctx context.Context, who domain.Actor) (p Profile, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		p, err = read(tx, who.User)
		return err
	})
	return p, err
}

// Update changes the caller's profile and returns it. What is so already writes
// nothing. Errors: Invalid, with its field, for what Change does not allow.
func (s *Store) Update(ctx context.Context, who domain.Actor, c Change) (p Profile, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		p, err = update(tx, who.User, c, "body.")
		return err
	})
	return p, err
}

// Show returns the profile of a person to whom it may be shown. Errors: NotFound
// for whoever does not exist, is deactivated or hidden by a block, Forbidden where their settings say
// that it is not for the caller. That they exist is no secret: everyone may see
// their card.
func (s *Store) Show(ctx context.Context, who domain.Actor, id domain.UserID) (shown Shown, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if err := mayRead(tx, who, id); err != nil {
			return err
		}
		shown, err = s.shown(tx, id)
		return err
	})
	return shown, err
}

// shown returns a person as their profile shows them.
func (s *Store) shown(tx db.Reader, id domain.UserID) (shown Shown, err error) {
	cards, err := users.Cards(tx, []domain.UserID{id})
	if err != nil {
		return shown, err
	}
	shown.Card = cards[id]
	if shown.Profile, err = read(tx, id); err != nil {
		return shown, err
	}
	shown.Profile.Age, shown.Profile.Gender, shown.Profile.LinkedinURL = 0, "", ""
	shown.Interests, err = s.interests.Of(tx, id)
	return shown, err
}

// Readable returns those of the people whose profiles the user may read, as those show
// them; the user is one. It joins the caller's transaction, which has checked that it is
// the user who reads.
func (s *Store) Readable(tx db.Reader, user domain.UserID, people []domain.UserID) (map[domain.UserID]Shown, error) {
	all := make(map[domain.UserID]Shown, len(people))
	for _, id := range people {
		err := mayRead(tx, domain.Actor{User: user}, id)
		if kind := domain.KindOf(err); err != nil && (kind == domain.NotFound || kind == domain.Forbidden) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if all[id], err = s.shown(tx, id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// mayRead refuses whoever may not read the profile of a person. It is the one
// place that says who may.
func mayRead(tx db.Reader, who domain.Actor, id domain.UserID) error {
	if who.User == id {
		return nil
	}
	if err := blocks.RequireVisible(tx, who, id); err != nil {
		return err
	}
	cards, err := users.ActiveCards(tx, []domain.UserID{id})
	if err != nil {
		return err
	}
	if len(cards) == 0 {
		return domain.Fail(domain.NotFound, "there is no such user")
	}
	set, err := settings.Of(tx, id)
	if err != nil {
		return err
	}
	switch set.Visibility {
	case settings.Public:
		return nil
	case settings.Organization:
		org, err := users.OrgOf(tx, id)
		if err != nil {
			return err
		}
		mine, err := users.OrgOf(tx, who.User)
		if err != nil || (mine == org && org != "") {
			return err
		}
		return domain.Fail(domain.Forbidden, "this person shows their profile to the people of their organization only")
	case settings.Connections:
		_, err := db.One(tx, db.Int, selectConnected, who.User, id)
		if errors.Is(err, db.ErrNone) {
			return domain.Fail(domain.Forbidden, "this person shows their profile to their connections only")
		}
		return err
	}
	return domain.Fail(domain.Forbidden, "this person shows their profile to nobody")
}

// read returns the profile of a person, an empty one when they have told nothing.
func read(tx db.Reader, user domain.UserID) (Profile, error) {
	p, err := db.One(tx, scanProfile, selectProfile, user)
	if errors.Is(err, db.ErrNone) {
		return Profile{Languages: []string{}, Skills: []string{}}, nil
	}
	return p, err
}

// update changes the profile of a person. A field's error is at prefix and its name.
func update(tx *db.WriteTx, user domain.UserID, c Change, prefix string) (Profile, error) {
	before, err := read(tx, user)
	if err != nil {
		return before, err
	}
	p := before
	if err := c.apply(&p, prefix); err != nil || reflect.DeepEqual(p, before) {
		return before, err
	}
	p.UpdatedAt = tx.Now
	_, err = tx.Exec(upsertProfile, user, p.Age, p.Gender, p.TimeZone, p.UpdatedAt.UnixMilli(), p.Field, p.JobTitle, p.Company,
		p.LinkedinURL, encode(p.Languages), encode(p.Skills), p.Experience, p.Goals, p.Bio)
	return p, err
}
