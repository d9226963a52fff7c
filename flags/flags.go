// Package flags is the switches of connvo's parts: each is on for some people and
// off for others.
//
// The program knows every flag and its default, which is on for everybody. The
// admins of an organization change a flag for the organization's people, in the
// environment that the server runs in; who belongs to none has the defaults.
package flags

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// Key names a flag.
type Key string

// The flags.
const (
	InCall   Key = "incall"
	Insights Key = "insights"
	Matching Key = "matching"
	PreCall  Key = "precall"
)

// known are the flags, in the order of their keys, each with its description.
var known = []struct {
	key         Key
	description string
}{
	{InCall, "What is suggested while a meeting runs."},
	{Insights, "What is told about a meeting when it is over."},
	{Matching, "People are found who should meet."},
	{PreCall, "What is suggested before a meeting begins."},
}

// The bounds of a setting. Texts are measured in characters.
const (
	MaxPercentage  = 100
	MaxUsers       = 200 // a list that somebody keeps by hand
	MaxDescription = 500
	MaxReason      = 500
	// MaxHistory is how many changes are told with a flag, the newest ones.
	MaxHistory = 20
)

// Setting is for whom a flag is on: for nobody unless it is Enabled; then for the
// people of Organizations, for Users, and for Percentage of all others.
type Setting struct {
	Enabled       bool
	Percentage    int             // 0 to MaxPercentage
	Organizations []string        // sorted, each once; an admin can name their own
	Users         []domain.UserID // sorted, each once
	Description   string          // "" is replaced by what the program says
}

// Flag is a flag as an organization has it.
type Flag struct {
	Key         Key
	Environment string
	Setting
	Version   int64         // the number of the last change, 0 when there was none
	UpdatedAt time.Time     // zero when Version is 0
	UpdatedBy domain.UserID // "" when Version is 0
	History   []Change      // the newest first, at most MaxHistory; nil from List
}

// Change is one change of a flag.
type Change struct {
	Version   int64
	IsDefault bool // it was given up for the default, which Setting repeats
	Setting
	Reason string
	By     domain.UserID
	At     time.Time
}

// State is whether a flag is on for somebody.
type State struct {
	Key     Key
	Enabled bool
}

// Store is the flags in the database. It is safe for concurrent use.
type Store struct {
	db          *db.DB
	environment string
}

// NewStore returns the flags in d. What is changed holds where the environment
// has the same name: a copy of a database has the defaults elsewhere.
func NewStore(d *db.DB, environment string) *Store {
	return &Store{db: d, environment: environment}
}

// Enabled reports whether the flag is on for the user, who need not be the caller.
// It joins the caller's transaction and reads two rows by their keys, so that a
// live query that asks runs again when the answer may have changed. A key that is
// none of the constants is off.
func (s *Store) Enabled(tx db.Reader, user domain.UserID, key Key) (bool, error) {
	org, err := users.OrgOf(tx, user)
	if err != nil {
		return false, err
	}
	return s.enabled(tx, org, user, key)
}

func (s *Store) enabled(tx db.Reader, org string, user domain.UserID, key Key) (bool, error) {
	standard, found := defaultOf(key)
	if !found || org == "" {
		return found && standard.allows(key, org, user), nil
	}
	newest, err := db.All(tx, scanChange, selectChanges, org, s.environment, key, 1)
	if err != nil {
		return false, err
	}
	return settingOf(newest, standard).allows(key, org, user), nil
}

// Mine returns whether each flag is on for the caller, in the order of the keys.
func (s *Store) Mine(ctx context.Context, who domain.Actor) ([]State, error) {
	var all []State
	err := s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		org, err := users.OrgOf(tx, who.User)
		if err != nil {
			return err
		}
		all = make([]State, len(known))
		for i, k := range known {
			all[i].Key = k.key
			if all[i].Enabled, err = s.enabled(tx, org, who.User, k.key); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// Get returns a flag of the organization that the caller administers. Errors:
// Forbidden for whoever administers none, NotFound for a key that is no flag's.
func (s *Store) Get(ctx context.Context, who domain.Actor, key Key) (Flag, error) {
	var f Flag
	err := s.db.Read(ctx, func(tx db.Reader) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		f, err = s.flag(tx, org, key, MaxHistory)
		return err
	})
	return f, err
}

// List returns every flag of the organization that the caller administers, in the
// order of the keys, without their histories. Errors: as Get.
func (s *Store) List(ctx context.Context, who domain.Actor) ([]Flag, error) {
	var all []Flag
	err := s.db.Read(ctx, func(tx db.Reader) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		all = make([]Flag, len(known))
		for i, k := range known {
			if all[i], err = s.flag(tx, org, k.key, 1); err != nil {
				return err
			}
			all[i].History = nil
		}
		return nil
	})
	return all, err
}

// Set changes a flag for the organization that the caller administers, and returns
// it. Errors: as Get; Invalid for what is out of bounds, for another organization,
// and for a reason that says nothing.
func (s *Store) Set(ctx context.Context, who domain.Actor, key Key, to Setting, reason string) (Flag, error) {
	var f Flag
	err := s.db.Write(ctx, func(tx *db.WriteTx) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		standard, found := defaultOf(key)
		if !found {
			return noFlag()
		}
		to := to.tidy(standard)
		reason, err := reasonOf("body.reason", reason)
		if err != nil {
			return err
		}
		if err := to.check(org); err != nil {
			return err
		}
		if err := s.append(tx, org, key, Change{Setting: to, Reason: reason, By: who.User}); err != nil {
			return err
		}
		f, err = s.flag(tx, org, key, MaxHistory)
		return err
	})
	return f, err
}

// Reset gives a flag its default again, for the organization that the caller
// administers, and returns it. Where it has it already, nothing happens. Errors: as
// Set.
func (s *Store) Reset(ctx context.Context, who domain.Actor, key Key, reason string) (Flag, error) {
	var f Flag
	err := s.db.Write(ctx, func(tx *db.WriteTx) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		if f, err = s.flag(tx, org, key, MaxHistory); err != nil {
			return err
		}
		if reason, err = reasonOf("query.reason", reason); err != nil {
			return err
		}
		if len(f.History) == 0 || f.History[0].IsDefault {
			return nil
		}
		standard, _ := defaultOf(key) // f is one
		if err := s.append(tx, org, key, Change{IsDefault: true, Setting: standard, Reason: reason, By: who.User}); err != nil {
			return err
		}
		f, err = s.flag(tx, org, key, MaxHistory)
		return err
	})
	return f, err
}

// flag returns a flag of the organization with as many changes as asked for.
func (s *Store) flag(tx db.Reader, org string, key Key, changes int) (Flag, error) {
	standard, found := defaultOf(key)
	if !found {
		return Flag{}, noFlag()
	}
	history, err := db.All(tx, scanChange, selectChanges, org, s.environment, key, changes)
	if err != nil {
		return Flag{}, err
	}
	f := Flag{Key: key, Environment: s.environment, Setting: settingOf(history, standard), History: history}
	if len(history) > 0 {
		f.Version, f.UpdatedAt, f.UpdatedBy = history[0].Version, history[0].At, history[0].By
	}
	return f, nil
}

// settingOf returns what holds after the changes, of which the newest is first.
func settingOf(changes []Change, standard Setting) Setting {
	if len(changes) == 0 || changes[0].IsDefault {
		return standard
	}
	return changes[0].Setting
}

func noFlag() error { return domain.Fail(domain.NotFound, "there is no such flag") }

func reasonOf(field, reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case reason == "":
		return "", domain.FailField(field, "must say why")
	case utf8.RuneCountInString(reason) > MaxReason:
		return "", domain.FailField(field, "has more than %d characters", MaxReason)
	}
	return reason, nil
}

// tidy returns the setting as it is stored.
func (s Setting) tidy(standard Setting) Setting {
	s.Organizations, s.Users = sorted(s.Organizations), sorted(s.Users)
	if s.Description = strings.TrimSpace(s.Description); s.Description == "" {
		s.Description = standard.Description
	}
	return s
}

// sorted returns the ids in order, each once; it never returns nil.
func sorted[ID ~string](ids []ID) []ID {
	all := append([]ID{}, ids...)
	slices.Sort(all)
	return slices.Compact(all)
}

// check refuses what an admin of the organization may not set.
func (s Setting) check(org string) error {
	switch {
	case s.Percentage < 0 || s.Percentage > MaxPercentage:
		return domain.FailField("body.percentage", "must be 0 to %d", MaxPercentage)
	case len(s.Users) > MaxUsers:
		return domain.FailField("body.users", "are more than %d", MaxUsers)
	case utf8.RuneCountInString(s.Description) > MaxDescription:
		return domain.FailField("body.description", "has more than %d characters", MaxDescription)
	}
	for _, o := range s.Organizations {
		if o != org {
			return domain.FailField("body.organizations", "names another organization than yours, where your power ends")
		}
	}
	return nil
}
