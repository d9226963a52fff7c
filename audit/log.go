package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"connvo/db"
	"connvo/domain"
)

// The bounds of what waits.
const (
	// MaxWaiting is how many entries wait, some seconds of a crowd that returns
	// after a restart; maxWaitingBytes is what they take, 16 MiB.
	MaxWaiting      = 16384
	maxWaitingBytes = 16 << 20
	// noteBytes is what an entry takes besides its texts.
	noteBytes = 256
)

const (
	// gather is how long the first entry waits for others to share its commit:
	// ten commits a second at most while little happens, and the rest of the
	// second for a writer that is busy.
	gather = 100 * time.Millisecond
	// maxBatch is how many entries one closure stores. Requests wait behind it: a
	// millisecond, or three with the longest texts (measured on an idle machine).
	maxBatch = 64
	// firstRetry is how long a database is left alone that could not store, then
	// twice as long, up to maxRetry.
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
)

// Log stores entries that no write carries, within a second and many at once, by
// the writer's second lane. While nothing waits it does nothing at all. Every
// method is safe for concurrent use.
type Log struct {
	db  *db.DB
	log *slog.Logger

	wake     chan struct{}      // holds one: an entry came
	stopping chan struct{}      // closed by Close
	finished chan struct{}      // closed when the goroutine has ended
	cut      context.Context    // ends when what waits is to be given up
	cutOff   context.CancelFunc // ends cut

	mu      sync.Mutex // guards the rest
	closed  bool
	waiting []note // in the order they came
	bytes   int    // that waiting takes
	refused int64  // entries for which there was no room
}

// Figures are the figures of a Log since it began.
type Figures struct {
	Waiting int   // to be stored
	Refused int64 // for which there was no room, so that what they tell of was not done, or was refused anyway
}

// Figures returns the figures.
func (l *Log) Figures() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Figures{Waiting: len(l.waiting), Refused: l.refused}
}

// note is an entry that waits.
type note struct {
	at    time.Time
	entry Entry
}

// NewLog returns a log that stores in d and tells log when it cannot. The caller
// closes it, before d.
func NewLog(d *db.DB, log *slog.Logger) *Log {
	l := &Log{
		db:       d,
		log:      log,
		wake:     make(chan struct{}, 1),
		stopping: make(chan struct{}),
		finished: make(chan struct{}),
	}
	l.cut, l.cutOff = context.WithCancel(context.Background())
	go l.serve()
	return l
}

// Note keeps e, as having happened now, to be stored. It waits for nothing.
//
// Errors: Unavailable when too much waits or the log is closed, and then what
// cannot be recorded must not be done; Internal for an entry without an action
// or with an outcome that is none.
func (l *Log) Note(e Entry) error {
	e, err := e.bounded()
	if err != nil {
		return err
	}
	n := note{at: l.db.Now(), entry: e}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		l.refused++
		return domain.Fail(domain.Unavailable, "the server is stopping")
	case len(l.waiting) == MaxWaiting, l.bytes+n.size() > maxWaitingBytes:
		l.refused++
		return domain.Fail(domain.Unavailable, "too many entries wait to be recorded")
	}
	l.waiting = append(l.waiting, n)
	l.bytes += n.size()
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look anyway
	}
	return nil
}

func (n note) size() int { return noteBytes + n.entry.size() }

// Close refuses further entries and stores those that wait. When ctx ends first,
// or the database is closed, it gives them up and its error says how many they
// were. It is called once.
func (l *Log) Close(ctx context.Context) error {
	defer l.cutOff()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.stopping)
	select {
	case <-l.finished:
	case <-ctx.Done():
		l.cutOff()
		<-l.finished // a closure that has begun ends by itself
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost := len(l.waiting); lost > 0 {
		return fmt.Errorf("%d audit entries are lost", lost)
	}
	return nil
}

// serve stores what waits, until the log is closed and nothing does.
func (l *Log) serve() {
	defer close(l.finished)
	for open := true; open; {
		select {
		case <-l.wake:
		case <-l.stopping:
		}
		open = pause(gather, l.stopping)
		l.store()
	}
}

// pause waits for d and returns true, or false as soon as end is closed.
func pause(d time.Duration, end <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-end:
		return false
	}
}

// store empties what waits. It tries until it succeeds, for an entry that was
// accepted is one that somebody acted upon; only a database that is closed, or
// the end of the time that Close has, leaves entries behind.
func (l *Log) store() {
	var retry time.Duration // the last pause, 0 while all is well
	for batch := l.first(); len(batch) > 0; batch = l.first() {
		err := l.db.WriteBackground(l.cut, func(tx *db.WriteTx) error {
			for _, n := range batch {
				if err := insert(tx, n.at, n.entry); err != nil {
					return err
				}
			}
			return nil
		})
		switch {
		case err == nil:
			l.drop(len(batch))
			if retry > 0 {
				l.log.Info("audit entries are stored again")
				retry = 0
			}
			continue
		case l.cut.Err() != nil, errors.Is(err, db.ErrClosed):
			return
		case retry == 0:
			l.log.Error("audit entries cannot be stored", "error", err)
		}
		retry = min(max(firstRetry, 2*retry), maxRetry)
		if !pause(retry, l.cut.Done()) {
			return
		}
	}
}

// first returns the oldest entries that wait, one batch at most.
func (l *Log) first() []note {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[:min(len(l.waiting), maxBatch)]
}

// drop forgets the n oldest entries.
func (l *Log) drop(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, stored := range l.waiting[:n] {
		l.bytes -= stored.size()
	}
	clear(l.waiting[:n])
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil // what a crowd needed is given back
	}
}
