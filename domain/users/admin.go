package users

import (
	"context"
	"encoding/json"
	"errors"

	"connvo/audit"
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

// Audit returns a part of the record of the organization that the caller
// administers. Errors: as Administers.
func (s *Store) Audit(ctx context.Context, who domain.Actor, f audit.Filter, span domain.Span) (part domain.Part[audit.Line], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		org, err := RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		part, err = audit.Feed(tx, org, f, span)
		return err
	})
	return part, err
}

// Colleagues returns who of the people belongs to the organization that the caller
// administers, now. Errors: as Administers.
func (s *Store) Colleagues(ctx context.Context, who domain.Actor, people []domain.UserID) (map[domain.UserID]bool, error) {
	list, err := json.Marshal(people)
	if err != nil {
		return nil, err
	}
	colleagues := map[domain.UserID]bool{}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		org, err := RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		ids, err := db.All(tx, scanID, selectColleagues, string(list), org)
		for _, id := range ids {
			colleagues[id] = true
		}
		return err
	})
	return colleagues, err
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

// OrgOf returns the organization that somebody belongs to now, "" for none and for
// whoever does not exist. It joins the caller's transaction.
func OrgOf(tx db.Reader, id domain.UserID) (string, error) {
	org, err := db.One(tx, scanOrg, selectOrg, id)
	if errors.Is(err, db.ErrNone) {
		return "", nil
	}
	return org, err
}

const selectOrg = `
SELECT org_id
FROM users
WHERE id = ?1
-- scope: users.id=?1`

const selectOfficer = `
SELECT active, org_id, org_role
FROM users
WHERE id = ?1
-- scope: users.id=?1
-- decides`

const selectColleagues = `
SELECT id
FROM users
WHERE id IN (SELECT value FROM json_each(?1)) AND org_id = ?2
-- scope: users.id=each(?1)`

func scanID(r db.Row) (domain.UserID, error) {
	var id domain.UserID
	err := r.Scan(&id)
	return id, err
}

func scanOrg(r db.Row) (string, error) {
	var org string
	err := r.Scan(&org)
	return org, err
}

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
