package users

import (
	"sync"
	"sync/atomic"

	"connvo/db"
)

// maxAccounts is how many accounts are remembered: one for each session of a busy
// server, some 300 bytes each.
const maxAccounts = 1 << 14

// accounts remembers the accounts that were read, until a commit changes any: every
// request asks for its caller's, and they hardly ever change. It is safe for
// concurrent use.
type accounts struct {
	// changes counts the commits that have changed an account or ended a session.
	// They are counted after readers see them and before their writers are
	// answered, so that nobody who knows of a change is told the state before it.
	changes atomic.Int64

	mu    sync.Mutex // guards known
	known map[credential]remembered
}

// credential is what an account is asked for by.
type credential struct{ subject, session string }

// remembered is an account as it was when so many changes had been counted.
type remembered struct {
	account Account
	changes int64
}

func newAccounts(d *db.DB) *accounts {
	a := &accounts{known: map[credential]remembered{}}
	d.OnCommit(func(set db.ChangeSet) {
		if set.Has("users") || set.Has("ended_sessions") {
			a.changes.Add(1)
		}
	})
	return a
}

// get returns the account if it is known and nothing has changed since, and else
// what to give put with it once it is read.
func (a *accounts) get(c credential) (account Account, known bool, changes int64) {
	changes = a.changes.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	r, found := a.known[c]
	return r.account, found && r.changes == changes, changes
}

// put remembers an account that was read after get had returned changes.
func (a *accounts) put(c credential, account Account, changes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.known[c]; !found && len(a.known) >= maxAccounts {
		clear(a.known) // what is in use is back after one read
	}
	a.known[c] = remembered{account, changes}
}
