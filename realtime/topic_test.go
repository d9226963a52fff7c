package realtime

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// follower is one connection that follows the feed or the query of a world. It
// may be between asking and noting what it has read.
type follower struct {
	sub     *sub
	pending *update
	wrote   string // the query's answer as the client has it
	last    int64  // of the feed, the position told last
}

// sharing is a world that several follow, some on a topic of their own.
type sharing struct {
	*world
	followers []*follower
	here      int // whom memory names: a part of the answer of the query with a name
}

// newSharing is a world that two follow on each topic.
func newSharing() *sharing {
	s := &sharing{world: newWorld()}
	from := int64(0)
	s.join("feed", false, nil)
	s.join("feed", false, &from)
	s.join("query", true, nil)
	s.join("query", true, nil)
	return s
}

// drawJoin lets one more follow.
func (s *sharing) drawJoin(t *rapid.T) {
	query, after := rapid.Bool().Draw(t, "query"), rapid.Int64Range(-1, s.now().commit).Draw(t, "after")
	name := "feed"
	if query {
		name = "query"
	}
	name = rapid.SampledFrom([]string{name, name, ""}).Draw(t, "topic")
	if after < 0 {
		s.join(name, query, nil)
		return
	}
	s.join(name, query, &after)
}

func (s *sharing) join(topic string, query bool, after *int64) {
	p := Path{Topic: topic}
	mine := fmt.Sprint("/", len(s.followers))
	switch {
	case query && topic != "":
		p.Rung = true
		p.Query = func(context.Context) (Answer, error) {
			return Answer{Body: []byte(s.rungAnswer(s.now()) + mine), Own: len(mine)}, nil
		}
	case query:
		p.Query = func(context.Context) (Answer, error) {
			return Answer{Body: []byte(s.now().answers[0] + mine), Own: len(mine)}, nil
		}
	default:
		p.Feed = &Feed{Read: s.feeds[0].read, Limit: 20, After: after}
	}
	s.followers = append(s.followers, &follower{sub: s.engine.subscribe(p, newBell(), true)})
}

// rungAnswer is the answer of the query with a name in a state.
func (s *sharing) rungAnswer(at state) string {
	return fmt.Sprint(at.answers[0], s.here, at.cards[s.here])
}

// ring lets memory name another.
func (s *sharing) ring(t *rapid.T) {
	s.here = rapid.IntRange(0, len(s.now().cards)-1).Draw(t, "here")
	s.engine.Ring("query")
}

// leave lets one go, also in the middle of a run.
func (s *sharing) leave(i int) {
	s.engine.unsubscribe(s.followers[i].sub)
	s.followers = slices.Delete(s.followers, i, i+1)
}

// begin runs what is followed, end notes what it has read: other runs and commits
// may lie between.
func (s *sharing) begin(f *follower) {
	u := f.sub.ask(context.Background(), s.now().commit)
	u.deps = s.deps(0)
	if f.sub.path.Feed == nil {
		u.deps = s.deps(firstQuery)
		if f.sub.path.Rung {
			u.deps = append(u.deps, dep(cardTable, uint64(s.here), nameColumn))
		}
	}
	f.pending = &u
}

func (s *sharing) end(t *rapid.T, f *follower) {
	u := *f.pending
	f.pending = nil
	if f.sub.path.Feed != nil && !u.first {
		u.fit(u.commit, rapid.SampledFrom([]int{maxTurnBytes, 30_000}).Draw(t, "room"))
	}
	f.sub.learn(s.engine.hub, u)
	s.tell(t, f, u)
}

// turn is one without overlap.
func (s *sharing) turn(t *rapid.T, f *follower) {
	if f.pending == nil {
		if !f.sub.dirty(time.Now()) || s.take(t, f) {
			return
		}
		s.begin(f)
	}
	s.end(t, f)
}

func (s *sharing) turnAll(t *rapid.T) {
	for _, f := range s.followers {
		s.turn(t, f)
	}
}

// settle lets everyone do what is left, which comes to an end.
func (s *sharing) settle(t *rapid.T) {
	s.compareAll()
	for range 1000 {
		s.turnAll(t)
		if !slices.ContainsFunc(s.followers, func(f *follower) bool { return f.sub.dirty(time.Now()) }) {
			s.check(t)
			return
		}
	}
	t.Fatal("there is always something to do")
}

// take looks for what others have read, and reports whether that suffices.
func (s *sharing) take(t *rapid.T, f *follower) bool {
	commit := s.engine.hub.processed.Load()
	u, ok := f.sub.take(commit)
	if !ok {
		return false
	}
	if left := s.feeds[0].beyond(commit, f.sub.cursor); f.sub.path.Feed != nil && !same(u.items, left) {
		t.Fatalf("took %d items beyond %d at %d; there are %d", len(u.items), f.sub.cursor, commit, len(left))
	}
	s.tell(t, f, u)
	return true
}

// tell is what the connection sends of an update.
func (s *sharing) tell(t *rapid.T, f *follower, u update) {
	changed := u.changed()
	f.sub.advance(u)
	if f.sub.path.Feed == nil {
		if changed {
			f.wrote = string(u.encode())
		}
		return
	}
	for _, item := range u.items {
		if item.Position <= f.last {
			t.Fatalf("told %d after %d", item.Position, f.last)
		}
		f.last = item.Position
	}
}

// check asks the topics directly, for some commits and positions, and looks
// whether whoever has nothing to do has been told everything.
func (s *sharing) check(t *rapid.T) {
	processed := s.engine.hub.processed.Load()
	commits := []int64{processed}
	if len(s.seen) > 1 {
		commits = append(commits, s.seen[len(s.seen)-2])
	}
	held := int64(0)
	for name, tp := range s.engine.topics {
		held += int64(tp.bytes)
		if len(tp.deps) == 0 {
			continue // nobody has asked yet, and nobody takes before
		}
		for _, commit := range commits {
			if name == "query" {
				s.checkAnswer(t, tp, commit)
				continue
			}
			for _, position := range []int64{tp.from - 1, tp.from, tp.from + 1, (tp.from + commit) / 2, commit, rapid.Int64Range(0, s.now().commit).Draw(t, "beyond")} {
				if items, ok := tp.beyond(commit, position); ok && !same(items, s.feeds[0].beyond(commit, position)) {
					t.Fatalf("%d items beyond %d at %d; there are %d", len(items), position, commit, len(s.feeds[0].beyond(commit, position)))
				}
			}
		}
		s.checkBounds(t, tp)
	}
	if held != s.engine.held.Load() {
		t.Fatalf("%d bytes are counted, %d are held", s.engine.held.Load(), held)
	}
	for i, f := range s.followers {
		if f.pending != nil || f.sub.dirty(time.Now()) {
			continue
		}
		if left := s.feeds[0].beyond(processed, f.sub.cursor); f.sub.path.Feed != nil && len(left) > 0 {
			t.Fatalf("%d has nothing to do, but lacks %d items beyond %d at %d", i, len(left), f.sub.cursor, processed)
		}
		at := s.at(max(processed, f.sub.ranAt))
		answer := at.answers[0]
		if f.sub.path.Rung {
			answer = s.rungAnswer(at)
		}
		if f.sub.path.Feed == nil && f.wrote[:len(f.wrote)-len(f.sub.own)] != answer {
			t.Fatalf("%d has nothing to do, but shows %q; it is %q", i, f.wrote, answer)
		}
	}
}

func (s *sharing) checkAnswer(t *rapid.T, tp *topic, commit int64) {
	want := s.rungAnswer(s.at(commit))
	for _, last := range []digest{{}, digestOf([]byte(want)), digestOf([]byte("another"))} {
		body, sum, _, ok := tp.answer(commit, last)
		if !ok {
			continue
		}
		if sum != digestOf([]byte(want)) || (body == nil && last != sum) || (body != nil && string(body) != want) {
			t.Fatalf("%q at %d; it is %q", body, commit, want)
		}
	}
}

func (s *sharing) checkBounds(t *rapid.T, tp *topic) {
	size := len(tp.body)
	for _, item := range tp.items {
		size += len(item.Data)
	}
	if size != tp.bytes || len(tp.items) > maxTailItems || (tp.body == nil && size > maxTailBytes) {
		t.Fatalf("%s holds %d items of %d bytes, counted as %d", tp.name, len(tp.items), size, tp.bytes)
	}
}

// What a topic tells is what the database held at that commit, or nothing,
// however runs, commits and comparisons overlap; and nobody misses anything.
func TestTopicsTellWhatTheDatabaseHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSharing()
		one := func(t *rapid.T) *follower {
			if len(s.followers) == 0 {
				t.Skip("nobody follows")
			}
			return s.followers[rapid.IntRange(0, len(s.followers)-1).Draw(t, "follower")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"post":              s.drawPost,
			"answer":            s.drawAnswer,
			"depend on another": func(t *rapid.T) { s.dependOn(rapid.Uint64Range(0, 2).Draw(t, "extra")) },
			"elsewhere": func(*rapid.T) {
				next := s.now()
				next.commit++
				s.commit(next, changeOf(3, nameColumn, 0), changeOf(1, nameColumn, 99))
			},
			"ring": s.ring,
			"card": func(t *rapid.T) {
				s.setCard(rapid.IntRange(0, 2).Draw(t, "person"), fmt.Sprint(s.now().commit))
			},
			"compare":     func(*rapid.T) { s.compare() },
			"compare all": func(*rapid.T) { s.compareAll() },
			"join":        s.drawJoin,
			"leave":       func(t *rapid.T) { s.leave(slices.Index(s.followers, one(t))) },
			"half a turn": func(t *rapid.T) {
				switch f := one(t); {
				case f.pending != nil:
					s.end(t, f)
				case f.sub.dirty(time.Now()):
					s.begin(f)
				}
			},
			"turn of one": func(t *rapid.T) { s.turn(t, one(t)) },
			"turn of all": s.turnAll,
			"post, and a turn of all": func(t *rapid.T) {
				s.drawPost(t)
				s.compareAll()
				s.turnAll(t)
			},
			"tidy": func(t *rapid.T) { one(t).sub.topic.tidy(time.Now().Add(2 * holdTime)) },
			"":     s.check,
		})
		s.settle(t)
		for len(s.followers) > 0 {
			s.leave(0)
		}
		if held := s.engine.held.Load(); held != 0 || len(s.engine.topics) != 0 || len(s.engine.hub.all) != 0 {
			t.Fatalf("%d bytes, %d topics and %d watched are left", held, len(s.engine.topics), len(s.engine.hub.all))
		}
	})
}

func (s *sharing) drawPost(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 5, 150, 300}).Draw(t, "burst")
	size := rapid.SampledFrom([]int{10, 20_000}).Draw(t, "size")
	if n == 300 {
		size = 10
	}
	changes := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "changes") // every so many is one there was
	s.feeds[0].post(n, size, func(i int) string {
		if (i+1)%changes == 0 && len(s.feeds[0].log) > 0 {
			return s.feeds[0].log[max(0, len(s.feeds[0].log)-1-i*7)].Key
		}
		return fmt.Sprint(s.now().commit, "/", i)
	}, rapid.Bool().Draw(t, "beside"))
}

func (s *sharing) drawAnswer(t *rapid.T) {
	s.answer(0, rapid.SampledFrom([]string{"a", "b", string(filler[:20_000])}).Draw(t, "answer"), rapid.Bool().Draw(t, "beside"))
}
