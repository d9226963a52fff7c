// Package connections is what people are to one another: connected, asked to be,
// or blocked.
package connections

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

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
// caller already is answered by it: the two are connected. The message is trimmed.
//
// Errors: Invalid, naming the field, for more than MaxMessage, for the caller
// themselves and for whom nobody can ask: unknown, deactivated, or behind a block.
// Conflict when they are connected or asked already, when they have declined within
// AskAgain, and at MaxSent, MaxReceived and MaxConnections.
func (s *Store) Request(ctx context.Context, who domain.Actor, to domain.UserID, message string) (c Connection, err error) {
	message = strings.TrimSpace(message)
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if to == who.User {
			return domain.FailField("body.userId", "is yourself")
		}
		if utf8.RuneCountInString(message) > MaxMessage {
			return domain.FailField("body.message", "must have at most %d characters", MaxMessage)
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
