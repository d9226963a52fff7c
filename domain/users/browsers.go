package users

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
)

const (
	// maxSessions is how many browsers of one person are signed in at a time:
	// more than anybody has, fewer than a script would open. The one that was
	// renewed least recently gives way.
	maxSessions = 50
	// maxExpired is how many rows a sign-in deletes at most, whose time is over.
	maxExpired = 50
)

// Session is a browser that is signed in.
type Session struct {
	ID   string // the row's; the cookie names it
	User domain.UserID
	// Name is how the identity provider called the session when it began, which
	// is the Session of its actors, and Current how it does now: WorkOS never
	// changes it, its emulator does at every renewal.
	Name, Current string
	// Impersonator is who acts in the user's place, or "".
	Impersonator string
	Sealed       []byte    // what renews it, for nobody but the cookie's owner
	RenewedAt    time.Time // when it was opened or renewed last
	TokenEnds    time.Time // when it has to be renewed
	Ends         time.Time // when it is over however often it was renewed
	Account      Account   // of the user; Ended says nothing
	Subject      string    // the provider's name for the user
}

// Renewal is what changes when a session is renewed.
type Renewal struct {
	ID        string
	Current   string
	Sealed    []byte
	TokenEnds time.Time
}

// OpenSession stores a browser that has signed in; RenewedAt, Account and Subject
// are not looked at. It asks for no rights: it is how a caller becomes somebody,
// which the caller records.
//
// Errors: Unauthenticated when the provider's session has ended already.
func (s *Store) OpenSession(ctx context.Context, n Session) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := stillOpen(tx, n.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(deleteExpired, tx.Now.UnixMilli(), maxExpired); err != nil {
			return err
		}
		if _, err := tx.Exec(deleteOldest, n.User, maxSessions-1); err != nil {
			return err
		}
		if _, err := Begun(tx, n.Name); err != nil {
			return err
		}
		now := tx.Now.UnixMilli()
		_, err := tx.Exec(insertSession, n.ID, n.User, n.Name, n.Current, now, now, n.TokenEnds.UnixMilli(), n.Ends.UnixMilli(), n.Impersonator, n.Sealed)
		return err
	})
}

// stillOpen refuses a session of the provider that has ended.
func stillOpen(tx db.Reader, name string) error {
	_, err := db.One(tx, db.Int, selectEnded, name)
	switch {
	case err == nil:
		return domain.Fail(domain.Unauthenticated, "the session has ended")
	case errors.Is(err, db.ErrNone):
		return nil
	}
	return err
}

// Session returns the session with the id, or db.ErrNone. It asks for no rights:
// who has the id still needs what opens Sealed.
func (s *Store) Session(ctx context.Context, id string) (Session, error) {
	var found Session
	err := s.db.Read(ctx, func(tx db.Reader) (err error) {
		found, err = db.One(tx, scanSession, selectSession, id)
		return err
	})
	return found, err
}

// RenewSession stores a renewal. It asks for no rights, as OpenSession.
//
// Errors: Unauthenticated when the session has ended meanwhile.
func (s *Store) RenewSession(ctx context.Context, r Renewal) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := stillOpen(tx, r.Current); err != nil {
			return err
		}
		changed, err := tx.Exec(updateSession, r.Current, tx.Now.UnixMilli(), r.TokenEnds.UnixMilli(), r.Sealed, r.ID)
		if err == nil && changed == 0 {
			return domain.Fail(domain.Unauthenticated, "the session has ended")
		}
		return err
	})
}
