package transcripts

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/words"
)

// codeOf is what each word of the meeting begins with in the index, so that looking for a
// word reads what was said in one meeting, however much there is of others. That two
// meetings have the same is rare, and costs time only.
func codeOf(m domain.MeetingID) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m)) // never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

// indexed returns a text as the index has it: its words as a search compares them, so
// that it makes no words of its own.
func indexed(m domain.MeetingID, text string) string {
	code := codeOf(m)
	seen := map[string]bool{}
	var b strings.Builder
	for w := range words.Of(text) {
		if !seen[w.Folded] {
			seen[w.Folded] = true
			b.WriteString(code + w.Folded + " ")
		}
	}
	return b.String()
}

// index adds the chunks to the index.
func index(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	for _, c := range chunks {
		if _, err := tx.Exec(insertWords, c.Position, indexed(m, c.Text)); err != nil {
			return err
		}
	}
	return nil
}

// unindex marks the words of the meeting's oldest chunks as deleted, at most limit of
// those that are not younger than the instant. To take each out where it stands would
// take milliseconds; Purge takes them out, all in one go.
func unindex(tx *db.WriteTx, m domain.MeetingID, until time.Time, limit int) error {
	chunks, err := db.All(tx, scanFresh, selectOldestChunks, m, until.UnixMilli(), limit)
	if err != nil {
		return err
	}
	// Each time adds a segment to the index, which by itself then merges some hundred
	// pages in one go; here it does not, but a few pages each time.
	if _, err := tx.Exec(setAutomerge, 0); err != nil {
		return err
	}
	if _, err := tx.Exec(setSecureDelete, false); err != nil {
		return err
	}
	for _, c := range chunks {
		if _, err := tx.Exec(deleteWords, c.Position, indexed(m, c.Text)); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(setSecureDelete, true); err != nil {
		return err
	}
	if _, err := tx.Exec(mergeWords, purgedPages); err != nil {
		return err
	}
	_, err = tx.Exec(setAutomerge, automerge)
	return err
}

// automerge is from how many segments of a size on the index merges them by itself, as
// the schema says.
const automerge = 8

// purgedPages is how many pages of the index Purge writes at once, in about a
// millisecond.
const purgedPages = 8

// Purge takes the words of chunks that Delete has deleted out of the index, a part at a
// time: begin is true for the first. It reports whether there is more to do. It joins
// the caller's transaction.
func Purge(tx *db.WriteTx, begin bool) (more bool, err error) {
	pages := purgedPages
	if begin {
		pages = -pages // every part of the index takes part
	}
	before, err := db.One(tx, db.Int, selectTotalChanges)
	if err != nil {
		return false, err
	}
	if _, err := tx.Exec(mergeWords, pages); err != nil {
		return false, err
	}
	after, err := db.One(tx, db.Int, selectTotalChanges)
	return after-before >= 2, err // fewer are the statement itself
}

const insertWords = `
INSERT INTO transcript_words (rowid, words)
VALUES (?, ?)`

const deleteWords = `
INSERT INTO transcript_words (transcript_words, rowid, words)
VALUES ('delete', ?, ?)`

const selectOldestChunks = `
SELECT position, start_ms, end_ms, confidence, speaker_id, label, language, text
FROM (
  SELECT position, created_at, start_ms, end_ms, confidence, speaker_id, label, language, text
  FROM transcripts
  WHERE meeting_id = ?1
  ORDER BY position
  LIMIT ?3
)
WHERE created_at <= ?2`

// setSecureDelete stores what waits in the mode that was before.
const setSecureDelete = `
INSERT INTO transcript_words (transcript_words, rank)
VALUES ('secure-delete', ?1)`

const setAutomerge = `
INSERT INTO transcript_words (transcript_words, rank)
VALUES ('automerge', ?1)`

const mergeWords = `
INSERT INTO transcript_words (transcript_words, rank)
VALUES ('merge', ?1)`

const selectTotalChanges = `SELECT total_changes()`
