package messages

import (
	"errors"

	"connvo/db"
	"connvo/domain"
)

// After returns messages of a meeting whose last change is after a position, in its
// order: at most limit of them, deleted ones too. It joins the caller's transaction,
// which has checked that the chat may be read.
func After(tx db.Reader, meeting domain.MeetingID, position int64, limit int) ([]Message, error) {
	return db.All(tx, scanMessage, selectMessagesAfter, meeting, position, limit)
}

// At returns the content of a message, and false where it is not there any more, or has
// changed since the position. It joins the caller's transaction, which has checked that
// the chat may be read.
func At(tx db.Reader, seq, position int64) (content string, same bool, err error) {
	m, err := db.One(tx, scanMessage, selectThis, seq)
	if errors.Is(err, db.ErrNone) {
		return "", false, nil
	}
	return m.Content, err == nil && m.Position == position, err
}
