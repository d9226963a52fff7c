package messages

import (
	"connvo/db"
	"connvo/domain"
)

// Text is a message that still says something.
type Text struct {
	Seq  int64
	Size int // of its content, in characters
}

// Written returns which messages of a person still say something, of those whose seq
// is above from and not above to, in order. It joins the caller's transaction.
func Written(tx db.Reader, user domain.UserID, from, to int64) ([]Text, error) {
	return db.All(tx, scanSize, selectWritten, user, from, to)
}

// Erase takes content and attachments out of the first of the messages, which stay
// as deleted ones, and returns how many it were: one at least, and no more than are
// a few milliseconds' work. Their words are only marked in the index until Purge
// takes them out, as those of messages that Delete deletes. It joins the caller's
// transaction.
func Erase(tx *db.WriteTx, all []Text) (done int, err error) {
	if _, err := tx.Exec(setSecureDelete, false); err != nil {
		return 0, err
	}
	for size := 0; done < min(len(all), deleted) && size < deletedText; done++ {
		if _, err := tx.Exec(eraseMessage, all[done].Seq, tx.Next(), tx.Now.UnixMilli()); err != nil {
			return 0, err
		}
		size += all[done].Size
	}
	if _, err := tx.Exec(setSecureDelete, true); err != nil {
		return 0, err
	}
	_, err = tx.Exec(mergeWords, purgedPages) // as in Delete
	return done, err
}

func scanSize(r db.Row) (t Text, err error) {
	err = r.Scan(&t.Seq, &t.Size)
	return t, err
}

const selectWritten = `
SELECT seq, length(content)
FROM messages
WHERE seq > ?2 AND seq <= ?3 AND user_id = ?1 AND (content <> '' OR attachments <> '')
ORDER BY seq`

const eraseMessage = `
UPDATE messages
SET position = ?2, content = '', deleted_at = coalesce(deleted_at, ?3), attachments = ''
WHERE seq = ?1 AND (content <> '' OR attachments <> '')`
