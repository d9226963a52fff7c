package users

import (
	"context"
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/jobs"
)

// Deactivated is the kind of the jobs that do the rest when somebody is deactivated;
// their payload is a Departure.
const Deactivated = "users.deactivated"

// Departure is who was deactivated, and by whom, "" when the identity provider has
// deleted them. After is the meeting up to which, in the order of ids, what they were
// to host is handed over.
type Departure struct {
	User, By domain.UserID
	After    domain.MeetingID
}

// Deactivate takes every right from a person, who may be the caller, and from an
// admin's hands only comes back: whatever they hold open ends, and they are refused
// from the commit on. A job hands over what they were to do. Who is deactivated
// already stays so.
//
// Errors: Forbidden to all but the person and the admins of the organization that
// the person belongs to now; NotFound when there is no such person.
func (s *Store) Deactivate(ctx context.Context, who domain.Actor, id domain.UserID) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := requireOver(tx, who, id, true); err != nil {
			return err
		}
		n, err := tx.Exec(updateActive, id, false, tx.Now.UnixMilli())
		if err != nil || n == 0 {
			return err
		}
		if id == who.User && who.Session != "" {
			// A token of it must not serve again should they be activated soon.
			if _, err := endSession(tx, who.Session); err != nil {
				return err
			}
		}
		return leave(tx, Departure{User: id, By: who.User})
	})
}

// leave ends the sessions of whoever is deactivated, and leaves the rest to a job.
func leave(tx *db.WriteTx, d Departure) error {
	if _, err := tx.Exec(deleteSessionsOf, d.User); err != nil {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: Deactivated, Name: Deactivated + ":" + string(d.User), Payload: d})
}

// Activate gives a deactivated person back what they may do. What was handed over
// stays with others. Who is active already stays so.
//
// Errors: Forbidden to all but the admins of the organization that the person
// belongs to; NotFound when there is no such person; Conflict when the identity
// provider has deleted them, or they have asked to be erased.
func (s *Store) Activate(ctx context.Context, who domain.Actor, id domain.UserID) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := requireOver(tx, who, id, false); err != nil {
			return err
		}
		if err := refuseErased(tx, id); err != nil {
			return err
		}
		subject, err := db.One(tx, scanOrg, selectSubject, id)
		if err != nil {
			return err
		}
		switch gone, err := departed(tx, subject); {
		case err != nil:
			return err
		case gone:
			return domain.Fail(domain.Conflict, "the identity provider has deleted this person")
		}
		_, err = tx.Exec(updateActive, id, true, tx.Now.UnixMilli())
		return err
	})
}

// IsActive reports whether the person exists and is active. It joins the caller's
// transaction.
func IsActive(tx db.Reader, id domain.UserID) (bool, error) {
	found, err := db.All(tx, scanID, selectIfActive, id)
	return len(found) > 0, err
}

// requireOver refuses whoever may not decide about a person: others than the admins
// of their organization and, where self says so, they themselves.
func requireOver(tx *db.WriteTx, who domain.Actor, id domain.UserID, self bool) error {
	if err := RequireStanding(tx, who); err != nil {
		return err
	}
	caller, err := db.One(tx, scanOfficer, selectOfficer, who.User)
	if err != nil {
		return err
	}
	person, err := db.One(tx, scanOfficer, selectOfficer, id)
	if errors.Is(err, db.ErrNone) {
		return domain.Fail(domain.NotFound, "there is no such user")
	}
	if err != nil {
		return err
	}
	administers := caller.role == domain.OrgAdmin && caller.org != "" && caller.org == person.org
	if !administers && !(self && id == who.User) {
		return domain.Fail(domain.Forbidden, "only an admin of the person's organization may do this")
	}
	return tx.Decided()
}

const selectIfActive = `
SELECT id
FROM users
WHERE id = ?1 AND active = 1
-- scope: users.id=?1`

const selectSubject = `
SELECT subject
FROM users
WHERE id = ?1
-- scope: users.id=?1`

const deleteSessionsOf = `
DELETE FROM sessions
WHERE user_id = ?1`

const updateActive = `
UPDATE users
SET active = ?2, updated_at = ?3
WHERE id = ?1 AND active <> ?2`
