package connections

import (
	"context"
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/users"
)

// Blocked is somebody whom the caller blocks, and their card.
type Blocked struct {
	blocks.Block
	Card users.Card
}

// Block lets the caller block somebody, whether these block the caller or not, and
// ends what is between the two. A block stays as it is. Nobody is told.
//
// Errors: Invalid, naming the field, for the caller themselves and for whom there
// is no user; Conflict when the caller blocks blocks.Max people.
func (s *Store) Block(ctx context.Context, who domain.Actor, other domain.UserID) (b Blocked, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		if other == who.User {
			return domain.FailField("body.userId", "is yourself")
		}
		cards, err := users.Cards(tx, []domain.UserID{other})
		if err != nil {
			return err
		}
		if len(cards) == 0 {
			return domain.FailField("body.userId", "names no user; it is an id such as usr_…")
		}
		block, err := blocks.Add(tx, who.User, other)
		if err != nil {
			return err
		}
		b = Blocked{block, cards[other]}
		c, err := db.One(tx, scanConnection, selectPair, who.User, other)
		if errors.Is(err, db.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		return end(tx, who.User, c)
	})
	return b, err
}

// Unblock lets the caller block somebody no more. What was between the two before
// does not come back.
//
// Errors: NotFound when the caller does not block them.
func (s *Store) Unblock(ctx context.Context, who domain.Actor, other domain.UserID) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		found, err := blocks.Remove(tx, who.User, other)
		if err == nil && !found {
			return domain.Fail(domain.NotFound, "you do not block them")
		}
		return err
	})
}

// Blocks returns whom the caller blocks, newest first: at most limit of them,
// behind the block after (the zero Block for the first page), and whether there
// are more.
func (s *Store) Blocks(ctx context.Context, who domain.Actor, after blocks.Block, limit int) (list []Blocked, more bool, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		page, err := blocks.Of(tx, who.User, after, limit+1)
		if err != nil {
			return err
		}
		if more = len(page) > limit; more {
			page = page[:limit]
		}
		ids := make([]domain.UserID, len(page))
		for i, b := range page {
			ids[i] = b.User
		}
		cards, err := users.Cards(tx, ids)
		list = make([]Blocked, len(page))
		for i, b := range page {
			list[i] = Blocked{b, cards[b.User]}
		}
		return err
	})
	return list, more, err
}
