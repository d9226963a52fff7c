package transcripts_test

import (
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
)

// until does a part of a work until nothing is left of it.
func (r *room) until(part func(tx *db.WriteTx) (more bool, err error)) {
	r.t.Helper()
	for more := true; more; {
		r.must(r.db.WriteBackground(r.t.Context(), func(tx *db.WriteTx) (err error) {
			more, err = part(tx)
			return err
		}))
	}
}

func (r *room) expire() {
	r.t.Helper()
	r.until(func(tx *db.WriteTx) (bool, error) {
		n, err := transcripts.Delete(tx, "", r.now)
		return n > 0, err
	})
	r.until(func(tx *db.WriteTx) (bool, error) { return transcripts.Purge(tx, true) })
}

func (r *room) forget() {
	r.t.Helper()
	r.until(func(tx *db.WriteTx) (bool, error) {
		n, err := transcripts.Forget(tx, r.id)
		return n > 0, err
	})
}

const wordsLeft = `SELECT count(*) FROM transcript_words_data WHERE instr(block, CAST('zucchini' AS BLOB)) > 0`

// Segments outlive the chunks that they are of; words do not.
func TestSegmentsOutliveTheirChunks(t *testing.T) {
	r := newRoom(t)
	for i := range 130 {
		d := says("zucchini and more", time.Duration(i)*10*time.Second)
		d.Label = "A"
		r.append(d)
	}
	r.settle()
	_, err := r.store.Name(t.Context(), r.ada, r.id, "A", r.grace.User)
	r.must(err)
	if r.number(wordsLeft) == 0 {
		t.Fatal("the words are not where they are looked for")
	}
	r.expire()
	if n := r.number(`SELECT count(*) FROM transcripts`); n != 0 {
		t.Fatalf("%d chunks are left", n)
	}
	if n := r.number(wordsLeft); n != 0 {
		t.Errorf("%d pages of the index have the word yet", n)
	}
	found, _, err := r.store.Search(t.Context(), r.ada, r.id, "zucchini", transcripts.Filter{}, domain.MaxNumber, 10)
	if err != nil || len(found) != 0 {
		t.Errorf("found %v %v", found, err)
	}
	page, _, err := r.store.Segments(t.Context(), r.ada, r.id, transcripts.Filter{}, transcripts.Place{}, 200)
	r.must(err)
	if len(page) != 130 || page[0].Speaker != r.grace.User {
		t.Errorf("%d segments, %+v", len(page), page[0])
	}
	r.forget()
	if n := r.number(`SELECT (SELECT count(*) FROM segments) + (SELECT count(*) FROM transcript_counts) + (SELECT count(*) FROM speakers)`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// Where a transcript is kept for longer than its meeting is remembered, so are segments.
func TestSegmentsLiveAsLongAsTheirChunks(t *testing.T) {
	r := newRoom(t)
	r.append(says("zucchini", 0))
	r.settle()
	_, err := r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	r.forget()
	const rows = `SELECT (SELECT count(*) FROM segments) + (SELECT count(*) FROM transcript_counts)`
	if n := r.number(rows); n != 2 {
		t.Fatalf("%d rows while the transcript is there", n)
	}
	r.must(r.db.Write(t.Context(), func(tx *db.WriteTx) error { _, err := tx.Exec(`DELETE FROM concluded`); return err }))
	r.expire()
	if n := r.number(rows); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
