// Package connections is what people are to one another: connected, asked to be,
// or blocked.
package connections

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/notifications"
	"connvo/domain/users"
)

// The bounds of what people are to one another.
const (
	MaxMessage     = 500  // characters of a request's message
	MaxConnections = 5000 // accepted, of one person; more is a mailing list
	// MaxSent and MaxReceived are how many requests of one person wait for an
	// answer: whoever asks more is not waiting for one, and who is asked by more
	// has stopped reading them.
	MaxSent     = 100
	MaxReceived = 1000
)

const (
	// AskAgain is how long after somebody has declined they cannot be asked again
	// by the same person.
	AskAgain = 30 * 24 * time.Hour
	// Quiet is how long after a withdrawal the same request, made again, is not
	// told again: asking and withdrawing in turn would be a way to pester.
	Quiet = 24 * time.Hour
)

// Status is how far two people have come.
type Status string

// The statuses. What was declined, withdrawn or removed has none: it is not there.
const (
	Pending  Status = "pending"
	Accepted Status = "accepted"
)

// Direction is who asked.
type Direction string

// The directions, as the person sees it whose connection is read.
const (
	Sent     Direction = "sent"
	Received Direction = "received"
)

// Connection is a connection, or a request for one, as one of the two sees it.
type Connection struct {
	ID         domain.ConnectionID
	Other      domain.UserID
	Status     Status
	Direction  Direction
	Message    string // what the request said
	CreatedAt  time.Time
	AcceptedAt time.Time // zero until then
	Card       users.Card
}

// Filter says which connections a list has; "" is any.
type Filter struct {
	Status    Status
	Direction Direction
}

// Store is the connections and blocks in the database.
type Store struct{ db *db.DB }

// NewStore returns the connections and blocks in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// List returns the caller's connections and requests, newest first: at most limit
// of them, below the id below ("" for the first page), and whether there are more.
func (s *Store) List(ctx context.Context, who domain.Actor, f Filter, below domain.ConnectionID, limit int) (list []Connection, more bool, err error) {
	if below == "" {
		below = aboveAll
	}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		list, err = db.All(tx, scanConnection, selectList, who.User, below, f.Status, f.Direction, limit+1)
		if err != nil {
			return err
		}
		if more = len(list) > limit; more {
			list = list[:limit]
		}
		return withCards(tx, list)
	})
	return list, more, err
}

// aboveAll sorts behind every connection's id.
const aboveAll domain.ConnectionID = "con`"

// Connected reports whether the two are connected. It joins the caller's
// transaction.
func Connected(tx db.Reader, a, b domain.UserID) (bool, error) {
	c, err := db.One(tx, scanConnection, selectPair, a, b)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return c.Status == Accepted, err
}

// Request asks somebody to be connected with the caller. Whoever has asked the
// caller already is answered by it: the two are connected.
//
// Errors: Invalid, naming the field, for the caller themselves and for whom nobody
// can ask: unknown, deactivated, or behind a block. Conflict when they are
// connected or asked already, when they have declined within AskAgain, and at
// MaxSent, MaxReceived and MaxConnections.
func (s *Store) Request(ctx context.Context, who domain.Actor, to domain.UserID, message string) (c Connection, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if to == who.User {
			return domain.FailField("body.userId", "is yourself")
		}
		if err := users.RequireReachable(tx, who, to, "body.userId"); err != nil {
			return err
		}
		c, err = db.One(tx, scanConnection, selectPair, who.User, to)
		switch {
		case errors.Is(err, db.ErrNone):
			c, err = request(tx, who.User, to, message)
		case err != nil:
		case c.Status == Accepted:
			err = domain.Fail(domain.Conflict, "you are connected already")
		case c.Direction == Sent:
			err = domain.Fail(domain.Conflict, "you have asked them already")
		default:
			c, err = accept(tx, who.User, c)
		}
		if err != nil {
			return err
		}
		c, err = withCard(tx, c)
		return err
	})
	return c, err
}

// request stores a request and tells the other of it, unless that would pester.
func request(tx *db.WriteTx, from, to domain.UserID, message string) (Connection, error) {
	ended, err := db.One(tx, scanEnded, selectEnded, from, to)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return Connection{}, err
	}
	if again := ended.at.Add(AskAgain); ended.declined && tx.Now.Before(again) {
		return Connection{}, domain.Fail(domain.Conflict, "they have declined; ask again after %s", again.Format(domain.TimeFormat))
	}
	if err := checkPending(tx, from, to); err != nil {
		return Connection{}, err
	}
	c := Connection{
		ID: domain.ConnectionID(domain.ConnectionPrefix + tx.ULID()), Other: to, Status: Pending, Direction: Sent,
		Message: message, CreatedAt: tx.Now,
	}
	for _, side := range []struct {
		user, other domain.UserID
		direction   Direction
	}{{from, to, Sent}, {to, from, Received}} {
		if _, err := tx.Exec(insertSide, side.user, side.other, c.ID, side.direction, tx.Now.UnixMilli(), message); err != nil {
			return Connection{}, err
		}
	}
	if _, err := tx.Exec(deleteForgotten, tx.Now.Add(-AskAgain).UnixMilli(), maxForgotten); err != nil {
		return Connection{}, err
	}
	if tx.Now.Before(ended.at.Add(Quiet)) {
		return c, nil
	}
	return c, tell(tx, notifications.ConnectionRequested, c, from)
}

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

// tell tells the other what the actor has done.
func tell(tx *db.WriteTx, t notifications.Type, c Connection, actor domain.UserID) error {
	return notifications.Tell(tx, notifications.News{Type: t, Actor: actor, Subject: string(c.ID), Cause: tx.Next()}, c.Other)
}

func withCard(tx db.Reader, c Connection) (Connection, error) {
	list := []Connection{c}
	err := withCards(tx, list)
	return list[0], err
}

func withCards(tx db.Reader, list []Connection) error {
	ids := make([]domain.UserID, len(list))
	for i, c := range list {
		ids[i] = c.Other
	}
	cards, err := users.Cards(tx, ids)
	for i, c := range list {
		list[i].Card = cards[c.Other]
	}
	return err
}
