package auth

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"connvo/domain"
	"connvo/domain/users"
)

const (
	// maxSeen is how many people are noted in users.SeenEvery, and how many wait
	// to be stored: those of a busy server, a megabyte or two. Whoever comes when
	// it is full is not noted.
	maxSeen = 16384
	// seenDelay is how long those who wait are waited for by others: one commit
	// stores all of them, within ten seconds even where the writer is busy.
	seenDelay = 5 * time.Second
)

// LastSeen notes who was seen and stores it later. Everything is in memory: a
// crash loses a few seconds of it. It is safe for concurrent use.
type LastSeen struct {
	people *users.Store
	now    func() time.Time
	log    *slog.Logger

	wake     chan struct{}      // holds one: somebody waits
	stopping chan struct{}      // closed by Close
	finished chan struct{}      // closed when serve has ended
	cut      context.Context    // ends when storing is to be cut off
	cutOff   context.CancelFunc // ends cut

	mu sync.Mutex // guards the rest
	// Those noted since the instant turned are young; those of the users.SeenEvery
	// before that, or longer ago, are old.
	young, old map[domain.UserID]time.Time
	turned     time.Time
	waiting    []users.Sighting
}

// NewLastSeen returns a LastSeen that stores through people; now is the clock.
// Close it before the database.
func NewLastSeen(people *users.Store, now func() time.Time, log *slog.Logger) *LastSeen {
	l := &LastSeen{
		people:   people,
		now:      now,
		log:      log,
		wake:     make(chan struct{}, 1),
		stopping: make(chan struct{}),
		finished: make(chan struct{}),
		young:    map[domain.UserID]time.Time{},
	}
	l.cut, l.cutOff = context.WithCancel(context.Background())
	go l.serve()
	return l
}

// Note notes that the user was seen now, unless they were within
// users.SeenEvery. It waits for nothing. After Close nothing is stored.
func (l *LastSeen) Note(user domain.UserID) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.turned) >= users.SeenEvery {
		l.old, l.young, l.turned = l.young, map[domain.UserID]time.Time{}, now
	}
	if _, recent := l.young[user]; recent {
		return
	}
	if at, noted := l.old[user]; noted && now.Sub(at) < users.SeenEvery {
		return
	}
	if len(l.young) == maxSeen || len(l.waiting) == maxSeen {
		return
	}
	l.young[user] = now
	l.waiting = append(l.waiting, users.Sighting{User: user, At: now})
	if len(l.waiting) == 1 {
		select {
		case l.wake <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

// Close stores what waits. When ctx ends first the rest is given up, and Close
// returns ctx's error. It is called once.
func (l *LastSeen) Close(ctx context.Context) error {
	defer l.cutOff()
	close(l.stopping)
	select {
	case <-l.finished:
		return nil
	case <-ctx.Done():
		l.cutOff()
		<-l.finished
		return ctx.Err()
	}
}

// serve stores what was noted, some seconds after the first of it.
func (l *LastSeen) serve() {
	defer close(l.finished)
	timer := time.NewTimer(seenDelay)
	defer timer.Stop()
	for {
		select {
		case <-l.stopping:
			l.store()
			return
		case <-l.wake:
		}
		timer.Reset(seenDelay)
		select {
		case <-l.stopping:
		case <-timer.C:
		}
		l.store()
	}
}

// store stores what waits. What cannot be stored now is given up: the same
// people are noted again.
func (l *LastSeen) store() {
	l.mu.Lock()
	all := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for part := range slices.Chunk(all, users.MaxSightings) {
		if err := l.people.Seen(l.cut, part); err != nil {
			l.log.Warn("when people were last seen could not be stored", "error", err)
			return
		}
	}
}
