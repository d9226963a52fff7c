package realtime

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
)

// A run that began before memory named somebody else may end after one that knew
// it. It must not take away what that one has watched: the others would not learn
// of a change there.
func TestARunThatMissedARingUnwatchesNothing(t *testing.T) {
	w := newWorld()
	path := Path{Topic: "q", Rung: true, Query: func(context.Context) (Answer, error) { return Answer{Body: []byte("x")}, nil }}
	early, late := w.engine.subscribe(path, newBell(), true), w.engine.subscribe(path, newBell(), true)
	run := func(s *sub, person uint64) update {
		u := s.ask(t.Context(), w.now().commit)
		u.deps = []db.Dependency{dep(cardTable, person, nameColumn)}
		return u
	}
	end := func(s *sub, u update) {
		s.learn(w.engine.hub, u)
		s.advance(u)
	}
	missed := run(early, 0)
	w.engine.Ring("q")
	end(late, run(late, 1))
	end(early, missed)
	if !early.dirty(time.Now()) || late.dirty(time.Now()) {
		t.Fatalf("who missed it is dirty: %v; who did not: %v", early.dirty(time.Now()), late.dirty(time.Now()))
	}
	w.setCard(1, "changed")
	w.compareAll()
	end(early, run(early, 1))
	if !late.dirty(time.Now()) {
		t.Error("a change of what is shown was told to nobody")
	}
}

// rung is streams that follow one answer from memory, which is a number.
type rung struct {
	engine *Engine
	number atomic.Int64
	runs   atomic.Int64
}

// follow returns a stream that follows the number, and what it has told so far.
func (r *rung) follow(t *testing.T, every time.Duration) (s *stream, turn func() string) {
	s = &stream{engine: r.engine, settled: true, bell: newBell(), names: map[string]struct{}{}, heartAt: time.Now().Add(time.Hour)}
	s.open([]Path{{Name: "n", Topic: "n", Every: every, Rung: true, Query: func(context.Context) (Answer, error) {
		r.runs.Add(1)
		return Answer{Body: strconv.AppendInt(nil, r.number.Load(), 10)}, nil
	}}})
	told := ""
	return s, func() string {
		if s.dirtiness(time.Now()) == clean {
			return told
		}
		found, ok := s.takeAll()
		if !ok {
			found = turnOf(t, s)
		}
		events, err := s.events(t.Context(), found)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			told = string(e.data)
		}
		return told
	}
}

// turnOf asks without a database.
func turnOf(t *testing.T, s *stream) turn {
	found := turn{ran: true, updates: s.askDirty(t.Context(), 0)}
	for _, u := range found.updates {
		u.deps = []db.Dependency{dep(1, 0, nameColumn)}
		u.sub.learn(s.engine.hub, u)
	}
	return found
}

// Ten follow an answer from memory. However often it changes, it is asked for
// once a second, for all of them; and not at all while nothing changes.
func TestARungAnswerIsAskedForOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rung{engine: stillEngine()}
		var streams []*stream
		var turns []func() string
		for range 10 {
			s, turn := r.follow(t, time.Second)
			streams, turns = append(streams, s), append(turns, turn)
		}
		all := func(want string) {
			t.Helper()
			for i, turn := range turns {
				if got := turn(); got != want {
					t.Errorf("%d was told %s, want %s", i, got, want)
				}
			}
		}
		all("0")
		began := r.runs.Load() // each has asked about its own right
		r.number.Store(1)
		r.engine.Ring("n")
		all("0")
		for i, s := range streams {
			if len(s.bell.rung) != 1 {
				t.Errorf("%d was not woken", i)
			}
			if wait := s.untilNext(time.Now()); wait != time.Second {
				t.Errorf("%d waits %v", i, wait)
			}
		}
		time.Sleep(time.Second)
		all("1")
		for n := int64(2); n < 7; n++ { // five times in a second
			r.number.Store(n)
			r.engine.Ring("n")
			time.Sleep(200 * time.Millisecond)
		}
		all("6")
		for i, s := range streams {
			if wait := s.untilNext(time.Now()); wait < time.Minute {
				t.Errorf("%d looks again in %v, though nothing has changed", i, wait)
			}
		}
		r.number.Store(7)
		r.engine.Ring("n")
		all("6")
		time.Sleep(time.Hour / 2)
		all("7")
		if runs := r.runs.Load() - began; runs != 3 {
			t.Errorf("asked %d times for three seconds of changes", runs)
		}
		for _, s := range streams {
			s.close()
		}
		r.engine.Ring("n") // nobody is there
		if len(r.engine.topics) != 0 {
			t.Errorf("%d topics are left", len(r.engine.topics))
		}
	})
}

// What waits for its second is not considered yet where it is a commit that
// brought it, and a right that may have ended does not wait.
func TestARungAnswerWaitsButNoRightDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rung{engine: stillEngine()}
		s, turn := r.follow(t, time.Second)
		defer s.close()
		turn()
		r.engine.Ring("n")
		if got := s.consideredUpTo(7); got != 7 {
			t.Errorf("memory has changed: considered up to %d of 7", got)
		}
		r.engine.hub.compare(db.ChangeSet{Commit: 7, Changes: []db.Change{changeOf(1, nameColumn, 0)}}, false)
		if d, got := s.dirtiness(time.Now()), s.consideredUpTo(7); d != clean || got != 0 {
			t.Errorf("a commit waits: dirtiness %d, considered up to %d", d, got)
		}
		s.subs[0].rights.mark(7, time.Now())
		if d := s.dirtiness(time.Now()); d != urgent {
			t.Errorf("a right: dirtiness %d", d)
		}
	})
}
