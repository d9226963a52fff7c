package realtime

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

// clientAfter is a client of as many feeds, each after its own position.
func clientAfter(w *world, afters ...int64) *client {
	c := &client{world: w, feeds: map[string]*feed{}, query: map[string]int{}}
	for i, after := range afters {
		name := fmt.Sprint("feed", i)
		c.feeds[name] = w.feeds[i]
		c.paths = append(c.paths, Path{Name: name, Topic: name, Feed: &Feed{Read: w.feeds[i].read, Limit: newestPage, After: &after}})
	}
	c.connect()
	return c
}

// rounds returns the data of the next rounds.
func (c *client) rounds(n int) (data []string) {
	for range n {
		for _, e := range c.stream.round(c.look(), nil) {
			data = append(data, string(e.data))
			if e.id != "" {
				c.id = e.id
			}
		}
	}
	return data
}

func keyed(prefix string) func(int) string {
	return func(i int) string { return fmt.Sprint(prefix, i) }
}

// One number is resumed from on all feeds: it may lie before where one of them
// was to begin.
func TestAResumeDoesNotGoBehindAfter(t *testing.T) {
	w := newWorld()
	w.feeds[0].post(300, 10, keyed("a"), false)
	w.feeds[1].post(5, 10, keyed("b"), false) // 301 to 305
	c := clientAfter(w, 0, 303)               // who holds 303 of the second already
	c.rounds(1)
	c.stream.close()
	c.connect()
	for _, data := range c.rounds(5) {
		_, second, _ := strings.Cut(data, `"q":"feed1"`)
		for _, p := range []int{301, 302, 303} {
			if strings.Contains(second, fmt.Sprintf(`"p":%d,`, p)) {
				t.Errorf("resumed from %s, item %d is sent again", c.id, p)
			}
		}
	}
}

// A path of the URL that is asked for anew is in the number to resume from.
func TestAPathOfTheURLAskedForAgainIsNotLeftBehind(t *testing.T) {
	w := newWorld()
	c := clientAfter(w, 0, 0)
	c.rounds(1)
	w.engine.streams["x"] = c.stream
	if err := w.engine.Change(domain.Actor{}, "x", c.paths[:1], []string{c.paths[0].Name}); err != nil {
		t.Fatal(err)
	}
	w.feeds[0].post(300, 10, keyed("a"), false)
	c.stream.change()
	sent := strings.Count(strings.Join(c.rounds(1), ""), `"p":`)
	c.stream.close()
	c.connect()
	if sent += strings.Count(strings.Join(c.rounds(3), ""), `"p":`); sent != 300 {
		t.Errorf("%d of 300 items were sent, resumed from %s", sent, c.id)
	}
}

// A token may expire while its stream waits to begin.
func TestAnExpiredTokenIsToldNothing(t *testing.T) {
	e, d := newEngine(t)
	w := httptest.NewRecorder()
	err := e.Serve(t.Context(), w, Request{
		Actor: domain.Actor{User: "u", Expires: d.Now().Add(-time.Second)},
		Paths: []Path{{Query: func(context.Context) (Answer, error) { return Answer{Body: []byte(`"secret"`)}, nil }}},
	})
	if domain.KindOf(err) != domain.Unauthenticated || w.Body.Len() > 0 {
		t.Errorf("%v, and %q", err, w.Body)
	}
}

// What is asked for by the clock waits for its turn like everything else.
func TestTheClockDoesNotWakeInVain(t *testing.T) {
	s := &stream{engine: stillEngine(), settled: true, bell: newBell(), names: map[string]struct{}{}}
	s.open([]Path{{Name: "f", Every: time.Second, Query: func(context.Context) (Answer, error) { return Answer{}, nil }}})
	now := time.Now()
	s.heartAt, s.nextSend = now.Add(15*time.Second), now.Add(90*time.Millisecond)
	s.subs[0].asked, s.subs[0].nextRun = true, now.Add(-time.Millisecond)
	if wait := s.untilNext(now); wait < 80*time.Millisecond {
		t.Errorf("it may send in 90 ms and wakes in %v", wait)
	}
}
