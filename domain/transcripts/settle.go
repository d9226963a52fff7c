package transcripts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/jobs"
)

// Settle is the kind, and the name, of the job that does what follows from what was
// said: there is one for all meetings.
const Settle = "transcripts.settle"

// The bounds of settling.
const (
	// settleEvery is how long it waits at least for more to settle with it: what is
	// kept of a meeting is written once a second at most, but of one of which more
	// has come than fits a portion.
	settleEvery = time.Second
	// settlePause is added for every meeting of the round before. A meeting costs
	// some pages of the log each time, so the more there are, the more seldom it is:
	// of a thousand each is settled every five seconds, from beginning to beginning.
	// A round that has left what was older than settleEvery is followed sooner.
	settlePause = 4 * time.Millisecond
	// maxRound is how many chunks a round has, which are in memory, and maxRoundText with
	// how much text it reads no further: some 15 MB together.
	maxRound     = 50_000
	maxRoundText = 8 << 20 // bytes
	roundPage    = 1000    // chunks that one transaction reads
	// maxPortion is how many chunks one transaction settles, in a few milliseconds: what
	// it writes besides them is the same for one. The chunk with which they come to
	// portionText is the last, so that it is not many milliseconds where they are long.
	maxPortion  = 200
	portionText = 16 << 10 // bytes
	maxMeetings = 20       // meetings that it settles
)

// Settled is what else is done for chunks of one meeting, in order of position, once
// and in one transaction: at most maxPortion of them, in some milliseconds. It may be
// run twice when a neighbour breaks the transaction.
type Settled func(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error

// Settler does what follows from what was said.
type Settler struct {
	db    *db.DB
	steps []Settled
}

// NewSettler returns what keeps speaking, lulls, labels, segments, counts and words, and then takes the steps.
func NewSettler(d *db.DB, steps ...Settled) *Settler {
	return &Settler{db: d, steps: steps}
}

// progress is the row of transcript_progress.
type progress struct {
	settled, until int64
	meeting        domain.MeetingID
	position       int64
}

// Settle is the handler of the jobs of that kind: it settles a round.
func (s *Settler) Settle(ctx context.Context, _ jobs.Task) (jobs.Effect, error) {
	began := s.db.Now()
	at, chunks, err := s.round(ctx)
	if err != nil {
		return nil, err
	}
	meetings := 0
	for at.settled < at.until {
		portion, n := cut(chunks) // nothing where all were deleted meanwhile
		chunks, meetings = chunks[n:], meetings+len(portion)
		next := progress{settled: at.until, until: at.until}
		if len(chunks) > 0 {
			end := portion[len(portion)-1]
			next = progress{settled: at.settled, until: at.until, meeting: end.meeting, position: end.last()}
		}
		meant, err := s.understand(ctx, portion)
		if err != nil {
			return nil, err
		}
		if err := s.db.WriteBackground(ctx, func(tx *db.WriteTx) error { return s.settle(tx, at, next, portion, meant) }); err != nil {
			return nil, err
		}
		at = next
	}
	return func(tx *db.WriteTx) error {
		ms, err := db.One(tx, db.Int, selectUnsettled, at.settled)
		if errors.Is(err, db.ErrNone) {
			return nil // whoever appends next finds no job that waits, and enqueues it
		}
		if err != nil {
			return err
		}
		next := began.Add(settleEvery)
		if behind := time.UnixMilli(ms).Before(began.Add(-settleEvery)); !behind {
			next = next.Add(time.Duration(meetings) * settlePause)
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: Settle, Name: Settle, RunAt: next})
	}, nil
}

// round returns how far settling has come, and what is left of the round that has
// begun, else a new one, by meeting and position.
func (s *Settler) round(ctx context.Context) (at progress, chunks []Chunk, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		at, err = db.One(tx, scanProgress, selectProgress)
		if err == nil && at.until == at.settled {
			at.until, err = db.One(tx, db.Int, selectRoundEnd, at.settled, maxRound)
		}
		return err
	})
	if err != nil {
		return at, nil, err
	}
	goesOn, text := at.meeting != "", 0 // one that goes on has its end
	for after := at.settled; after < at.until; {
		var page []Chunk
		err := s.db.Read(ctx, func(tx db.Reader) (err error) {
			page, err = db.All(tx, scanChunk, selectRound, after, at.until, roundPage)
			return err
		})
		if err != nil {
			return at, nil, err
		}
		for _, c := range page {
			if c.Meeting > at.meeting || c.Meeting == at.meeting && c.Position > at.position {
				chunks = append(chunks, c)
			}
			text += len(c.Text)
		}
		if len(page) < roundPage {
			break
		}
		after = page[len(page)-1].Position
		if text > maxRoundText && !goesOn {
			at.until = after
		}
	}
	slices.SortStableFunc(chunks, func(a, b Chunk) int {
		return cmp.Or(cmp.Compare(a.Meeting, b.Meeting), cmp.Compare(a.Position, b.Position))
	})
	return at, chunks, nil
}

// run is chunks of one meeting.
type run struct {
	meeting domain.MeetingID
	chunks  []Chunk
}

func (r run) last() int64 { return r.chunks[len(r.chunks)-1].Position }

// cut returns what one transaction settles of the chunks, and how many these are.
func cut(chunks []Chunk) (runs []run, n int) {
	most, text := 0, 0
	for most < min(len(chunks), maxPortion) && text < portionText {
		text += len(chunks[most].Text)
		most++
	}
	for n < most {
		end := n + 1
		for end < most && chunks[end].Meeting == chunks[n].Meeting {
			end++
		}
		runs = append(runs, run{chunks[n].Meeting, chunks[n:end]})
		if n = end; len(runs) == maxMeetings {
			break
		}
	}
	return runs, n
}

// settle settles a portion, if nobody else has since.
func (s *Settler) settle(tx *db.WriteTx, at, next progress, portion []run, meant meanings) error {
	n, err := tx.Exec(updateProgress, at.settled, at.meeting, at.position, next.settled, next.until, next.meeting, next.position)
	if err == nil && n == 0 {
		err = errors.New("what was said is being settled by another job")
	}
	if err != nil {
		return err
	}
	steps := append([]Settled{begin, label, hear, endLull, meant.derive}, s.steps...)
	for _, r := range portion {
		for _, step := range steps {
			if err := step(tx, r.meeting, r.chunks); err != nil {
				return err
			}
		}
	}
	return nil
}

func scanProgress(r db.Row) (p progress, err error) {
	err = r.Scan(&p.settled, &p.until, &p.meeting, &p.position)
	return p, err
}

const selectProgress = `
SELECT settled, until, meeting_id, position
FROM transcript_progress
WHERE id = 1`

const updateProgress = `
UPDATE transcript_progress
SET settled = ?4, until = ?5, meeting_id = ?6, position = ?7
WHERE id = 1 AND settled = ?1 AND meeting_id = ?2 AND position = ?3`

// selectRoundEnd is the last of the first so many after a position, or the position.
const selectRoundEnd = `
SELECT coalesce(max(position), ?1)
FROM (
  SELECT position
  FROM transcripts
  WHERE position > ?1
  ORDER BY position
  LIMIT ?2
)`

const selectRound = `
SELECT t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.confidence,
  coalesce(nullif(t.speaker_id, ''), s.user_id, ''), t.label, t.language, t.utterance, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = t.meeting_id AND s.label = t.label
WHERE t.position > ?1 AND t.position <= ?2
ORDER BY t.position
LIMIT ?3`

const selectUnsettled = `
SELECT created_at
FROM transcripts
WHERE position > ?1
ORDER BY position
LIMIT 1`
