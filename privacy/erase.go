package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/messages"
	"connvo/domain/users"
	"connvo/idempotency"
	"connvo/jobs"
)

const (
	// portion is how many rows a statement deletes at once; it is written into them.
	portion = 100
	// segmentPortion is how many segments are changed at once: they have long texts.
	segmentPortion = 20
	// window is how many numbers of the sequence one read looks at.
	window = 2000
	// maxSteps ends a job, after some seconds; another goes on where it was.
	maxSteps = 2000
	// lookAgain is when an erasure looks once more: what was under way when it was
	// asked for, such as entries of the record and limits of rates, is stored by then.
	lookAgain = 10 * time.Minute
	// emptyTries and emptyPause bound the wait for readers of an older state.
	emptyTries = 20
	emptyPause = 100 * time.Millisecond
)

// Eraser erases people, by jobs, a little at a time. Whatever a job has done it
// finds done when it begins anew.
type Eraser struct{ db *db.DB }

// NewEraser returns the eraser of the people in d.
func NewEraser(d *db.DB) *Eraser { return &Eraser{db: d} }

// stage does a step of a stage of an erasure, a transaction of a few milliseconds at
// most, and reports whether the stage is over.
type stage func(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error)

// stages are what there is to do, in order. The account is last, because it tells by
// what else the person is found.
var stages = []stage{eraseRows, eraseAudio, eraseAnswers, eraseMessages, eraseLabels, eraseSpeakers, eraseRecord, eraseJobs, eraseErrors, purgeWords, eraseAccount}

// Erase is the handler of users.Erased.
func (e *Eraser) Erase(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	var p users.Progress
	if err := json.Unmarshal(t.Payload, &p); err != nil {
		return nil, err
	}
	for range maxSteps {
		over, err := stages[p.Stage](ctx, e.db, &p)
		if err != nil {
			return nil, err
		}
		if !over {
			continue
		}
		p.Stage, p.After = p.Stage+1, 0
		if p.Stage == len(stages) {
			if err := EmptyLog(ctx, e.db); err != nil {
				return nil, err
			}
			return done(p), nil
		}
	}
	return func(tx *db.WriteTx) error { return users.Continue(tx, p, tx.Now) }, nil
}

// done is the end of an erasure.
func done(p users.Progress) jobs.Effect {
	return func(tx *db.WriteTx) error {
		if err := users.ErasedDone(tx, p.User); err != nil || p.Again {
			return err
		}
		return users.Continue(tx, users.Progress{User: p.User, Again: true}, tx.Now.Add(lookAgain))
	}
}

// EmptyLog empties the write-ahead log of d, for whose readers of older states it waits
// some seconds: nothing that was erased is left beside the file. Errors: Unavailable where
// one reads for longer.
func EmptyLog(ctx context.Context, d *db.DB) (err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for range emptyTries {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err = d.EmptyLog(ctx); domain.KindOf(err) != domain.Unavailable || err == nil {
			return err
		}
		timer.Reset(emptyPause)
	}
	return err
}

// identify returns what the person is found by. In a database that is older than
// they are, and after the end of their erasure, only the id is left.
func identify(tx db.Reader, id domain.UserID) (users.Identified, error) {
	who, err := users.Identify(tx, id)
	if errors.Is(err, db.ErrNone) {
		return users.Identified{User: id}, nil
	}
	return who, err
}

func eraseRows(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	err = d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		who, err := identify(tx, p.User)
		if err != nil {
			return err
		}
		over = true
		for _, r := range rows {
			key := r.key(who)
			if key == "" {
				continue
			}
			n, err := tx.Exec(r.query, key)
			if err != nil {
				return err
			}
			if n >= portion {
				over = false
				return nil
			}
		}
		return nil
	})
	return over, err
}

// eraseAudio deletes a few pieces at once: each is up to 256 pages.
func eraseAudio(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	err = d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		n, err := tx.Exec(deleteAudio, p.User)
		over = n == 0
		return err
	})
	return over, err
}

func eraseAnswers(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	err = d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		more, err := idempotency.DeleteOf(tx, p.User)
		over = !more
		return err
	})
	return over, err
}

func eraseMessages(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	var found []messages.Text
	to := p.After + window
	if err := d.Read(ctx, func(tx db.Reader) (err error) {
		if found, err = messages.Written(tx, p.User, p.After, to); err == nil && len(found) == 0 {
			to, err = skip(tx, nextMessage, to)
		}
		return err
	}); err != nil {
		return false, err
	}
	if len(found) == 0 {
		p.After = to
		return to >= d.Committed(), nil
	}
	n := 0
	err = d.WriteBackground(ctx, func(tx *db.WriteTx) (err error) {
		n, err = messages.Erase(tx, found)
		return err
	})
	if err == nil {
		p.After = found[n-1].Seq
	}
	return false, err
}

// eraseLabels puts the id in the place of labels that stand for the person: they may
// be a name.
func eraseLabels(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	return numbered(ctx, d, p, updateLabels, nextChunk, func(tx db.Reader, to int64) ([]int64, error) {
		return db.All(tx, db.Int, selectLabels, p.User, p.After, to)
	})
}

// speaker is a label that stands for the person in a meeting.
type speaker struct {
	meeting domain.MeetingID
	label   string
}

// place is where a segment stands in its meeting.
type place struct{ start, first int64 }

// eraseSpeakers does the same to a few segments of one label, where nobody is shown the
// label of a speaker who is known, and at last to its counts, where it becomes a number
// that is that of no other row; then nothing tells any more whom the label stood for.
// All segments of the meeting are looked through for it, so that is done beside the
// writer.
func eraseSpeakers(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	var s speaker
	var segments []place
	err = d.Read(ctx, func(tx db.Reader) (err error) {
		if s, err = db.One(tx, scanSpeaker, selectSpeaker, p.User); err == nil {
			segments, err = db.All(tx, scanPlace, selectSegments, s.meeting, s.label, segmentPortion)
		}
		return err
	})
	if errors.Is(err, db.ErrNone) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		for _, g := range segments {
			if _, err := tx.Exec(updateSegment, s.meeting, g.start, g.first, s.label, p.User); err != nil {
				return err
			}
		}
		if len(segments) > 0 {
			return nil
		}
		if _, err := tx.Exec(updateCounts, s.meeting, s.label, p.User); err != nil {
			return err
		}
		_, err := tx.Exec(deleteSpeaker, s.meeting, s.label, p.User)
		return err
	})
}

// eraseRecord leaves of what the person did who it was, by id, and what; not why, in
// their own words.
func eraseRecord(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	return numbered(ctx, d, p, updateTraces, nextEntry, func(tx db.Reader, to int64) ([]int64, error) {
		return db.All(tx, db.Int, selectTraces, p.User, p.After, to)
	})
}

// words are what the person is found by in a text, besides the id.
func words(who users.Identified) []string {
	return slices.DeleteFunc([]string{who.Subject, who.Email, who.Address}, func(w string) bool { return w == "" })
}

// eraseJobs deletes what is waiting and names the person by more than the id, and what
// has failed for good and tells of them in any way. What is waiting for somebody else,
// whose address is longer, stays.
func eraseJobs(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	return numbered(ctx, d, p, deleteJobs, nextJob, func(tx db.Reader, to int64) ([]int64, error) {
		who, err := identify(tx, p.User)
		if err != nil {
			return nil, err
		}
		known := words(who)
		members := []string{}
		for _, w := range known {
			quoted, _ := json.Marshal(w) // as in a payload; texts always encode
			members = append(members, string(quoted))
		}
		exact, _ := json.Marshal(members)
		all, _ := json.Marshal(append(known, string(p.User)))
		return db.All(tx, db.Int, selectJobs, p.After, to, string(exact), string(all))
	})
}

// eraseErrors takes what names the person out of what is said of attempts that have
// failed and are made again.
func eraseErrors(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	return numbered(ctx, d, p, updateErrors, nextJob, func(tx db.Reader, to int64) ([]int64, error) {
		who, err := identify(tx, p.User)
		if err != nil {
			return nil, err
		}
		known, _ := json.Marshal(words(who)) // texts always encode
		return db.All(tx, db.Int, selectErrors, p.After, to, string(known))
	})
}

// numbered does change to the rows that find returns, of those whose number is above
// p.After and not above to. change takes a list of numbers; next is of the rows' table.
func numbered(ctx context.Context, d *db.DB, p *users.Progress, change, next string, find func(tx db.Reader, to int64) ([]int64, error)) (over bool, err error) {
	to := p.After + window
	var found []int64
	if err := d.Read(ctx, func(tx db.Reader) (err error) {
		if found, err = find(tx, to); err == nil && len(found) == 0 {
			to, err = skip(tx, next, to)
		}
		return err
	}); err != nil {
		return false, err
	}
	if len(found) > portion {
		found = found[:portion]
		to = found[portion-1]
	}
	if len(found) > 0 {
		list, _ := json.Marshal(found) // numbers always encode
		if err := d.WriteBackground(ctx, func(tx *db.WriteTx) error {
			_, err := tx.Exec(change, string(list))
			return err
		}); err != nil {
			return false, err
		}
	}
	p.After = to
	return to >= d.Committed(), nil
}

// skip returns the last number up to which no row of the table that next looks at has
// one above n.
func skip(tx db.Reader, next string, n int64) (int64, error) {
	following, err := db.One(tx, db.Int, next, n)
	if err != nil || following == 0 {
		return math.MaxInt64, err
	}
	return following - 1, nil
}

// purgeWords takes the words of the erased messages out of the index. What is found
// later has none: who is deactivated says nothing.
func purgeWords(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	if p.Again {
		return true, nil
	}
	err = d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		more, err := messages.Purge(tx, p.After == 0)
		over = !more
		return err
	})
	p.After = 1
	return over, err
}

func eraseAccount(ctx context.Context, d *db.DB, p *users.Progress) (over bool, err error) {
	return true, d.WriteBackground(ctx, func(tx *db.WriteTx) error {
		if _, err := tx.Exec(deleteHorizons, p.User); err != nil {
			return err
		}
		return users.Anonymise(tx, p.User)
	})
}
