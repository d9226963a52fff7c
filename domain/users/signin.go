package users

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/text"
)

// Arrival is what else happens, in the same transaction, when an active person is
// known to have the address, which is as Address returns it: at each sign-in, and when
// somebody is seen for whom an invitation waits.
type Arrival func(tx *db.WriteTx, user domain.UserID, address string) error

// Address returns an e-mail address in the form in which addresses are compared,
// trimmed and in lower case; false when it is none, has something around it such
// as a name, or is longer than MaxEmail bytes.
func Address(email string) (string, bool) {
	address := strings.ToLower(strings.TrimSpace(email))
	if len(address) > MaxEmail {
		return "", false
	}
	parsed, err := mail.ParseAddress(address)
	return address, err == nil && parsed.Address == address
}

// ByAddress returns the active user whose verified address it is, where that is asked
// by themselves or somebody of the same organization, or db.ErrNone; of several, who
// came first. Whether anybody else has an account is not to be told. It joins the
// caller's transaction.
func ByAddress(tx db.Reader, asks domain.UserID, address string) (domain.UserID, error) {
	return db.One(tx, scanID, selectByAddress, address, asks)
}

// Holds reports whether the user is active and the address is still theirs. It
// joins the caller's transaction.
func Holds(tx db.Reader, user domain.UserID, address string) (bool, error) {
	n, err := db.One(tx, db.Int, countHolder, user, address)
	return n > 0, err
}

// SignIn stores what the provider tells about a person and returns the account,
// which says nothing of a session, making it at the first sight of the subject.
// Organization, role and the verified address are taken from the newest source
// only; what people have changed themselves is kept.
//
// Errors: Unauthenticated for the first sight of a person whom the provider has
// deleted meanwhile, or who was erased since the provider has told of them.
func (s *Store) SignIn(ctx context.Context, id Identity) (Account, error) {
	var a Account
	err := s.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		a, err = db.One(tx, scanAccount, selectAccount, id.Subject, "")
		if errors.Is(err, db.ErrNone) {
			a, err = arrive(tx, id)
		}
		if err != nil || id.At.Before(a.ClaimsAt) {
			return err
		}
		if err := s.verified(tx, a, id); err != nil {
			return err
		}
		if id.Org == a.Org && id.OrgRole == a.OrgRole {
			return nil
		}
		org, role, err := newest(tx, id, a.Org, a.OrgRole)
		if err != nil {
			return err
		}
		a.ClaimsAt = id.At
		if org == a.Org && role == a.OrgRole {
			_, err = tx.Exec(updateClaimsAt, id.At.UnixMilli(), a.User)
			return err
		}
		left := a.Org
		a.Org, a.OrgRole = org, role
		if _, err := tx.Exec(updateClaims, org, role, id.At.UnixMilli(), tx.Now.UnixMilli(), a.User); err != nil {
			return err
		}
		if left != org {
			if err := (Membership{Org: left}).record(tx, a.User); err != nil {
				return err
			}
		}
		return Membership{Org: org, Role: role, Active: true}.record(tx, a.User)
	})
	return a, err
}

// arrive makes the account of a person who has none.
func arrive(tx *db.WriteTx, id Identity) (Account, error) {
	if gone, err := departed(tx, id.Subject); err != nil {
		return Account{}, err
	} else if gone {
		return Account{}, domain.Fail(domain.Unauthenticated, "the identity provider does not know the user of this token")
	}
	if erased, err := erasedSince(tx, id); err != nil {
		return Account{}, err
	} else if erased {
		return Account{}, domain.Fail(domain.Unauthenticated, "the account of this token was erased; sign in again to have another")
	}
	for _, m := range id.Memberships {
		if _, err := m.store(tx); err != nil {
			return Account{}, err
		}
	}
	org, role, err := newest(tx, id, "", "")
	if err != nil {
		return Account{}, err
	}
	a := Account{User: domain.UserID(domain.UserPrefix + tx.ULID()), Active: true, Org: org, OrgRole: role, ClaimsAt: id.At}
	name := displayName(id)
	_, err = tx.Exec(insertUser, a.User, id.Subject, org, role, id.At.UnixMilli(), id.Email,
		name, nameKey(name), id.AvatarURL, tx.Now.UnixMilli(), tx.Now.UnixMilli())
	if err != nil {
		return Account{}, err
	}
	told := id.ChangedAt
	if told.IsZero() {
		told = id.At
	}
	_, err = tx.Exec(upsertProfile, a.User, told.UnixMilli(), name, id.AvatarURL)
	return a, err
}

// newest returns organization and role as the identity tells, unless something
// newer is known of that membership: another role, or its end, which leaves org
// and role as they are.
func newest(tx *db.WriteTx, id Identity, org, role string) (string, string, error) {
	if id.Org == "" {
		return "", id.OrgRole, nil
	}
	gone, err := departed(tx, id.Org)
	if gone || err != nil {
		return org, role, err
	}
	m, err := db.One(tx, scanMember, selectMembership, id.Subject, id.Org)
	switch {
	case err != nil && !errors.Is(err, db.ErrNone):
		return "", "", err
	case err == nil && !m.Active && !m.At.Before(id.At):
		return org, role, nil
	case err == nil && m.At.After(id.At):
		return id.Org, m.Role, nil
	}
	_, err = tx.Exec(upsertMembership, id.Subject, id.Org, true, id.At.UnixMilli(), id.OrgRole)
	return id.Org, id.OrgRole, err
}

// verified notes that the address is the person's, and tells of it. Who is
// deactivated has none yet.
func (s *Store) verified(tx *db.WriteTx, a Account, id Identity) error {
	address, ok := Address(id.Email)
	if !ok || !id.EmailVerified || !a.Active {
		return nil
	}
	if _, err := tx.Exec(updateAddress, address, a.User); err != nil {
		return err
	}
	return s.arrived(tx, a.User, address)
}

func (s *Store) arrived(tx *db.WriteTx, user domain.UserID, address string) error {
	for _, arrival := range s.arrivals {
		if err := arrival(tx, user, address); err != nil {
			return err
		}
	}
	return nil
}

// displayName is the provider's name, else what stands before the @: the first
// that somebody might choose, cut to what is kept.
func displayName(id Identity) string {
	local, _, _ := strings.Cut(id.Email, "@")
	for _, name := range []string{id.Name, local} {
		if name, err := text.Name("", ShortName(name), MaxDisplayName); err == nil {
			return name
		}
	}
	return "User"
}

// ShortName returns the name, cut to MaxDisplayName characters.
func ShortName(name string) string {
	if utf8.RuneCountInString(name) > MaxDisplayName {
		name = string([]rune(name)[:MaxDisplayName])
	}
	return name
}
