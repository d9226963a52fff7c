// Package retention is how long things are kept.
package retention

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/jobs"
)

// Day is what an organization counts in.
const Day = 24 * time.Hour

// The bounds of what an organization may decide, in days.
const (
	MinDays = 1
	MaxDays = 3650
)

// Policy is how long an organization keeps what its meetings leave, in days.
type Policy struct {
	MessagesDays    int
	TranscriptsDays int
}

// Standard is the policy of whoever has not decided, and of meetings that belong to
// no organization.
var Standard = Policy{MessagesDays: 90, TranscriptsDays: 90}

// Messages returns how long messages are kept.
func (p Policy) Messages() time.Duration { return time.Duration(p.MessagesDays) * Day }

// Transcripts returns how long transcripts are kept.
func (p Policy) Transcripts() time.Duration { return time.Duration(p.TranscriptsDays) * Day }

func (p Policy) check() error {
	for field, days := range map[string]int{"body.messagesDays": p.MessagesDays, "body.transcriptsDays": p.TranscriptsDays} {
		if days < MinDays || days > MaxDays {
			return domain.FailField(field, "must be from %d to %d", MinDays, MaxDays)
		}
	}
	return nil
}

// Store is the policies in the database. It is safe for concurrent use.
type Store struct{ db *db.DB }

// NewStore returns the policies in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Of returns the policy of the organization, Standard for "". It joins the caller's
// transaction.
func Of(tx db.Reader, org string) (Policy, error) {
	p, err := db.One(tx, scanPolicy, selectPolicy, org)
	if errors.Is(err, db.ErrNone) {
		return Standard, nil
	}
	return p, err
}

// Get returns the policy of the organization that the caller administers. Errors:
// those of users.RequireAdmin.
func (s *Store) Get(ctx context.Context, who domain.Actor) (p Policy, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		p, err = Of(tx, org)
		return err
	})
	return p, err
}

// Set makes p the policy of the organization that the caller administers. A shorter
// time holds for what is stored already, too, from the next moment on. The same
// policy again changes nothing. Errors: Invalid, naming the field, and those of
// users.RequireAdmin.
func (s *Store) Set(ctx context.Context, who domain.Actor, p Policy) error {
	if err := p.check(); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		org, err := users.RequireAdmin(tx, who)
		if err != nil {
			return err
		}
		before, err := Of(tx, org)
		if err != nil || before == p {
			return err
		}
		if _, err := tx.Exec(upsertPolicy, org, p.MessagesDays, p.TranscriptsDays); err != nil {
			return err
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: Review, Name: Review})
	})
}

const selectPolicy = `
SELECT messages_days, transcripts_days
FROM retention_settings
WHERE org_id = ?1
-- scope: retention_settings.org_id=?1`

const upsertPolicy = `
INSERT INTO retention_settings (org_id, messages_days, transcripts_days)
VALUES (?1, ?2, ?3)
ON CONFLICT (org_id) DO UPDATE
SET messages_days = excluded.messages_days, transcripts_days = excluded.transcripts_days`

func scanPolicy(r db.Row) (Policy, error) {
	var p Policy
	err := r.Scan(&p.MessagesDays, &p.TranscriptsDays)
	return p, err
}
