package profiles

import (
	"context"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/interests"
	"connvo/domain/settings"
	"connvo/domain/users"
)

// MinFirstBio is how many characters somebody writes about themselves before they begin,
// if they write something; later they may say less.
const MinFirstBio = 10

// Onboarding is everything that a person tells before they begin.
type Onboarding struct {
	CompletedAt time.Time // zero until then
	DisplayName string
	Profile     Profile
	Settings    settings.Settings
	Interests   []interests.Interest
}

// Start is what somebody tells in one call. What a Change leaves stays as it is;
// the interests are replaced.
type Start struct {
	DisplayName string
	Profile     Change
	Settings    settings.Change
	Interests   []string
}

// Onboarding returns what the caller has told.
func (s *Store) Onboarding(ctx context.Context, who domain.Actor) (o Onboarding, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		o, err = s.onboarding(tx, who.User)
		return err
	})
	return o, err
}

// Onboard stores all of it, notes that the caller has begun, the first time, and
// returns what they have told. Repeated it changes nothing. Errors: Invalid, with
// its field below body, and then nothing is stored.
func (s *Store) Onboard(ctx context.Context, who domain.Actor, st Start) (o Onboarding, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if _, err := users.Apply(tx, who.User, users.Change{DisplayName: &st.DisplayName}); err != nil {
			return err
		}
		p, err := update(tx, who.User, st.Profile, "body.profile.")
		if err != nil {
			return err
		}
		if n := utf8.RuneCountInString(p.Bio); st.Profile.Bio != nil && n > 0 && n < MinFirstBio {
			return domain.FailField("body.profile.bio", "must have at least %d characters", MinFirstBio)
		}
		if _, err := settings.Apply(tx, who.User, st.Settings); err != nil {
			return err
		}
		if _, err := s.interests.Replace(tx, who.User, "body.interests", st.Interests); err != nil {
			return err
		}
		if _, err := tx.Exec(insertOnboarding, who.User, tx.Now.UnixMilli()); err != nil {
			return err
		}
		o, err = s.onboarding(tx, who.User)
		return err
	})
	return o, err
}

func (s *Store) onboarding(tx db.Reader, user domain.UserID) (o Onboarding, err error) {
	me, err := users.Find(tx, user)
	if err != nil {
		return o, err
	}
	o.DisplayName, o.CompletedAt = me.DisplayName, me.OnboardedAt
	if o.Profile, err = read(tx, user); err != nil {
		return o, err
	}
	if o.Settings, err = settings.Of(tx, user); err != nil {
		return o, err
	}
	o.Interests, err = s.interests.Of(tx, user)
	return o, err
}
