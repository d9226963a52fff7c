// Package audit is the record of who did what.
//
// The entry of a committed write joins that write's transaction (Record). That
// of a refusal or a read, which have no transaction to join, is written within a
// second by a Log.
package audit

import (
	"errors"
	"fmt"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Outcome says how it ended.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed"
	Refused Outcome = "refused"
)

// Entry is one deed of one person. A text that is longer than its bound is cut
// between two characters, NULs are left out, and what is no UTF-8 is replaced.
type Entry struct {
	Actor    domain.UserID // "" when nobody was signed in
	Org      string        // the organization whose admins may read the entry; "" when none may
	Session  string        // the session of the actor's token, or ""
	Action   Action
	Resource string // the id of the meeting that it was done to or in, else a path, or ""
	Outcome  Outcome
	Detail   string // a JSON text, or ""; anything else, and what is too long, becomes a JSON string of its beginning
	Request  string // the id of the request, or ""
	Address  string // where the request came from, or ""
	Agent    string // what its client calls itself, or ""
}

// Line is an entry as it is stored.
type Line struct {
	Position int64
	At       time.Time // when it happened; the position grows with when it was stored
	Entry
}

// Record stores e as having happened now, when tx commits and never otherwise.
// It takes a number of the sequence. It fails for an entry without an action or
// with an outcome that is none.
func Record(tx *db.WriteTx, e Entry) error {
	e, err := e.bounded()
	if err != nil {
		return err
	}
	return insert(tx, tx.Now, e)
}

// Filter says which entries are asked for; what is zero asks for all.
type Filter struct {
	Actor    domain.UserID
	Resource string
	Action   Action
	Outcome  Outcome
	From     time.Time
	To       time.Time // before this
}

// endOfTime is behind every time that can be written down.
var endOfTime = time.Date(10_000, time.January, 1, 0, 0, 0, 0, time.UTC)

// any reports whether the filter leaves nothing out, but for a resource, whose
// entries have an index of their own.
func (f Filter) any() bool {
	f.Resource = ""
	return f == Filter{}
}

// Feed returns a part of what happened in the organization, nothing for "", to
// which those belong who have none. A filter that is rare is looked for among
// maxLooked entries at a time: see domain.Part.Looked. It joins the caller's
// transaction, which has checked that the record may be read.
func Feed(tx db.Reader, org string, f Filter, span domain.Span) (part domain.Part[Line], err error) {
	if org == "" {
		return domain.Part[Line]{Items: []Line{}}, nil
	}
	end, bound, err := f.window(tx, org, span)
	if err != nil {
		return part, err
	}
	if f.To.IsZero() {
		f.To = endOfTime
	}
	args := []any{org, f.Actor, f.Action, f.From.UnixMilli(), f.To.UnixMilli(), f.Outcome, bound}
	if f.Resource == "" {
		part, err = db.Part(tx, span, scanLine, db.Feed{After: selectLinesAfter, Before: selectLinesBefore}, args...)
	} else {
		part, err = db.Part(tx, span, scanLine, db.Feed{After: selectTouchesAfter, Before: selectTouchesBefore}, append(args, f.Resource)...)
	}
	if err != nil {
		return part, err
	}
	if !part.More && end > 0 {
		part.More, part.Looked = true, end
	}
	part.Gone, err = db.Gone(tx, span, "audit", org)
	return part, err
}

// maxLooked is how many entries are looked at in one transaction for those that a
// filter asks for, some tens of milliseconds: an organization has a million in a
// year, and a long transaction keeps the write-ahead log from being emptied.
const maxLooked = 20_000

// window returns the position at which looking for what the filter asks for stops,
// 0 where it goes to the end, and the same as the bound of the statements.
func (f Filter) window(tx db.Reader, org string, span domain.Span) (end, bound int64, err error) {
	forward := span.After != nil
	if forward {
		bound = domain.MaxNumber
	}
	if f.any() {
		return 0, bound, nil
	}
	query, args := selectWindowBefore, []any{org, int64(domain.MaxNumber), maxLooked}
	if f.Resource != "" {
		query, args = selectTouchWindowBefore, append(args, f.Resource)
	}
	switch {
	case forward && f.Resource != "":
		query, args[1] = selectTouchWindowAfter, *span.After
	case forward:
		query, args[1] = selectWindowAfter, *span.After
	case span.Before != nil:
		args[1] = *span.Before
	}
	end, err = db.One(tx, db.Int, query, args...)
	if errors.Is(err, db.ErrNone) {
		return 0, bound, nil
	}
	return end, end, err
}

func insert(tx *db.WriteTx, at time.Time, e Entry) error {
	_, err := tx.Exec(insertLine, tx.Next(), e.Org, e.Actor, e.Action, at.UnixMilli(), e.Resource,
		e.Outcome, e.Session, e.Request, e.Address, e.Agent, e.Detail)
	if err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	return nil
}
