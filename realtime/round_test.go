package realtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Over breaks and resumes a client is told every item of its feeds once and in
// order, whatever is cut.
func TestRoundsTellEachItemOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, sizes := newWorld(), rapid.SampledFrom([]drawn{little, little, little, little, little, little, little, much}).Draw(t, "sizes")
		clients := []*client{newClient(t, w), newClient(t, w)}
		one := func(t *rapid.T) *client { return clients[rapid.IntRange(0, 1).Draw(t, "client")] }
		t.Repeat(map[string]func(*rapid.T){
			"post":              func(t *rapid.T) { drawPost(t, w, sizes.items) },
			"answer":            func(t *rapid.T) { drawAnswers(t, w, sizes.answers) },
			"depend on another": func(t *rapid.T) { w.dependOn(rapid.Uint64Range(0, 2).Draw(t, "extra")) },
			"compare":           func(*rapid.T) { w.compare() },
			"turn":              func(t *rapid.T) { one(t).turn(t, false) },
			"turns": func(t *rapid.T) {
				for _, c := range clients {
					c.turn(t, false)
				}
			},
			"break": func(t *rapid.T) {
				c := one(t)
				if rapid.Bool().Draw(t, "in a turn") {
					c.turn(t, true)
				}
				c.stream.close()
				c.connect()
			},
		})
		for _, c := range clients {
			w.compareAll()
			for turns := 0; c.turn(t, false); turns++ {
				if turns > 1000 {
					t.Fatal("there is always something to do")
				}
			}
			c.checkAll(t)
		}
	})
}

// checkAll looks whether a client that has nothing to do has everything.
func (c *client) checkAll(t *rapid.T) {
	now := c.world.now()
	for name := range c.told {
		c.checkWhole(t, name, now.commit, now.commit)
	}
	for name, query := range c.query {
		if c.shown[name] != now.answers[query] {
			t.Fatalf("%s shows %d bytes, it has %d", name, len(c.shown[name]), len(now.answers[query]))
		}
	}
}

// drawn is what a run of the test draws from: few of them move megabytes, which
// takes its time.
type drawn struct {
	items   []burst
	answers []int
}

type burst struct{ n, size int }

var (
	little = drawn{items: []burst{{1, 10}, {5, 10}, {150, 10}, {300, 10}}, answers: []int{5, 5000}}
	much   = drawn{items: []burst{{1, 10}, {300, 10}, {20, maxItem}, {150, 20_000}}, answers: []int{5, 600_000}}
)

func drawPost(t *rapid.T, w *world, bursts []burst) {
	b := rapid.SampledFrom(bursts).Draw(t, "burst")
	f := w.feeds[rapid.IntRange(0, 2).Draw(t, "feed")]
	changes := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "changes")
	f.post(b.n, b.size, func(i int) string {
		if (i+1)%changes == 0 && len(f.log) > 0 {
			return f.log[(i*7)%len(f.log)].Key
		}
		return fmt.Sprint(w.now().commit, "/", i)
	}, rapid.Bool().Draw(t, "beside"))
}

// drawAnswers changes all answers or one.
func drawAnswers(t *rapid.T, w *world, sizes []int) {
	size, beside := rapid.SampledFrom(sizes).Draw(t, "size"), rapid.Bool().Draw(t, "beside")
	only := rapid.IntRange(-1, 2).Draw(t, "query")
	for query := range w.now().answers {
		if only < 0 || query == only {
			w.answer(query, fmt.Sprintf(`"%d %s"`, w.now().commit, filler[:size]), beside)
		}
	}
}

// urlOf is a client whose URL names the first feeds and queries of a world.
func urlOf(w *world, feeds, queries int) *client {
	c := &client{world: w, feeds: map[string]*feed{}, query: map[string]int{}}
	for i := range feeds {
		name := fmt.Sprint("feed", i)
		c.feeds[name] = w.feeds[i]
		c.paths = append(c.paths, Path{Name: name, Topic: name, Feed: &Feed{Read: w.feeds[i].read, Limit: newestPage, After: new(int64)}})
	}
	for i := range queries {
		name := fmt.Sprint("query", i)
		c.query[name] = i
		c.paths = append(c.paths, Path{Name: name, Topic: name, Query: func(context.Context) (Answer, error) {
			return Answer{Body: []byte(w.now().answers[i])}, nil
		}})
	}
	c.connect()
	return c
}

// round does one turn, and returns what is told.
func (c *client) round(t *testing.T) event {
	t.Helper()
	events := c.stream.round(c.look(), nil)
	if len(events) != 1 {
		t.Fatalf("%d rounds", len(events))
	}
	return events[0]
}

// Answers that do not fit in the first round after a resume come in the next.
// The items of the first have a number all the same, or another break would have
// them told again.
func TestARoundHasANumberBeforeEveryAnswerIsTold(t *testing.T) {
	w := newWorld()
	for i := range w.now().answers {
		w.answer(i, fmt.Sprintf(`"%s"`, filler[:600_000]), false)
	}
	w.feeds[0].post(5, 10, func(i int) string { return fmt.Sprint(i) }, false)
	c := urlOf(w, 1, 3)
	if e := c.round(t); e.id != "8" {
		t.Errorf("the first round has the id %q", e.id)
	}
	if c.stream.dirtiness(time.Now()) != hasMore {
		t.Error("what is left does not follow at once")
	}
	if len(c.stream.subs) != 4 || c.stream.subs[3].told {
		t.Error("everything came in one round: the test shows nothing")
	}
}

// settle does turns until there is nothing to do, and returns the size of the
// greatest round.
func (c *client) settle(t *testing.T) (greatest int) {
	t.Helper()
	for turns := 0; c.stream.dirtiness(time.Now()) > clean; turns++ {
		if turns > 1000 {
			t.Fatal("there is always something to do")
		}
		greatest = max(greatest, len(c.round(t).data))
	}
	return greatest
}

// A turn sends no more at once when others have read all of it before.
func TestWhatOthersHaveReadIsCutToo(t *testing.T) {
	w := newWorld()
	a, b := urlOf(w, 0, 3), urlOf(w, 0, 3)
	a.settle(t)
	b.settle(t)
	for i := range w.now().answers {
		w.answer(i, fmt.Sprintf(`"%s"`, filler[:900_000]), false)
	}
	w.compareAll()
	a.settle(t)
	runs := w.engine.runs.all.Load()
	if greatest := b.settle(t); greatest > maxTurnBytes+900_000 {
		t.Errorf("a round of %d bytes", greatest)
	}
	if w.engine.runs.all.Load() != runs {
		t.Error("what others have read was read again")
	}
}

// What others have read is not for who may have lost their right: the database is
// asked again.
func TestWhoseRightIsUndecidedTakesNothing(t *testing.T) {
	w := newWorld()
	a, b := urlOf(w, 0, 1), urlOf(w, 0, 1)
	a.settle(t)
	b.settle(t)
	for undecided := range 2 {
		w.answer(0, fmt.Sprint(undecided), false)
		w.compareAll()
		a.settle(t)
		runs := w.engine.runs.all.Load()
		if undecided > 0 {
			b.stream.subs[0].rights.mark(w.now().commit, time.Now())
		}
		b.settle(t)
		if ran := w.engine.runs.all.Load() - runs; ran != int64(undecided) {
			t.Errorf("undecided %d: %d runs", undecided, ran)
		}
	}
}

// A feed that was asked for on the open connection is cut like those of the URL.
func TestALaterFeedIsCutToo(t *testing.T) {
	w := newWorld()
	w.feeds[0].post(20, 200_000, func(i int) string { return fmt.Sprint(i) }, false)
	c := urlOf(w, 1, 0)
	c.paths, c.later = nil, c.paths
	c.connect()
	if size := len(c.round(t).data); size > maxTurnBytes+200_000 {
		t.Errorf("a round of %d bytes", size)
	}
	c.settle(t)
	if c.stream.subs[0].cursor != 20 {
		t.Errorf("told up to %d of 20", c.stream.subs[0].cursor)
	}
}
