package users

import (
	"context"
	"errors"

	"connvo/db"
	"connvo/domain"
)

// Administers returns the organization that the caller administers now. Errors:
// Forbidden for whoever administers none.
func (s *Store) Administers(ctx context.Context, who domain.Actor) (org string, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		org, err = RequireAdmin(tx, who)
		return err
	})
	return org, err
}

// RequireAdmin refuses whoever is no admin, and returns the organization that the
// caller administers. It is the first statement of what only admins may do.
func RequireAdmin(tx db.Reader, who domain.Actor) (org string, err error) {
	m, err := db.One(tx, scanOfficer, selectOfficer, who.User)
	switch {
	case errors.Is(err, db.ErrNone):
		return "", domain.Fail(domain.Unauthenticated, "the user of this token does not exist")
	case err != nil:
		return "", err
	case !m.active:
		return "", domain.Fail(domain.Forbidden, "this user is deactivated")
	case m.org == "" || m.role != domain.OrgAdmin:
		return "", domain.Fail(domain.Forbidden, "only an admin of an organization may do this")
	}
	return m.org, tx.Decided()
}

const selectOfficer = `
SELECT active, org_id, org_role
FROM users
WHERE id = ?1
-- scope: users.id=?1
-- decides`

// officer is what the decision about an admin rests on.
type officer struct {
	active    bool
	org, role string
}

func scanOfficer(r db.Row) (officer, error) {
	var o officer
	err := r.Scan(&o.active, &o.org, &o.role)
	return o, err
}
