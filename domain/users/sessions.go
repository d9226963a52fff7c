package users

import (
	"context"
	"errors"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
)

const (
	// endedFor is how long the end of a session is remembered: as long as its
	// beginning. The provider gives tokens of a session that has ended here alone to
	// whoever has a refresh token of it, until the session ends there.
	endedFor = begunFor
	// maxForgotten is how many rows the end of a session deletes at most, whose
	// time has come: more than the one it adds, so that they do not pile up, and
	// a fraction of a millisecond of the writer's time.
	maxForgotten = 50
)

// standing is whether somebody may be served at all.
type standing struct{ active, ended bool }

// RequireStanding refuses an actor who is not to be served any more. It allows
// nothing by itself, so the transaction is not decided.
func RequireStanding(tx db.Reader, who domain.Actor) error {
	st, err := db.One(tx, scanStanding, selectStanding, who.User, who.Session)
	switch {
	case errors.Is(err, db.ErrNone):
		return domain.Fail(domain.Unauthenticated, "the user of this token does not exist")
	case err != nil:
		return err
	case st.ended:
		return domain.Fail(domain.Unauthenticated, "the session has ended")
	case !st.active:
		return domain.Fail(domain.Forbidden, "this user is deactivated")
	}
	return nil
}

// Standing says whether an actor may still be served. A change of organization
// or role is none of its business.
//
// Errors: Unauthenticated when the user does not exist or the session has ended;
// Forbidden when the user is deactivated.
func (s *Store) Standing(ctx context.Context, who domain.Actor) error {
	return s.db.Read(ctx, func(tx db.Reader) error { return RequireStanding(tx, who) })
}

// EndSession makes every token of the caller's session worth nothing, from its
// commit on, and signs out the browser that it belongs to. It asks for no rights:
// whoever may do nothing else may still leave. A session that has ended already stays as it is.
//
// Errors: Conflict when the actor's token belongs to no session.
func (s *Store) EndSession(ctx context.Context, who domain.Actor) error {
	if who.Session == "" {
		return domain.Fail(domain.Conflict, "the token belongs to no session, so that it is valid until it expires")
	}
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		_, err := endSession(tx, who.Session)
		return err
	})
}

// Revoke is EndSession for a session that the provider has ended, of the person
// whom it calls subject, "" where it does not say. It joins the caller's
// transaction and asks for no rights.
func (s *Store) Revoke(tx *db.WriteTx, subject, session string) error {
	fresh, err := endSession(tx, session)
	if err != nil || !fresh {
		return err
	}
	a, err := db.One(tx, scanAccount, selectAccount, subject, "")
	if errors.Is(err, db.ErrNone) {
		return nil // nobody who was ever seen
	}
	if err != nil {
		return err
	}
	return audit.Record(tx, audit.Entry{Org: a.Org, Session: session, Action: audit.SessionEnded, Resource: string(a.User), Outcome: audit.Allowed})
}

// endSession ends the session; false when it has ended already.
func endSession(tx *db.WriteTx, session string) (fresh bool, err error) {
	forget := tx.Now.Add(endedFor).UnixMilli()
	if _, err := tx.Exec(insertEndedNames, session, forget, tx.Now.UnixMilli()); err != nil {
		return false, err
	}
	if _, err := tx.Exec(deleteSession, session); err != nil {
		return false, err
	}
	added, err := tx.Exec(insertEnded, session, forget, tx.Now.UnixMilli())
	if err != nil || added == 0 {
		return false, err
	}
	_, err = tx.Exec(deleteForgotten, tx.Now.UnixMilli(), maxForgotten)
	return true, err
}
