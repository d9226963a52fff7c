// Package insights is what those who were in a meeting are told about it when it is
// over.
//
// They are made here, of what was said and written, without anybody else's help: the
// sentences are quoted, not invented. Each person has their own, and nobody else reads
// them. What they say of other people is either part of the meeting, or what those tell
// about themselves and let be used; docs/insights.md tells more.
package insights

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/profiles"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/jobs"
)

// Local says that insights were made here, without a provider.
const Local = "local"

// Renew is the kind of the jobs that make insights for one person who has asked for
// them.
const Renew = "insights.renew"

// Insight is what one person is told about one meeting. Its lists are never nil.
type Insight struct {
	ID              domain.InsightID
	Meeting         domain.MeetingID
	Summary         string
	Topics          []string
	Decisions       []string
	Actions         []Action
	Recommendations []Recommendation
	People          []Person
	Segments        []domain.SegmentID // of the transcript, from which it quotes
	GeneratedBy     string
	Helpful         *bool // nil until the person has said so
	CreatedAt       time.Time
}

// Action is something to do.
type Action struct {
	Text  string
	Owner domain.UserID // "" where nobody is named
	Due   time.Time     // the end of a day, zero where none is clear
}

// Recommendation is what the person might do.
type Recommendation struct {
	Text, Reason string
	Confidence   float64 // 0 to 1
}

// Person is somebody whom they met and might want to know.
type Person struct {
	User   domain.UserID
	Reason string
}

// Store is the insights in the database. It is safe for concurrent use.
type Store struct {
	db       *db.DB
	flags    *flags.Store
	profiles *profiles.Store
}

// NewStore returns the insights in d, made for those for whom the flag is on.
func NewStore(d *db.DB, on *flags.Store, people *profiles.Store) *Store {
	return &Store{db: d, flags: on, profiles: people}
}

// Of returns the caller's insights into a meeting, and false while there are none.
// Errors: Conflict before its end, and when it was cancelled.
func (s *Store) Of(ctx context.Context, who domain.Actor, m domain.MeetingID) (i Insight, found bool, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := requireEnded(tx, who, m, participants.ReadContent); err != nil {
			return err
		}
		head, err := db.One(tx, scanInsight, selectOf, who.User, m)
		if errors.Is(err, db.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		all, err := s.tell(tx, who, []Insight{head})
		if err == nil {
			i, found = all[0], true
		}
		return err
	})
	return i, found, err
}

// List returns the caller's insights into the meetings of which they are a member, the
// newest first: at most limit of them, below the id below ("" for the first page), and
// whether there are more.
func (s *Store) List(ctx context.Context, who domain.Actor, below domain.InsightID, limit int) (list []Insight, more bool, err error) {
	if below == "" {
		below = aboveAll
	}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		heads, err := db.All(tx, scanInsight, selectList, who.User, below, limit+1)
		if err != nil {
			return err
		}
		if more = len(heads) > limit; more {
			heads = heads[:limit]
		}
		list, err = s.tell(tx, who, heads)
		return err
	})
	return list, more, err
}

// aboveAll sorts behind every id.
const aboveAll domain.InsightID = "ins`"

// Generate asks for insights into a meeting, which a job then makes; of what has not
// changed none are made again. It returns the instant of the asking.
//
// Errors: Forbidden for those who never joined, and where the flag is off; Conflict
// before the end, when the meeting was cancelled, and when nothing of it is kept.
func (s *Store) Generate(ctx context.Context, who domain.Actor, m domain.MeetingID) (asked time.Time, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := requireEnded(tx, who, m, participants.Reflect); err != nil {
			return err
		}
		on, err := s.flags.Enabled(tx, who.User, flags.Insights)
		if err != nil {
			return err
		}
		if !on {
			return domain.Fail(domain.Forbidden, "insights are switched off for you")
		}
		when, err := db.One(tx, scanWhen, selectWhen, m)
		if err != nil {
			return err
		}
		if tx.Now.Sub(when.ended) >= meetings.Remembered {
			return domain.Fail(domain.Conflict, "the meeting ended more than a year ago")
		}
		org, err := meetings.OrgOf(tx, m)
		if err != nil {
			return err
		}
		asked = tx.Now
		return renew(tx, m, who.User, org)
	})
	return asked, err
}

// renew leaves somebody's insights to a job.
func renew(tx *db.WriteTx, m domain.MeetingID, user domain.UserID, org string) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Renew, Name: Renew + ":" + string(m) + ":" + string(user), Org: org, Payload: wish{m, user}})
}

// wish is whose insights into which meeting are asked for.
type wish struct {
	Meeting domain.MeetingID
	User    domain.UserID
}

// Rate stores whether the caller's own insights were helpful. Errors: NotFound for what
// is not theirs.
func (s *Store) Rate(ctx context.Context, who domain.Actor, id domain.InsightID, helpful bool) error {
	return s.change(ctx, who, func(tx *db.WriteTx) (int64, error) { return tx.Exec(updateHelpful, id, who.User, helpful) })
}

// Delete deletes the caller's own insights. Errors: NotFound for what is not theirs.
func (s *Store) Delete(ctx context.Context, who domain.Actor, id domain.InsightID) error {
	return s.change(ctx, who, func(tx *db.WriteTx) (int64, error) { return tx.Exec(deleteInsight, id, who.User) })
}

func (s *Store) change(ctx context.Context, who domain.Actor, do func(tx *db.WriteTx) (int64, error)) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		n, err := do(tx)
		if err == nil && n == 0 {
			return domain.Fail(domain.NotFound, "there are no such insights")
		}
		return err
	})
}

// requireEnded refuses whoever has not the right, and then a meeting that has not ended.
func requireEnded(tx db.Reader, who domain.Actor, m domain.MeetingID, right participants.Right) error {
	viewer, err := participants.Require(tx, who, m, right)
	if err != nil {
		return err
	}
	if viewer.State != participants.Concluded {
		return domain.Fail(domain.Conflict, "the meeting is %s; insights are of one that has ended", viewer.State)
	}
	return nil
}
