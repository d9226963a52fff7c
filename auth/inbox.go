package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/jobs"
)

// The kinds of jobs whose handlers an Inbox has.
const (
	ApplyEvent = "workos.event"
	CatchUp    = "workos.catch-up"
)

const (
	// eventKept is how long the id of an event is remembered: WorkOS sends it
	// again for three days. An older one comes too late to change anything.
	eventKept = 4 * 24 * time.Hour
	// maxEventsForgotten is how many ids go with each that comes: more than one,
	// so that they do not pile up, and a fraction of a millisecond of the
	// writer's time.
	maxEventsForgotten = 20
)

// Inbox takes what WorkOS tells by itself: by webhooks, and by its list of
// events, which has those that no webhook has brought. It is safe for concurrent
// use.
type Inbox struct {
	db     *db.DB
	people *users.Store
	secret []byte
	api    *WorkOSDirectory // nil where there is no list to be read
	log    *slog.Logger

	accepted, repeated, ignored        atomic.Int64
	unsigned, wrong, stale, unreadable atomic.Int64
}

// InboxFigures are how many events have come since the start.
type InboxFigures struct {
	Accepted int64 // stored, to be applied
	Repeated int64 // known already
	Ignored  int64 // of a kind that changes nothing here
	Refused  int64 // webhooks; the sum of what follows

	Unsigned   int64 // without a signature
	Wrong      int64 // whose signature is wrong
	Stale      int64 // signed too long ago, or ahead
	Unreadable int64 // whose signature or body cannot be read, or is too large
}

// NewInbox returns an inbox. Without a secret, "", every webhook is refused;
// without an api, nil, the list of events is not read.
func NewInbox(d *db.DB, people *users.Store, secret string, api *WorkOSDirectory, log *slog.Logger) *Inbox {
	return &Inbox{db: d, people: people, secret: []byte(secret), api: api, log: log}
}

// Close lets go of connections to WorkOS. Jobs must not run any more.
func (in *Inbox) Close() {
	if in.api != nil {
		in.api.client.CloseIdleConnections()
	}
}

// Figures returns the figures.
func (in *Inbox) Figures() InboxFigures {
	f := InboxFigures{
		Accepted:   in.accepted.Load(),
		Repeated:   in.repeated.Load(),
		Ignored:    in.ignored.Load(),
		Unsigned:   in.unsigned.Load(),
		Wrong:      in.wrong.Load(),
		Stale:      in.stale.Load(),
		Unreadable: in.unreadable.Load(),
	}
	f.Refused = f.Unsigned + f.Wrong + f.Stale + f.Unreadable
	return f
}

// Configured refuses every webhook where there is no secret to tell whether it is
// from WorkOS. Errors: NotFound.
func (in *Inbox) Configured() error {
	if len(in.secret) == 0 {
		return domain.Fail(domain.NotFound, "no webhooks are taken here: the server has no --workos-webhook-secret")
	}
	return nil
}

// Receive takes a webhook: its body as it was sent, and the value of its header
// WorkOS-Signature. When it returns nil the event is stored, to be applied by a
// job at once; or it was before; or it changes nothing here.
//
// Errors: NotFound as Configured says; Unauthenticated when the signature is
// missing, wrong, or more than three minutes old; Malformed when what was signed
// cannot be read.
func (in *Inbox) Receive(ctx context.Context, signature string, body []byte) error {
	if err := in.Configured(); err != nil {
		return err
	}
	if err := checkSignature(in.secret, signature, body, in.db.Now()); err != nil {
		in.countRefused(ReasonOf(err))
		in.log.Warn("a webhook was refused", "reason", err)
		return err
	}
	e, matters, err := parseEvent(body)
	if err != nil {
		in.countRefused(Malformed)
		in.log.Error("a webhook of WorkOS cannot be read", "event", e.ID, "kind", e.Kind, "reason", err)
		return err
	}
	if !matters {
		in.ignored.Add(1)
		return nil
	}
	var fresh bool
	err = in.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		fresh, err = accept(tx, e)
		return err
	})
	if err == nil {
		in.count(fresh)
	}
	return err
}

// Unread counts a webhook whose body was refused before it was read: too large, of
// another type, or cut off.
func (in *Inbox) Unread() { in.unreadable.Add(1) }

func (in *Inbox) countRefused(r Reason) {
	switch r {
	case Unsigned:
		in.unsigned.Add(1)
	case BadSign:
		in.wrong.Add(1)
	case Stale:
		in.stale.Add(1)
	default:
		in.unreadable.Add(1)
	}
}

func (in *Inbox) count(fresh bool) {
	if fresh {
		in.accepted.Add(1)
	} else {
		in.repeated.Add(1)
	}
}

// accept leaves the event to a job; false when it was received before.
func accept(tx *db.WriteTx, e event) (fresh bool, err error) {
	n, err := tx.Exec(insertEvent, e.ID, tx.Now.UnixMilli())
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.Exec(deleteOldEvents, tx.Now.Add(-eventKept).UnixMilli(), maxEventsForgotten); err != nil {
		return false, err
	}
	return true, jobs.Enqueue(tx, jobs.Job{Kind: ApplyEvent, Payload: e})
}

// Apply is the handler of ApplyEvent. Events come in any order: what is older
// than what is known changes nothing.
func (in *Inbox) Apply(_ context.Context, t jobs.Task) (jobs.Effect, error) {
	var e event
	if err := json.Unmarshal(t.Payload, &e); err != nil {
		return nil, err
	}
	in.log.Info("an event of WorkOS", "event", e.ID, "kind", e.Kind)
	return func(tx *db.WriteTx) error { return in.apply(tx, e) }, nil
}

func (in *Inbox) apply(tx *db.WriteTx, e event) error {
	switch e.Kind {
	case userCreated, userUpdated:
		return in.people.Renew(tx, users.Identity{
			Subject:       e.Subject,
			Email:         e.Person.Email,
			EmailVerified: e.Person.EmailVerified,
			Name:          e.Person.Name,
			AvatarURL:     e.Person.AvatarURL,
			At:            e.At,
		})
	case userDeleted:
		return in.people.Remove(tx, e.Subject, e.At)
	case membershipCreated, membershipUpdated, membershipDeleted:
		return in.people.SetMembership(tx, users.Membership{Subject: e.Subject, Org: e.Org, Role: e.Role, Active: e.Active, At: e.At})
	case sessionRevoked:
		return in.people.Revoke(tx, e.Subject, e.Session)
	case orgDeleted:
		more, err := in.people.RemoveOrganization(tx, e.Org, e.At)
		if err != nil || !more {
			return err
		}
		return jobs.Enqueue(tx, jobs.Job{Kind: ApplyEvent, Payload: e})
	}
	return nil
}
