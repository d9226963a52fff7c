package transcripts_test

import (
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/jobs"
)

// counts returns how many chunks of the meeting are in each of the answers that follow
// from them.
func (r *room) counts() (stats, segments, search, exported int, err error) {
	r.t.Helper()
	said, err := r.store.Stats(r.t.Context(), r.ada, r.id)
	r.must(err)
	var next transcripts.Place
	for first := true; first || next != (transcripts.Place{}); first = false {
		page, after, err := r.store.Segments(r.t.Context(), r.ada, r.id, transcripts.Filter{}, next, 1000)
		r.must(err)
		for _, s := range page {
			segments += len(s.Chunks)
		}
		next = after
	}
	for below := int64(domain.MaxNumber); below != 0; {
		found, more, err := r.store.Search(r.t.Context(), r.ada, r.id, "word", transcripts.Filter{}, below, 1000)
		r.must(err)
		search, below = search+len(found), more
	}
	e := r.store.Export(r.ada, r.id)
	for {
		page, err := e.Next(r.t.Context())
		if err != nil || len(page) == 0 {
			return int(said.Chunks), segments, search, exported, err
		}
		exported += len(page)
	}
}

// Also much that is not settled yet is in every answer; where it is too much, no file is
// made that would lack the rest, until it is settled.
func TestAnswersAreCompleteWhileMuchIsNotSettled(t *testing.T) {
	r := newRoom(t)
	r.hears(1500, rarely)
	stats, segments, search, exported, err := r.counts()
	if err != nil || stats != 1500 || segments != 1500 || search != 1500 || exported != 1500 {
		t.Errorf("of 1500 chunks %d are counted, %d in segments, %d found, %d exported, %v", stats, segments, search, exported, err)
	}
	r.hears(500, rarely)
	if _, _, _, exported, err = r.counts(); exported != 0 || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("%d chunks are exported, %v", exported, err)
	}
	r.settle()
	stats, segments, search, exported, err = r.counts()
	if err != nil || stats != 2000 || segments != 2000 || search != 2000 || exported != 2000 {
		t.Errorf("of 2000 chunks %d are counted, %d in segments, %d found, %d exported, %v", stats, segments, search, exported, err)
	}
}

// Rounds keep their beat however long one takes, and what one has left for too long is
// not left for the pause too.
func TestSettlingCatchesUp(t *testing.T) {
	r := newRoom(t)
	for name, test := range map[string]struct{ age, took, pause time.Duration }{
		"what has come meanwhile":      {0, 700 * time.Millisecond, 1004 * time.Millisecond},
		"what has come just before":    {900 * time.Millisecond, 0, 1004 * time.Millisecond},
		"what was left":                {2 * time.Second, 700 * time.Millisecond, time.Second},
		"what was left by a slow one":  {2 * time.Second, 3 * time.Second, 3 * time.Second},
		"what has come in a slow one":  {0, 3 * time.Second, 3 * time.Second},
		"what came just before a slow": {900 * time.Millisecond, 3 * time.Second, 3 * time.Second},
	} {
		r.settle()
		r.exec(`DELETE FROM jobs`)
		began := r.now
		r.append(says("word", 0))
		left := false
		r.settler = transcripts.NewSettler(r.db, func(tx *write, _ domain.MeetingID, _ []transcripts.Chunk) error {
			if left {
				return nil
			}
			left = true
			r.now = began.Add(test.took)
			_, err := tx.Exec(insertBench, tx.Next(), r.id, began.Add(-test.age).UnixMilli(), 0, 1, "", "", "left")
			return err
		})
		r.exec(`DELETE FROM jobs`)
		effect, err := r.settler.Settle(t.Context(), jobs.Task{})
		r.must(err)
		r.must(r.db.WriteBackground(t.Context(), effect))
		if at := time.UnixMilli(r.number(`SELECT max(run_at) FROM jobs WHERE kind = ?`, transcripts.Settle)); !at.Equal(began.Add(test.pause)) {
			t.Errorf("%s: the next round is after %v, want %v", name, at.Sub(began), test.pause)
		}
		r.now = r.now.Add(time.Minute)
	}
}
