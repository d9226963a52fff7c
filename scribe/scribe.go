// Package scribe has what people said put into the transcript.
package scribe

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"connvo/ai"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/audio"
)

// The bounds of working.
const (
	// maxCalls is how many pieces are transcribed at once: each call keeps up with
	// somebody who speaks without a pause, as long as it takes no longer than its piece.
	maxCalls = 8
	// maxTries is how often a piece is tried; with the waits between, for eight minutes
	// at least. What the endpoint puts off, and what is not even tried, counts for none.
	maxTries = 10
	maxRetry = 300 // the longest wait after a try, in seconds
	// maxWait is how long a piece waits: less than audio.Lifetime, so that it is given
	// up, which the log tells, before it is swept away.
	maxWait = 50 * time.Minute
	// troublePause is how many seconds the database is left alone that could not be read.
	troublePause = 5
)

// The outcomes of a call, for Config.Called.
const (
	Words   = "words"   // it was text
	Silence = "silence" // nobody spoke
	Refused = "refused" // for good
	Limited = "limited" // the endpoint is to be asked later, or was not asked
	Failed  = "failed"  // it will be tried again
)

// Config is what a Scribe is made of. All fields but Second are required.
type Config struct {
	DB  *db.DB
	Log *slog.Logger
	AI  *ai.Transcriber
	// Called is told how each call has ended and how long it took, GivenUp of each
	// piece that was not transcribed in its time or its tries.
	Called  func(took time.Duration, outcome string)
	GivenUp func()
	// Second is the unit of waits, a second when 0; tests shorten it.
	Second time.Duration
}

// Scribe has the pieces of audio that wait transcribed: some at once, but of one
// speaker in one meeting one after the other, in the order of their starts, so that a
// piece that fails holds up no other speaker. What it has not done when the program
// ends waits for the next start. It does not look before a commit changes the pieces or
// the time of the next one comes.
type Scribe struct {
	Config

	wake     chan struct{}      // holds one: pieces have come or gone
	done     chan ended         // holds maxCalls, so that a call never waits
	stopping chan struct{}      // closed by Stop: begin nothing more
	finished chan struct{}      // closed when all have ended; nil before Start
	cut      context.Context    // ends when calls are to be cut off
	cutOff   context.CancelFunc // ends cut

	// These belong to the goroutine of serve.
	busy   map[lane]bool
	failed map[int64]failure // by the number of the piece
	rest   time.Time         // nothing begins before
}

// lane is what is done one after the other.
type lane struct {
	meeting domain.MeetingID
	speaker domain.UserID
}

func laneOf(p audio.Piece) lane { return lane{p.Meeting, p.Speaker} }

// failure is how often a piece was tried in vain, and when it is tried again.
type failure struct {
	tries int
	until time.Time
}

// ended tells serve how a piece has fared.
type ended struct {
	piece audio.Piece
	over  bool          // it waits no more
	rest  time.Duration // nothing is to begin meanwhile
}

// New returns a scribe. It must be made before the database is first written to.
func New(c Config) *Scribe {
	s := &Scribe{
		Config: c, wake: make(chan struct{}, 1), done: make(chan ended, maxCalls), stopping: make(chan struct{}),
		busy: map[lane]bool{}, failed: map[int64]failure{},
	}
	s.Second = cmp.Or(c.Second, time.Second)
	s.cut, s.cutOff = context.WithCancel(context.Background())
	c.DB.OnCommit(func(set db.ChangeSet) {
		if !set.Has("audio") {
			return
		}
		select {
		case s.wake <- struct{}{}:
		default: // it is about to look anyway
		}
	})
	return s
}

// Start begins with what waits, also since an earlier process. It is called once.
func (s *Scribe) Start() {
	s.finished = make(chan struct{})
	go s.serve()
}

// Stop begins no further call, and waits for those under way until ctx ends; then they
// are cut off, and made again after the next start. It is called once.
func (s *Scribe) Stop(ctx context.Context) {
	defer s.cutOff()
	close(s.stopping)
	if s.finished == nil {
		return
	}
	select {
	case <-s.finished:
	case <-ctx.Done():
		s.cutOff()
		<-s.finished
	}
}

// serve begins calls until it is stopped, then waits for those under way.
func (s *Scribe) serve() {
	defer close(s.finished)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.await(timer) {
		wait, waits, err := s.begin()
		switch {
		case err != nil:
			s.Log.Error("look for audio", "error", err)
			timer.Reset(troublePause * s.Second)
		case waits:
			timer.Reset(wait)
		default:
			timer.Stop()
		}
	}
	for range s.busy {
		<-s.done
	}
}

// await returns true when it is time to look, false when the scribe is to stop.
func (s *Scribe) await(timer *time.Timer) bool {
	select {
	case <-s.stopping:
		return false
	default:
	}
	select {
	case <-s.stopping:
		return false
	case <-timer.C:
	case <-s.wake:
	case e := <-s.done:
		s.note(e)
	}
	return true
}

// note takes over how a piece has fared.
func (s *Scribe) note(e ended) {
	delete(s.busy, laneOf(e.piece))
	now := s.DB.Now()
	switch {
	case e.over:
		delete(s.failed, e.piece.Number)
	case e.rest > 0:
		if until := now.Add(e.rest); until.After(s.rest) {
			s.rest = until
		}
	default:
		f := s.failed[e.piece.Number]
		f.until = now.Add(min(time.Duration(1)<<min(f.tries, maxTries), maxRetry) * s.Second)
		f.tries++
		s.failed[e.piece.Number] = f
	}
}

// begin begins what can be, while there is room. It returns how long it is until more
// can be, and false when nothing but a wake-up matters.
func (s *Scribe) begin() (wait time.Duration, waits bool, err error) {
	if len(s.busy) == maxCalls {
		return 0, false, nil // the end of one of them wakes
	}
	now := s.DB.Now()
	if wait := s.rest.Sub(now); wait > 0 {
		return wait, true, nil
	}
	var all []audio.Piece
	err = s.DB.Read(s.cut, func(tx db.Reader) (err error) {
		all, err = audio.All(tx)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	s.forget(all)
	for _, p := range firsts(all) {
		f := s.failed[p.Number]
		switch left := f.until.Sub(now); {
		case s.busy[laneOf(p)]:
		case left > 0:
			if !waits || left < wait {
				wait, waits = left, true
			}
		case len(s.busy) < maxCalls:
			s.busy[laneOf(p)] = true
			go func() { s.done <- s.write(p, f.tries) }()
		}
	}
	return wait, waits, nil
}

// forget forgets the failures of pieces that wait no more.
func (s *Scribe) forget(all []audio.Piece) {
	if len(s.failed) == 0 {
		return
	}
	waiting := make(map[int64]bool, len(all))
	for _, p := range all {
		waiting[p.Number] = true
	}
	maps.DeleteFunc(s.failed, func(number int64, _ failure) bool { return !waiting[number] })
}

// firsts returns the piece of each lane that starts first, in the order in which they
// came, so that every lane has its turn.
func firsts(all []audio.Piece) (first []audio.Piece) {
	seen := map[lane]bool{}
	for _, p := range all { // in the order of their starts
		if !seen[laneOf(p)] {
			seen[laneOf(p)] = true
			first = append(first, p)
		}
	}
	slices.SortFunc(first, func(a, b audio.Piece) int { return cmp.Compare(a.Number, b.Number) })
	return first
}
