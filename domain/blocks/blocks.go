// Package blocks is who does not want to have to do with whom.
//
// A block holds in both directions: neither sees the other's card, finds the other
// in a directory, asks for a connection, invites the other to a meeting, or is told
// that the other has named them; and neither learns which of them it was. Meetings
// in which both are already stay as they are: others are in them too, and a block
// that took somebody out, or hid what is said, would tell them of it.
package blocks

import (
	"encoding/json"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Max is how many people somebody blocks at most: more than anybody reads through,
// and a list that one export holds.
const Max = 1000

// Block is that somebody blocks a person.
type Block struct {
	User      domain.UserID
	CreatedAt time.Time
}

// Between reports whether one of the two blocks the other.
func Between(tx db.Reader, a, b domain.UserID) (bool, error) {
	_, err := db.One(tx, db.Int, selectPair, a, b)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// Among returns those of the others whom the user blocks, or who block the user.
func Among(tx db.Reader, user domain.UserID, others []domain.UserID) (map[domain.UserID]bool, error) {
	ids, err := json.Marshal(others)
	if err != nil {
		return nil, err
	}
	rows, err := db.All(tx, scanUser, selectAmong, user, string(ids))
	hidden := make(map[domain.UserID]bool, len(rows))
	for _, id := range rows {
		hidden[id] = true
	}
	return hidden, err
}

// RequireVisible refuses, as if there were no such user, somebody whom a block
// hides from the caller. It allows nothing by itself, so the transaction is not
// decided.
func RequireVisible(tx db.Reader, who domain.Actor, id domain.UserID) error {
	_, err := db.One(tx, db.Int, selectHidden, who.User, id)
	switch {
	case errors.Is(err, db.ErrNone):
		return nil
	case err != nil:
		return err
	}
	return domain.Fail(domain.NotFound, "there is no such user")
}

// Of returns whom the user blocks, newest first: at most limit of them, behind the
// block after, all with the zero Block.
func Of(tx db.Reader, user domain.UserID, after Block, limit int) ([]Block, error) {
	at := int64(domain.MaxNumber)
	if after.User != "" {
		at = after.CreatedAt.UnixMilli()
	}
	return db.All(tx, scanBlock, selectOf, user, at, after.User, limit)
}

// Add lets the user block the other; one that they block already stays as it is.
//
// Errors: Conflict when the user blocks Max people.
func Add(tx *db.WriteTx, user, other domain.UserID) (Block, error) {
	b, err := db.One(tx, scanBlock, selectMine, user, other)
	if !errors.Is(err, db.ErrNone) {
		return b, err
	}
	n, err := db.One(tx, db.Int, countOf, user)
	if err != nil {
		return Block{}, err
	}
	if n >= Max {
		return Block{}, domain.Fail(domain.Conflict, "you block %d people, which is the most; unblock one first", Max)
	}
	if _, err := tx.Exec(insertMine, user, other, tx.Now.UnixMilli()); err != nil {
		return Block{}, err
	}
	_, err = tx.Exec(insertTheirs, other, user, tx.Now.UnixMilli())
	return Block{User: other, CreatedAt: time.UnixMilli(tx.Now.UnixMilli()).UTC()}, err
}

// Remove lets the user block the other no more, and reports whether they did. The
// other's own block stays.
func Remove(tx *db.WriteTx, user, other domain.UserID) (bool, error) {
	n, err := tx.Exec(updateMine, user, other)
	if err != nil || n == 0 {
		return false, err
	}
	theirs, err := db.All(tx, scanBlock, selectMine, other, user)
	if err != nil || len(theirs) > 0 {
		return true, err
	}
	if _, err := tx.Exec(deleteRow, user, other); err != nil {
		return true, err
	}
	_, err = tx.Exec(deleteRow, other, user)
	return true, err
}
