package connections

import (
	"context"
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/notifications"
	"connvo/domain/users"
)

// Accept connects the caller with whoever has asked them; a connection stays as it
// is.
//
// Errors: NotFound; Forbidden to whoever has asked; Conflict when the other is
// deactivated, and at MaxConnections of either.
func (s *Store) Accept(ctx context.Context, who domain.Actor, id domain.ConnectionID) (c Connection, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if c, err = find(tx, who, id); err != nil {
			return err
		}
		if c.Status == Pending {
			if c.Direction == Sent {
				return domain.Fail(domain.Forbidden, "only they, whom you have asked, may accept")
			}
			if c, err = accept(tx, who.User, c); err != nil {
				return err
			}
		}
		c, err = withCard(tx, c)
		return err
	})
	return c, err
}

// accept turns a request that the user has received into a connection.
func accept(tx *db.WriteTx, user domain.UserID, c Connection) (Connection, error) {
	there, err := users.ActiveCards(tx, []domain.UserID{c.Other})
	if err != nil {
		return c, err
	}
	if len(there) == 0 {
		return c, domain.Fail(domain.Conflict, "they are not here any more")
	}
	if err := checkAccepted(tx, user, c.Other); err != nil {
		return c, err
	}
	c.Status, c.AcceptedAt = Accepted, tx.Now
	if _, err := tx.Exec(updateAccepted, user, c.Other, tx.Now.UnixMilli()); err != nil {
		return c, err
	}
	if _, err := tx.Exec(updateAccepted, c.Other, user, tx.Now.UnixMilli()); err != nil {
		return c, err
	}
	return c, tell(tx, notifications.ConnectionAccepted, c, user)
}

// Decline refuses a request that the caller has received. Who asked is told
// nothing; they cannot ask again within AskAgain.
//
// Errors: NotFound; Forbidden to whoever has asked; Conflict when the two are
// connected.
func (s *Store) Decline(ctx context.Context, who domain.Actor, id domain.ConnectionID) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		c, err := find(tx, who, id)
		switch {
		case err != nil:
			return err
		case c.Status == Accepted:
			return domain.Fail(domain.Conflict, "you are connected; remove the connection instead")
		case c.Direction == Sent:
			return domain.Fail(domain.Forbidden, "only they, whom you have asked, may decline; withdraw it instead")
		}
		return end(tx, who.User, c)
	})
}

// Remove ends a connection, or withdraws a request that the caller has sent.
//
// Errors: NotFound; Forbidden for a request that the caller has received.
func (s *Store) Remove(ctx context.Context, who domain.Actor, id domain.ConnectionID) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		c, err := find(tx, who, id)
		if err != nil {
			return err
		}
		if c.Status == Pending && c.Direction == Received {
			return domain.Fail(domain.Forbidden, "only who has asked may withdraw; decline it instead")
		}
		return end(tx, who.User, c)
	})
}

// find returns the caller's connection or request.
func find(tx *db.WriteTx, who domain.Actor, id domain.ConnectionID) (Connection, error) {
	if err := users.RequireActive(tx, who); err != nil {
		return Connection{}, err
	}
	c, err := db.One(tx, scanConnection, selectByID, who.User, id)
	if errors.Is(err, db.ErrNone) {
		return c, domain.Fail(domain.NotFound, "there is no such connection or request")
	}
	return c, err
}

// end takes away what is between the user and another, and remembers a request
// that waited: as declined where the user has received it, else as withdrawn.
func end(tx *db.WriteTx, user domain.UserID, c Connection) error {
	if c.Status == Pending {
		requester, addressee, declined := user, c.Other, 0
		if c.Direction == Received {
			requester, addressee, declined = c.Other, user, 1
		}
		if _, err := tx.Exec(upsertEnded, requester, addressee, declined, tx.Now.UnixMilli()); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(deleteSide, user, c.Other); err != nil {
		return err
	}
	_, err := tx.Exec(deleteSide, c.Other, user)
	return err
}
