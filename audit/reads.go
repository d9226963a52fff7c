package audit

import (
	"sync"
	"time"

	"connvo/domain"
)

// ReadsEvery is how often the reads of one person from one resource are told.
const ReadsEvery = 10 * time.Minute

// maxReads is how many pairs of a person and a resource are remembered, some
// megabytes; beyond it a read is told once too often.
const maxReads = 1 << 15

// Reads knows which reads have been told lately, so that somebody who asks the
// same again and again is recorded once. It is safe for concurrent use.
type Reads struct {
	mu   sync.Mutex
	told map[read]time.Time
}

type read struct {
	actor    domain.UserID
	resource string
}

// NewReads returns one that remembers nothing.
func NewReads() *Reads { return &Reads{told: map[read]time.Time{}} }

// First reports whether the read is the actor's first of the resource since
// ReadsEvery before now, and remembers it.
func (r *Reads) First(actor domain.UserID, resource string, now time.Time) bool {
	key := read{actor, resource}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, found := r.told[key]; found && now.Sub(at) < ReadsEvery {
		return false
	}
	if len(r.told) >= maxReads {
		r.forget(now)
	}
	r.told[key] = now
	return true
}

// Undo forgets a read that could not be told after all.
func (r *Reads) Undo(actor domain.UserID, resource string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, read{actor, resource})
}

// forget makes room: of what is over, else of everything.
func (r *Reads) forget(now time.Time) {
	for key, at := range r.told {
		if now.Sub(at) >= ReadsEvery {
			delete(r.told, key)
		}
	}
	if len(r.told) > maxReads/2 { // else looking through them would soon be the cost of each read
		clear(r.told)
	}
}
