package transcripts

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
	"connvo/jobs"
)

// The forms of what a sender names.
const (
	LabelPattern    = `^[\p{L}\p{N}][\p{L}\p{N} ._:#()-]{0,63}$`
	LanguagePattern = `^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`
)

var (
	labelPattern    = regexp.MustCompile(LabelPattern)
	languagePattern = regexp.MustCompile(LanguagePattern)
)

// Draft is a chunk as it is sent.
type Draft struct {
	Speaker    domain.UserID // a member of the meeting, or ""
	Label      string        // as LabelPattern where Speaker is "", or ""
	Text       string
	Confidence float64
	Start, End time.Duration
	Language   string // as LanguagePattern, or ""
	Utterance  string // at most MaxUtterance characters, or ""
	Interim    bool   // it is shown only: a final one with the same utterance follows
}

// Check returns what is wrong with the draft by itself, an Invalid whose field is
// the name that it has on the wire, such as "text".
func (d Draft) Check() error {
	switch {
	case strings.TrimSpace(d.Text) == "":
		return domain.FailField("text", "must not be empty")
	case utf8.RuneCountInString(d.Text) > MaxText:
		return domain.FailField("text", "has at most %d characters", MaxText)
	case strings.IndexByte(d.Text, 0) >= 0:
		return domain.FailField("text", "contains the character NUL")
	case !(d.Confidence >= 0 && d.Confidence <= 1): // nor is NaN
		return domain.FailField("confidence", "must be from 0 to 1")
	case d.Start < 0:
		return domain.FailField("startMs", "must not be negative")
	case d.End <= d.Start:
		return domain.FailField("endMs", "must be after startMs")
	case d.End > MaxOffset:
		return domain.FailField("endMs", "must be at most %d", MaxOffset.Milliseconds())
	case d.Label != "" && d.Speaker != "":
		return domain.FailField("speakerLabel", "is for a speaker whose speakerId is not known: leave out one of them")
	case d.Label != "" && !labelPattern.MatchString(d.Label):
		return domain.FailField("speakerLabel", "must match %s", LabelPattern)
	case d.Language != "" && !languagePattern.MatchString(d.Language):
		return domain.FailField("language", "must be a language tag such as en or pt-BR")
	case utf8.RuneCountInString(d.Utterance) > MaxUtterance:
		return domain.FailField("utteranceId", "has at most %d characters", MaxUtterance)
	case strings.IndexByte(d.Utterance, 0) >= 0:
		return domain.FailField("utteranceId", "contains the character NUL")
	}
	return nil
}

// Appended is what became of drafts.
type Appended struct {
	// Positions are those of the chunks, in the order of the drafts; 0 of an interim
	// one, and of an utterance that was stored before the one it has had.
	Positions []int64
	// Interim are the interim ones, as they are to be shown: with who speaks, where
	// their label has a name, and without those of which the final one is stored.
	Interim []Draft
}

// Span returns the first and the last of the positions, 0 where none is final.
func (a Appended) Span() (first, last int64) {
	for _, p := range a.Positions {
		if p != 0 && (first == 0 || p < first) {
			first = p
		}
		last = max(last, p)
	}
	return first, last
}

// Append stores the final ones of 1 to MaxChunks drafts, all or none. One whose
// utterance was stored before is not stored again. What is interim is checked, and
// it is the caller's to show it.
//
// Errors: Invalid, with the field of the draft such as "body.chunks[3].text", for
// what Draft.Check finds, for a speaker who is no member, and for one that begins before
// others where those are MaxBucket; Forbidden to observers and to who is not there;
// MeetingNotActive unless the meeting is active.
func (s *Store) Append(ctx context.Context, who domain.Actor, m domain.MeetingID, drafts []Draft) (a Appended, err error) {
	if len(drafts) == 0 || len(drafts) > MaxChunks {
		return a, domain.FailField("body.chunks", "must be 1 to %d", MaxChunks)
	}
	for i, d := range drafts {
		if err := d.Check(); err != nil {
			return a, at(i, err)
		}
	}
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		a = Appended{Positions: make([]int64, len(drafts))}
		if err := RequireHeard(tx, who, m); err != nil {
			return err
		}
		if err := checkSpeakers(tx, m, drafts); err != nil {
			return err
		}
		return a.store(tx, m, drafts)
	})
	return a, err
}

// store stores the final drafts and arranges that they are settled.
func (a *Appended) store(tx *db.WriteTx, m domain.MeetingID, drafts []Draft) error {
	fresh, begins := false, order{}
	for i, d := range drafts {
		if d.Interim {
			if err := a.show(tx, m, d); err != nil {
				return err
			}
			continue
		}
		position, known, err := claim(tx, m, d.Utterance)
		if err != nil {
			return err
		}
		a.Positions[i] = position
		if known {
			continue
		}
		fresh = true
		if err := begins.check(tx, m, d); err != nil {
			return at(i, err)
		}
		if err := insert(tx, m, position, d); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	return settleSoon(tx)
}

// Add stores what a member was heard to say while the meeting ran, also if it has
// ended since, or they are members no more: that they might say it was decided when it
// was taken in. It is not looked for whether its utterance was stored before. It joins
// the caller's transaction. Errors: those of Draft.Check.
func Add(tx *db.WriteTx, m domain.MeetingID, d Draft) error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := insert(tx, m, tx.Next(), d); err != nil {
		return err
	}
	return settleSoon(tx)
}

func insert(tx *db.WriteTx, m domain.MeetingID, position int64, d Draft) error {
	_, err := tx.Exec(insertChunk, position, m, tx.Now.UnixMilli(), d.Start.Milliseconds(), d.End.Milliseconds(),
		d.Confidence, d.Speaker, d.Label, d.Language, d.Utterance, d.Text)
	return err
}

// settleSoon arranges that what is new is settled.
func settleSoon(tx *db.WriteTx) error {
	waits, err := jobs.Waits(tx, Settle)
	if err != nil || waits {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: Settle, Name: Settle, RunAt: tx.Now.Add(settleEvery)})
}

// show adds an interim draft to those that are shown.
func (a *Appended) show(tx db.Reader, m domain.MeetingID, d Draft) error {
	if d.Utterance != "" {
		_, err := db.One(tx, db.Int, selectUtterance, m, d.Utterance)
		if !errors.Is(err, db.ErrNone) {
			return err // nil: it is final
		}
	}
	if d.Label != "" {
		named, err := db.One(tx, scanSpeaker, selectSpeaker, m, d.Label)
		if err != nil && !errors.Is(err, db.ErrNone) {
			return err
		}
		d.Speaker = named.User
	}
	a.Interim = append(a.Interim, d)
	return nil
}

// claim returns the position of a new chunk, or of the one that is stored under its
// utterance.
func claim(tx *db.WriteTx, m domain.MeetingID, utterance string) (position int64, known bool, err error) {
	if utterance != "" {
		position, err = db.One(tx, db.Int, selectUtterance, m, utterance)
		if err == nil {
			return position, true, nil
		}
		if !errors.Is(err, db.ErrNone) {
			return 0, false, err
		}
	}
	position = tx.Next()
	if utterance != "" {
		_, err = tx.Exec(insertUtterance, m, utterance, position)
	}
	return position, false, err
}

// May refuses whoever may not say what is said in the meeting now, as Append does.
func (s *Store) May(ctx context.Context, who domain.Actor, m domain.MeetingID) error {
	return s.db.Read(ctx, func(tx db.Reader) error { return RequireHeard(tx, who, m) })
}

// RequireHeard refuses whoever may not say what is said in the meeting now, with the
// errors of Append. It joins the caller's transaction.
func RequireHeard(tx db.Reader, who domain.Actor, m domain.MeetingID) error {
	viewer, err := participants.Require(tx, who, m, participants.WriteContent)
	if err != nil {
		return err
	}
	if viewer.State != participants.Active {
		return domain.Fail(domain.MeetingNotActive, "a transcript is written while the meeting is active")
	}
	return nil
}

// checkSpeakers refuses speakers who are no members of the meeting.
func checkSpeakers(tx db.Reader, m domain.MeetingID, drafts []Draft) error {
	members := map[domain.UserID]bool{"": true}
	for i, d := range drafts {
		if members[d.Speaker] {
			continue
		}
		_, err := participants.Find(tx, m, string(d.Speaker))
		if errors.Is(err, db.ErrNone) {
			return at(i, domain.FailField("speakerId", "is no member of the meeting"))
		}
		if err != nil {
			return err
		}
		members[d.Speaker] = true
	}
	return nil
}

// at returns err with the place of the draft in its request.
func at(i int, err error) error {
	if e, found := errors.AsType[*domain.Error](err); found && e.Field != "" {
		placed := *e
		placed.Field = fmt.Sprintf("body.chunks[%d].%s", i, e.Field)
		return &placed
	}
	return err
}
