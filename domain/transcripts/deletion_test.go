package transcripts_test

import (
	"errors"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
)

// erase does a part of a deletion and returns how many rows it was.
func (r *room) erase() (n int64, err error) {
	err = r.db.WriteBackground(r.t.Context(), func(tx *db.WriteTx) (err error) {
		n, err = transcripts.Erase(tx, r.id)
		return err
	})
	return n, err
}

// What is not settled is not in the index, and may not be taken out of it. Other
// transcripts stay as they are, and are found as before.
func TestDeletionWaitsUntilAllIsSettled(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	deleted, other := r.id, r.start()
	r.append(says("zucchini first", 0))
	r.settle()
	for i := range 130 {
		r.append(says("zucchini again", time.Duration(i+1)*time.Second))
	}
	r.id = other
	r.append(says("courgette", 0))
	r.id = deleted
	_, err := r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	if _, err := r.store.Delete(t.Context(), r.grace, r.id); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("a participant: %v", err)
	}
	at, err := r.store.Delete(t.Context(), r.ada, r.id)
	r.must(err)
	if n, err := r.erase(); !errors.Is(err, transcripts.ErrUnsettled) || n != 0 {
		t.Errorf("%d rows before what was said is settled, error %v", n, err)
	}
	r.settle()
	if got := r.all(transcripts.Filter{}); len(got) != 0 {
		t.Errorf("%d chunks are answered once they are settled", len(got))
	}
	r.until(func(tx *db.WriteTx) (bool, error) {
		n, err := transcripts.Erase(tx, r.id)
		return n > 0, err
	})
	r.until(func(tx *db.WriteTx) (bool, error) { return transcripts.Purge(tx, true) })
	if n := r.number(`SELECT count(*) FROM transcripts WHERE meeting_id = ?`, r.id) + r.number(wordsLeft); n != 0 {
		t.Errorf("%d rows and pages of words are left", n)
	}
	r.exec(`INSERT INTO transcript_words (transcript_words, rank) VALUES ('integrity-check', 0)`)
	r.now = r.now.Add(time.Hour)
	if again, err := r.store.Delete(t.Context(), r.ada, r.id); err != nil || !again.Equal(at) {
		t.Errorf("again it was deleted at %v, %v, and first at %v", again, err, at)
	}
	r.id = other
	if found, _, err := r.store.Search(t.Context(), r.ada, r.id, "courgette", transcripts.Filter{}, domain.MaxNumber, 10); err != nil || len(found) != 1 {
		t.Errorf("%d found of another meeting, error %v", len(found), err)
	}
}

// A file that is under way when its transcript is deleted is cut off, not ended.
func TestExportOfADeletedTranscriptBreaksOff(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for i := range 120 {
		r.append(says("again", time.Duration(i)*time.Minute))
	}
	r.settle()
	_, err := r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	begun, late := r.store.Export(r.ada, r.id), r.store.Export(r.ada, r.id)
	if page, err := begun.Next(t.Context()); err != nil || len(page) == 0 {
		t.Fatalf("%d chunks, %v", len(page), err)
	}
	_, err = r.store.Delete(t.Context(), r.ada, r.id)
	r.must(err)
	if page, err := begun.Next(t.Context()); domain.KindOf(err) != domain.Conflict || len(page) != 0 {
		t.Errorf("%d chunks, %v", len(page), err)
	}
	if page, err := late.Next(t.Context()); err != nil || len(page) != 0 {
		t.Errorf("%d chunks, %v", len(page), err)
	}
}
