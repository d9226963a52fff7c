package replica

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// DefaultTerm is how long a lease lasts from the beginning of its last renewal.
const DefaultTerm = 30 * time.Second

// maxGenerations is how many the lease remembers: of those that were superseded within
// a month many times what there are. Each takes some 150 bytes of it.
const maxGenerations = 200

// confirmTime bounds one renewal that somebody waits for, many times what it takes.
const confirmTime = 5 * time.Second

const leaseName = "lease.json"

// Errors of a lease.
var (
	// ErrTaken is behind the errors of a server in whose place another one writes.
	ErrTaken = errors.New("another server has taken the lease")
	// ErrLapsed is behind those of one that could not renew its lease in time.
	ErrLapsed = errors.New("the lease could not be renewed in time")

	errUnreadable = errors.New("its " + leaseName + " cannot be read")
)

// Holder is a server that may hold the lease.
type Holder struct {
	Owner   string `json:"owner"`             // an id that is kept beside the file
	Machine string `json:"machine,omitempty"` // on Fly
	URL     string `json:"url,omitempty"`     // where it is reached, if that is known
}

// Generation is what one owner after another has copied, each below a directory of
// its own.
type Generation struct {
	Number  uint64    `json:"number"`
	BeganAt time.Time `json:"beganAt"`
	From    Position  `json:"from"`   // what it goes on from, zero for the first
	Commit  int64     `json:"commit"` // the last number in that
}

// record is the lease as it is stored. It is never deleted, so that no number of a
// generation comes twice.
type record struct {
	Holder
	Turn        string        `json:"turn"` // of one process
	Beat        uint64        `json:"beat"` // so that no two records of a turn are the same
	Term        time.Duration `json:"termNs"`
	ExpiresAt   time.Time     `json:"expiresAt"` // for who reads it; no clock is compared with it
	Released    bool          `json:"released"`
	Transaction uint64        `json:"transaction"` // the newest of the generation when it was renewed
	Generations []Generation  `json:"generations"` // oldest first; the last is the owner's
}

// last returns the owner's generation, the zero one where there is none.
func (r record) last() (g Generation) {
	if n := len(r.Generations); n > 0 {
		g = r.Generations[n-1]
	}
	return g
}

// lease is the right to write, which one server has at a time. It is an object that
// only who has read it last can replace; who has it renews it. Check, sight, note and
// gone may be used by any goroutine, and so may the rest: they wait for each other.
type lease struct {
	store  objects
	self   Holder
	turn   string
	term   time.Duration
	strict bool
	// clock tells the time since some moment, whatever is done to the time of day.
	clock func() time.Duration
	gone  chan struct{} // closed when another has taken it
	soon  chan struct{} // asks for a renewal now

	work sync.Mutex // held while the store is asked
	mu   sync.Mutex // guards the rest
	// seen is the record with the tag, which was first seen at a time of the clock.
	seen    record
	tag     string
	seenAt  time.Duration
	known   bool
	changes int // of the record, as far as they were seen
	held    bool
	lost    bool
	leaving bool          // it is given back
	until   time.Duration // it is ours up to then, by the clock
	newest  uint64        // the newest transaction in the replica
}

func newLease(store objects, self Holder, term time.Duration, strict bool) *lease {
	return &lease{
		store: store, self: self, turn: rand.Text(), term: term, strict: strict, gone: make(chan struct{}), soon: make(chan struct{}, 1),
		clock: newClock(),
	}
}

// sinceNow returns Go's clock, which stands still while the machine is suspended.
func sinceNow() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// look reads the record.
func (l *lease) look(ctx context.Context) error {
	l.work.Lock()
	defer l.work.Unlock()
	return l.read(ctx)
}

func (l *lease) read(ctx context.Context) error {
	body, tag, err := l.store.get(ctx, leaseName)
	if errors.Is(err, fs.ErrNotExist) {
		body, tag = []byte("{}"), ""
	} else if err != nil {
		return err
	}
	var there record
	if err := json.Unmarshal(body, &there); err != nil {
		return errUnreadable
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saw(there, tag)
	return nil
}

// saw notes what is stored. The time counts from when it has been read, which is after
// the beginning of the renewal that stored it.
func (l *lease) saw(there record, tag string) {
	if !l.known || tag != l.tag {
		l.seen, l.tag, l.seenAt, l.known = there, tag, l.clock(), true
		l.changes++
	}
}

// free reports whether the record that was seen may be replaced: it was given back, is
// of an earlier process with our file, or has not changed for longer than its owner
// writes without a renewal. mu is held.
func (l *lease) free() bool {
	term := cmp.Or(l.seen.Term, DefaultTerm)
	patience := term + term/6 // for clocks that do not run alike
	return l.known && !l.lost && (l.tag == "" || l.seen.Released || l.seen.Owner == l.self.Owner || l.clock()-l.seenAt >= patience)
}

// take takes the lease if it is free, as the owner of the generation mine if that is
// still the newest and was ours, else of a new one. ErrTaken says that it is not free.
func (l *lease) take(ctx context.Context, mine uint64) error {
	l.work.Lock()
	defer l.work.Unlock()
	l.mu.Lock()
	free, next := l.free(), l.seen
	l.mu.Unlock()
	if !free {
		return ErrTaken
	}
	next.Released = false
	if last := next.last(); last.Number == 0 || next.Owner != l.self.Owner || last.Number != mine {
		next.Generations = append(slices.Clone(next.Generations), Generation{Number: last.Number + 1, BeganAt: time.Now().UTC()})
		next.Transaction = 0
		if n := len(next.Generations); n > maxGenerations {
			next.Generations = next.Generations[n-maxGenerations:]
		}
	}
	err := l.write(ctx, next)
	if errors.Is(err, errSwapped) {
		return ErrTaken
	}
	return err
}

// begin notes what our generation goes on from.
func (l *lease) begin(ctx context.Context, from Position, commit int64) error {
	return l.change(ctx, func(r *record) {
		r.Generations = slices.Clone(r.Generations)
		g := &r.Generations[len(r.Generations)-1]
		g.From, g.Commit = from, commit
	})
}

// forget leaves out a generation of which nothing is left.
func (l *lease) forget(ctx context.Context, number uint64) error {
	return l.change(ctx, func(r *record) {
		r.Generations = slices.DeleteFunc(slices.Clone(r.Generations), func(g Generation) bool { return g.Number == number })
	})
}

// renew makes the lease last longer.
func (l *lease) renew(ctx context.Context) error { return l.change(ctx, func(*record) {}) }

// confirm makes sure that nobody has taken the lease: one that has lapsed is renewed,
// which nobody can who is not its owner any more.
func (l *lease) confirm(ctx context.Context) error {
	l.mu.Lock()
	lost, lapsed := l.lost, l.held && l.clock() >= l.until
	l.mu.Unlock()
	switch {
	case lost:
		return ErrTaken
	case !lapsed:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	return l.renew(ctx)
}

// leave has nothing answered any more.
func (l *lease) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
}

// release gives the lease back for good, so that others need not wait. Whatever comes of
// it, nothing may be answered any more: it may have arrived.
func (l *lease) release(ctx context.Context) error {
	l.leave()
	return l.change(ctx, func(r *record) { r.Released = true })
}

// change replaces our record by another. ErrTaken, which is for good, says that it is
// not ours any more.
func (l *lease) change(ctx context.Context, how func(*record)) error {
	l.work.Lock()
	defer l.work.Unlock()
	var err error
	for range 3 {
		l.mu.Lock()
		ours, next := l.held && !l.lost && l.seen.Turn == l.turn, l.seen
		l.mu.Unlock()
		if !ours {
			l.lose()
			return ErrTaken
		}
		how(&next)
		// It may be another of our own whose answer was lost: then it is replaced.
		if err = l.write(ctx, next); !errors.Is(err, errSwapped) {
			return err
		}
	}
	return err
}

// lose notes that another has the lease.
func (l *lease) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		l.lost, l.held = true, false
		close(l.gone)
	}
}

// write replaces the record that was seen. After errSwapped, what is there has been
// seen.
func (l *lease) write(ctx context.Context, next record) error {
	l.mu.Lock()
	tag := l.tag
	next.Holder, next.Turn, next.Term, next.Transaction = l.self, l.turn, l.term, max(next.Transaction, l.newest)
	l.mu.Unlock()
	next.Beat++
	next.ExpiresAt = time.Now().UTC()
	if !next.Released {
		next.ExpiresAt = next.ExpiresAt.Add(l.term)
	}
	body, err := json.Marshal(next)
	if err != nil {
		return err
	}
	began := l.clock() // what another has seen changed was stored after this
	stored, err := l.store.swap(ctx, leaseName, body, tag)
	if errors.Is(err, errSwapped) {
		there, now, failed := l.store.get(ctx, leaseName)
		if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			return failed
		}
		if !bytes.Equal(there, body) {
			if err := l.read(ctx); err != nil {
				return err
			}
			return errSwapped
		}
		stored, err = now, nil // it was repeated after an answer that was lost
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.tag, l.seenAt, l.known = next, stored, began, true
	l.held, l.until = true, began+l.term
	return nil
}

// check returns nil while a write may be answered: nobody has taken the lease, and
// where that is asked for it has not lapsed.
func (l *lease) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.lost:
		return ErrTaken
	case l.leaving || (l.strict && (!l.held || l.clock() >= l.until)):
		return ErrLapsed
	}
	return nil
}

// mine reports whether the lease is held, lapsed or not.
func (l *lease) mine() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// generation returns the number of the newest generation that was seen.
func (l *lease) generation() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.last().Number
}

// note has the next renewal tell what is the newest transaction in the replica. Of the
// first of a generation it is told at once: from then on it can be followed.
func (l *lease) note(newest uint64) {
	l.mu.Lock()
	first := l.newest == 0 && l.seen.Transaction == 0
	l.newest = newest
	l.mu.Unlock()
	if first {
		select {
		case l.soon <- struct{}{}:
		default: // it is asked for already
		}
	}
}

// keep renews the lease until ctx ends or another has taken it.
func (l *lease) keep(ctx context.Context, told func(error)) {
	wait := l.term / 3
	for {
		select {
		case <-time.After(wait):
		case <-l.soon:
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, max(l.term/6, time.Second))
		err := l.renew(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		told(err)
		if errors.Is(err, ErrTaken) {
			return
		}
		wait = l.term / 3
		if err != nil {
			wait = l.term / 30
		}
	}
}
