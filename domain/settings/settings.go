// Package settings is what people want done with what is known about them, and
// how they want to be told.
package settings

import (
	"context"
	"encoding/json"
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// Visibility is who may read a person's profile.
type Visibility string

// The visibilities.
const (
	Public       Visibility = "public"       // everyone who is signed in
	Organization Visibility = "organization" // the people of the same organization
	Connections  Visibility = "connections"  // those with whom they are connected
	Private      Visibility = "private"      // nobody else
)

// Settings are what a person wants.
type Settings struct {
	Visibility Visibility // of the profile
	Sharing    bool       // what is known may be used in what others are shown
	Tracking   bool       // it is noted when they were last seen, and how long they spoke
	// The ways in which notifications leave the server.
	Email, Push, SMS bool
}

// Defaults are the settings of those who have changed none.
func Defaults() Settings {
	return Settings{Visibility: Public, Tracking: true, Email: true, Push: true}
}

// Change is what is to be changed; nil leaves a field.
type Change struct {
	Visibility *Visibility
	Sharing    *bool
	Tracking   *bool
	Email      *bool
	Push       *bool
	SMS        *bool
}

// Store is the settings in the database.
type Store struct{ db *db.DB }

// NewStore returns the settings in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Get returns the caller's settings.
func (s *Store) Get(ctx context.Context, who domain.Actor) (set Settings, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		set, err = Of(tx, who.User)
		return err
	})
	return set, err
}

// Update changes the caller's settings and returns them. What is so already
// writes nothing.
func (s *Store) Update(ctx context.Context, who domain.Actor, c Change) (set Settings, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		set, err = Apply(tx, who.User, c)
		return err
	})
	return set, err
}

// Of returns the settings of a person. It joins the caller's transaction.
func Of(tx db.Reader, user domain.UserID) (Settings, error) {
	set, err := db.One(tx, scanSettings, selectSettings, user)
	if errors.Is(err, db.ErrNone) {
		return Defaults(), nil
	}
	return set, err
}

// Apply changes the settings of a person and returns them. It joins the caller's
// transaction, which has checked that they may be changed. Errors: Invalid for a
// visibility that is none. Who is not to be tracked any more is forgotten to have
// been seen.
func Apply(tx *db.WriteTx, user domain.UserID, c Change) (Settings, error) {
	before, err := Of(tx, user)
	if err != nil {
		return before, err
	}
	set := before
	if err := c.apply(&set); err != nil || set == before {
		return before, err
	}
	if _, err := tx.Exec(upsertSettings, user, set.Visibility, set.Sharing, set.Tracking, set.Email, set.Push, set.SMS); err != nil {
		return before, err
	}
	if before.Tracking && !set.Tracking {
		_, err = tx.Exec(deleteSeen, user)
	}
	return set, err
}

func (c Change) apply(s *Settings) error {
	if c.Visibility != nil {
		switch *c.Visibility {
		case Public, Organization, Connections, Private:
			s.Visibility = *c.Visibility
		default:
			return domain.FailField("body.profileVisibility", "is %s, %s, %s or %s", Public, Organization, Connections, Private)
		}
	}
	set(&s.Sharing, c.Sharing)
	set(&s.Tracking, c.Tracking)
	set(&s.Email, c.Email)
	set(&s.Push, c.Push)
	set(&s.SMS, c.SMS)
	return nil
}

func set(b *bool, to *bool) {
	if to != nil {
		*b = *to
	}
}

// Untracked returns who of the people does not want to be tracked. It joins the
// caller's transaction.
func Untracked(tx db.Reader, people []domain.UserID) (map[domain.UserID]bool, error) {
	list, err := json.Marshal(people)
	if err != nil {
		return nil, err
	}
	rows, err := db.All(tx, scanUser, selectUntracked, string(list))
	untracked := make(map[domain.UserID]bool, len(rows))
	for _, user := range rows {
		untracked[user] = true
	}
	return untracked, err
}

// Sharing returns who of the people lets others be shown what is known about them. It
// joins the caller's transaction.
func Sharing(tx db.Reader, people []domain.UserID) (map[domain.UserID]bool, error) {
	list, err := json.Marshal(people)
	if err != nil {
		return nil, err
	}
	rows, err := db.All(tx, scanUser, selectSharing, string(list))
	sharing := make(map[domain.UserID]bool, len(rows))
	for _, user := range rows {
		sharing[user] = true
	}
	return sharing, err
}
