package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"connvo/db"
	"connvo/domain"
)

// State is where a job is.
type State string

// The states of a job. One that is done is gone.
const (
	StateWaiting State = "waiting" // its instant has not come, or enough others run
	StateRunning State = "running"
	StateDead    State = "dead" // it failed too often to be tried again by itself
)

// Entry is a job as an admin sees it: what it is to do, its payload, is not told,
// for it may hold what people have said.
type Entry struct {
	ID        int64
	Kind      string
	Name      string // "" when it has none
	State     State
	Attempts  int // that have failed
	CreatedAt time.Time
	RunAt     time.Time // when it is due, or was; when it died, of a dead one
	LastError string    // one line, "" when none has failed
}

// Filter is which jobs are asked for.
type Filter struct {
	State State  // "" for any
	Kind  string // "" for any
	Below int64  // older ones than this id, 0 for the newest
	Limit int    // jobs, at most
}

// Require decides that the caller is an admin, and of which organization. It is the
// first statement of what only admins may do.
type Require func(tx db.Reader, who domain.Actor) (org string, err error)

// Board shows the admins of an organization its jobs. A job is of an organization
// when its Org says so; what is nobody's no admin sees. It is safe for concurrent
// use.
type Board struct {
	db      *db.DB
	running func() []int64
	require Require
}

// NewBoard returns the board of the jobs in d, of which running tells those that
// run now.
func NewBoard(d *db.DB, running func() []int64, require Require) *Board {
	return &Board{db: d, running: running, require: require}
}

// List returns jobs of the organization that the caller administers, the newest
// first, and whether there are more. Errors: what Require returns.
func (b *Board) List(ctx context.Context, who domain.Actor, f Filter) (page []Entry, more bool, err error) {
	running, err := json.Marshal(append([]int64{}, b.running()...)) // none is an empty list
	if err != nil {
		return nil, false, err
	}
	below := f.Below
	if below == 0 {
		below = domain.MaxNumber
	}
	err = b.db.Read(ctx, func(tx db.Reader) error {
		org, err := b.require(tx, who)
		if err != nil {
			return err
		}
		page, err = db.All(tx, scanEntry, selectOfOrg, org, below, f.Kind, string(f.State), f.Limit+1, string(running))
		return err
	})
	if more = len(page) > f.Limit; more {
		page = page[:f.Limit]
	}
	return page, more, err
}

// Retry brings a dead job of the organization that the caller administers back, as
// if it had never failed, and returns it. Errors: what Require returns; NotFound
// when the organization has no such job; Conflict when it is not dead, or another
// of its name waits.
func (b *Board) Retry(ctx context.Context, who domain.Actor, id int64) (Entry, error) {
	var e Entry
	err := b.db.Write(ctx, func(tx *db.WriteTx) error {
		org, err := b.require(tx, who)
		if err != nil {
			return err
		}
		e, err = db.One(tx, scanEntry, selectOneOfOrg, id, org)
		switch {
		case errors.Is(err, db.ErrNone):
			return domain.Fail(domain.NotFound, "there is no such job")
		case err != nil:
			return err
		case e.State != StateDead:
			return domain.Fail(domain.Conflict, "the job is not dead: it is tried by itself")
		}
		if err := Retry(tx, id); err != nil {
			return err
		}
		e, err = db.One(tx, scanEntry, selectOneOfOrg, id, org)
		return err
	})
	return e, err
}

func scanEntry(r db.Row) (Entry, error) {
	e := Entry{State: StateWaiting}
	var dead, running bool
	var created, at int64
	err := r.Scan(&e.ID, &e.Kind, &e.Name, &dead, &running, &e.Attempts, &created, &at, &e.LastError)
	e.CreatedAt, e.RunAt, e.LastError = time.UnixMilli(created).UTC(), time.UnixMilli(at).UTC(), oneLine(e.LastError)
	switch {
	case dead:
		e.State = StateDead
	case running:
		e.State = StateRunning
	}
	return e, err
}

// maxShown is how many bytes of an error an admin is shown: what went wrong, not
// what a provider has answered.
const maxShown = 200

// oneLine returns the beginning of a text, without what is not to be printed.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}
