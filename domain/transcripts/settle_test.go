package transcripts_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/transcripts"
	"connvo/jobs"
)

func TestSettlingCountsEachChunkOnce(t *testing.T) {
	r := newRoom(t)
	r.now = r.now.Add(time.Hour)
	for i := range 125 {
		d := says("one two three", time.Duration(i)*time.Second)
		d.Speaker = r.grace.User
		r.append(d, says("four", time.Duration(i)*time.Second))
	}
	r.settle()
	r.settle()
	if got := r.state().Speaking; got.TotalMs != 250_000 || got.ByUserMs[r.grace.User] != 125_000 || got.Words != 500 {
		t.Errorf("%+v", got)
	}
	if n := r.number(`SELECT count(*) FROM jobs WHERE kind = ?`, transcripts.Settle); n != 1 {
		t.Errorf("%d jobs settle", n)
	}
}

// TestSettlingGoesOnWhereItWasStopped lets a step fail now and then, also in the middle
// of a transaction.
func TestSettlingGoesOnWhereItWasStopped(t *testing.T) {
	r := newRoom(t)
	meetings := []domain.MeetingID{r.id}
	for range 24 {
		meetings = append(meetings, r.start())
	}
	for i := range 60 {
		for j := range meetings {
			r.id = meetings[j]
			if i < 1 || j%4 == 0 {
				r.append(says("word", 0), says("word", time.Second))
			}
		}
	}
	steps, failures := 0, 0
	r.settler = transcripts.NewSettler(r.db, func(_ *write, m domain.MeetingID, chunks []transcripts.Chunk) error {
		if !slices.IsSorted(positionsOf(chunks)) || slices.ContainsFunc(chunks, func(c transcripts.Chunk) bool { return c.Meeting != m }) {
			t.Errorf("%s: %+v", m, chunks)
		}
		if steps++; steps%13 == 0 {
			return errors.New("the power fails")
		}
		return nil
	})
	for {
		if _, err := r.settler.Settle(t.Context(), jobs.Task{}); err == nil {
			break
		}
		if failures++; failures > 100 {
			t.Fatal("it never ends")
		}
		r.append(says("word", 2*time.Second)) // meanwhile
	}
	r.settle()
	var ms int64
	for _, r.id = range meetings {
		ms += r.state().Speaking.TotalMs
	}
	if total := r.number(`SELECT count(*) FROM transcripts`); failures < 2 || ms != total*1000 {
		t.Errorf("%d ms of %d chunks, after %d failures", ms, total, failures)
	}
}

func TestSettlingGoesOnWhenWhatItHadBegunIsDeleted(t *testing.T) {
	r := newRoom(t)
	r.append(says("word", 0))
	r.exec(`UPDATE transcript_progress SET until = (SELECT max(position) FROM transcripts)`)
	r.exec(`DELETE FROM transcripts`)
	r.append(says("later", 0))
	r.settle()
	r.settle()
	if got := r.state().Speaking.Words; got != 1 {
		t.Errorf("%d words", got)
	}
}

// TestNothingIsLostNorTwiceWhileItIsSettled is many senders, each with utterances that
// it sends twice, and the job beside them.
func TestNothingIsLostNorTwiceWhileItIsSettled(t *testing.T) {
	r := newRoom(t)
	counted := map[int64]int{}
	runner := jobs.NewRunner(r.db, quiet, map[string]jobs.Handler{
		transcripts.Settle: transcripts.NewSettler(r.db, func(_ *write, _ domain.MeetingID, chunks []transcripts.Chunk) error {
			for _, c := range chunks {
				counted[c.Position]++
			}
			return nil
		}).Settle,
	})
	runner.Start()
	const senders, requests = 8, 20
	sent := make([][]int64, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range requests {
				drafts := []transcripts.Draft{says("word", 0), says("word", time.Second), says("word", 2*time.Second)}
				drafts[1].Utterance = fmt.Sprint(i, "-", n)
				a, err := r.store.Append(t.Context(), r.ada, r.id, drafts)
				if err != nil {
					t.Error(err)
					return
				}
				again, err := r.store.Append(t.Context(), r.ada, r.id, drafts[1:2])
				if err != nil || again.Positions[0] != a.Positions[1] {
					t.Errorf("%v, then %v, %v", a, again, err)
				}
				sent[i] = append(sent[i], a.Positions...)
			}
		})
	}
	// A reader goes on from where it was, as a live stream does.
	var read []int64
	after := int64(0)
	take := func() int {
		part, err := r.store.Feed(t.Context(), r.ada, r.id, transcripts.Filter{}, domain.Span{After: &after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range part.Items {
			read, after = append(read, c.Position), c.Position
		}
		return len(part.Items)
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	for done := false; !done; {
		select {
		case <-finished:
			done = true
		default:
		}
		take()
	}
	for take() > 0 {
	}
	want := slices.Concat(sent...)
	slices.Sort(want)
	if len(want) != senders*requests*3 || !slices.Equal(read, want) {
		t.Errorf("%d were read of %d that were sent", len(read), len(want))
	}
	r.must(runner.Stop(t.Context()))
	r.settle()
	if got := r.state().Speaking.Words; got != int64(len(want)) {
		t.Errorf("%d words of %d chunks", got, len(want))
	}
	for position, n := range counted {
		if n != 1 {
			t.Errorf("%d was settled %d times", position, n)
		}
	}
}

// TestRoundsOfMuchTextAreShorter: what one holds in memory is bounded by its text, too,
// and what it leaves comes with the next.
func TestRoundsOfMuchTextAreShorter(t *testing.T) {
	r := newRoom(t)
	r.exec(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
		INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
		SELECT (SELECT last FROM sequence) + i, ?1, ?2, 1000 * i, 1000 * i + 500, 1, '', '', '', '', hex(zeroblob(5000)) FROM n`, r.id, r.now.UnixMilli())
	for _, want := range []int64{1000, 1100} {
		r.settle()
		if n := r.number(`SELECT count(*) FROM transcripts WHERE position <= (SELECT settled FROM transcript_progress)`); n != want {
			t.Errorf("%d chunks are settled, want %d", n, want)
		}
	}
	if got := r.state().Speaking.Words; got != 1100 {
		t.Errorf("%d words", got)
	}
}

func TestWhatIsSaidTooEarlyIsCountedWhenItIsHeard(t *testing.T) {
	r := newRoom(t)
	r.now = r.now.Add(10 * time.Minute)
	d := says("word", 0)
	d.Speaker = r.grace.User
	d.Start, d.End = 100*time.Hour, 100*time.Hour+time.Second
	r.append(d)
	d.Start, d.End = 10*time.Minute-time.Second, 10*time.Minute
	r.append(d)
	r.settle()
	if got := r.state().Speaking; got.WindowMs != 2000 {
		t.Errorf("%+v: a wrong offset has moved the window away", got)
	}
}

func TestLullBeginsAndEnds(t *testing.T) {
	r := newRoom(t)
	began := r.now
	notice := func() { t.Helper(); r.must(r.background(transcripts.NoticeLull)) }
	due := func(after time.Duration) {
		t.Helper()
		if at := r.number(`SELECT coalesce(max(run_at), 0) FROM jobs WHERE kind = ? AND dead = 0`, transcripts.Lull); at != began.Add(after).UnixMilli() {
			t.Errorf("the job is due after %v, want %v", time.UnixMilli(at).Sub(began), after)
		}
		r.exec(`DELETE FROM jobs WHERE kind = ?`, transcripts.Lull)
	}
	lull := func(severity conversation.Severity, since time.Duration) {
		t.Helper()
		got := r.state().Lull
		if got.Severity != severity || (severity != conversation.None && !got.Since.Equal(began.Add(since))) {
			t.Errorf("%+v", got)
		}
	}
	r.append(says("word", 0))
	r.settle()
	due(30 * time.Second)
	r.now = began.Add(10 * time.Second)
	r.append(says("word", 10*time.Second))
	r.now = began.Add(30 * time.Second)
	notice()
	lull(conversation.None, 0)
	due(40 * time.Second)
	r.now = began.Add(40 * time.Second)
	notice()
	lull(conversation.Mild, 10*time.Second)
	due(70 * time.Second)
	r.now = began.Add(70 * time.Second)
	notice()
	lull(conversation.Severe, 10*time.Second)
	if n := r.number(`SELECT count(*) FROM jobs WHERE kind = ?`, transcripts.Lull); n != 0 {
		t.Error("a severe lull is looked at again")
	}
	r.now = began.Add(75 * time.Second)
	r.append(says("word", 75*time.Second))
	r.settle()
	lull(conversation.None, 0)
	due(105 * time.Second)
	r.now = began.Add(200 * time.Second)
	_, err := r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	notice()
	lull(conversation.None, 0)
}
