package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"connvo/domain"
)

// hearer is a client that follows the first feed of a world and what is told
// beside it.
type hearer struct {
	*client
	wants  string // only texts about it; "" for all
	log    []said
	events int
}

// said is something that a client was told: a text that is not final, or an item.
type said struct {
	key     string
	number  int // of a text
	final   bool
	written int64 // of an item: its position
}

// text is what is not final, as tests tell it.
func text(key, about string, number int) Interim {
	return Interim{Key: key, About: about, Data: fmt.Appendf(nil, `{"key":%q,"number":%d}`, key, number), Once: true}
}

// hear returns a client that has been told what there is.
func hear(t testing.TB, w *world, multiplexed bool, wants string) *hearer {
	h := &hearer{client: &client{world: w, feeds: map[string]*feed{"f": w.feeds[0]}, told: map[string]*history{}}, wants: wants}
	path := Path{Name: "f", Topic: "f" + wants, Feed: &Feed{Read: w.feeds[0].read, Limit: newestPage, Aside: &Aside{Name: "aside"}}}
	if wants != "" {
		path.Feed.Aside.Wants = func(about any) bool { return about == wants }
	}
	h.stream = &stream{engine: w.engine, multiplexed: multiplexed, settled: true, bell: newBell(), names: map[string]struct{}{}}
	h.stream.open([]Path{path})
	h.turn(t)
	return h
}

// turn is stream.update on a world.
func (h *hearer) turn(t testing.TB) {
	t.Helper()
	if h.stream.dirtiness(time.Now()) == clean {
		return
	}
	beside := h.stream.whispers(time.Now())
	found := h.look()
	found.beside = beside
	events, err := h.stream.events(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) > 1 {
		t.Fatalf("a turn tells %d events", len(events))
	}
	for _, e := range events {
		h.events++
		if e.name != "round" {
			if e.name == "interim" && e.id != "" {
				t.Fatalf("what is not final has the id %q", e.id)
			}
			h.receive(t, e.name, e.data)
			continue
		}
		var body roundRead
		if err := json.Unmarshal(e.data, &body); err != nil {
			t.Fatal(err)
		}
		for _, r := range body.Results {
			h.receive(t, r.Event, r.Body)
		}
	}
}

func (h *hearer) receive(t testing.TB, event string, body []byte) {
	var read struct {
		Items []struct {
			Key    string
			Number int
			K      string
			P      int64
		}
	}
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, item := range read.Items {
		switch event {
		case "items":
			h.log = append(h.log, said{key: item.K, final: true, written: item.P})
		case "interim":
			h.log = append(h.log, said{key: item.Key, number: item.Number})
		default:
			t.Fatalf("event %s", event)
		}
	}
}

// final commits the item that an utterance has become.
func (w *world) final(key string) {
	f := w.feeds[0]
	f.post(1, 10, func(int) string { return key }, false)
	f.log[len(f.log)-1].Ends, f.log[len(f.log)-1].Once = key, true
}

// tell is Engine.Tell where every commit has been compared.
func (w *world) tell(texts ...Interim) {
	w.compareAll()
	if a := w.engine.asides["aside"]; a != nil && a.put(time.Now(), texts) {
		w.engine.hub.wake(&a.watched)
	}
}

// Whatever is told beside the items, each item comes once and in order, no text
// comes after the item that it has become or after a newer one, and who has had
// time to read all has read the newest of each.
func TestWhatIsNotFinalNeverChangesItems(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		var all []*hearer
		for i := range 4 {
			all = append(all, hear(t, w, i%2 == 0, []string{"", "", "", "a"}[i]))
		}
		newest, ended := map[string]int{}, map[string]bool{}
		number := 0
		rt.Repeat(map[string]func(*rapid.T){
			"tell": func(rt *rapid.T) {
				key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "key")
				number++
				if !ended[key] {
					newest[key] = number
				}
				w.tell(text(key, key, number))
			},
			"end": func(rt *rapid.T) {
				key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "key")
				if !ended[key] {
					ended[key] = true
					w.final(key)
				}
			},
			"compare": func(*rapid.T) { w.compare() },
			"turn":    func(rt *rapid.T) { all[rapid.IntRange(0, 3).Draw(rt, "who")].turn(t) },
		})
		w.compareAll()
		for i, h := range all {
			for turns := 0; h.stream.dirtiness(time.Now()) != clean; turns++ {
				if turns > 100 {
					rt.Fatal("there is always something to do")
				}
				h.turn(t)
			}
			h.check(rt, i, newest, ended)
			h.stream.close()
		}
		if len(w.engine.asides) != 0 || w.engine.held.Load() != 0 {
			rt.Fatalf("%d asides are left, and %d bytes", len(w.engine.asides), w.engine.held.Load())
		}
	})
}

func (h *hearer) check(rt *rapid.T, who int, newest map[string]int, ended map[string]bool) {
	last, final, position := map[string]int{}, map[string]bool{}, int64(0)
	for _, s := range h.log {
		switch {
		case s.final:
			if s.written <= position {
				rt.Fatalf("%d was told item %d after %d", who, s.written, position)
			}
			position, final[s.key] = s.written, true
		case final[s.key]:
			rt.Fatalf("%d was told %s after it was final", who, s.key)
		case s.number <= last[s.key]:
			rt.Fatalf("%d was told %d of %s after %d", who, s.number, s.key, last[s.key])
		case h.wants != "" && s.key != h.wants:
			rt.Fatalf("%d was told of %s", who, s.key)
		default:
			last[s.key] = s.number
		}
	}
	for key, number := range newest {
		switch {
		case ended[key] && !final[key]:
			rt.Fatalf("%d lacks the item of %s", who, key)
		case !ended[key] && (h.wants == "" || h.wants == key) && last[key] != number:
			rt.Fatalf("%d was told %d of %s, the newest is %d", who, last[key], key, number)
		}
	}
}

// A reader who is late is told the newest of each utterance, in one event; and
// with items always waiting, an interim event is every fourth.
func TestAReaderWhoIsLateIsToldTheNewestOnly(t *testing.T) {
	w := newWorld()
	h := hear(t, w, false, "")
	defer h.stream.close()
	for number := range 100 {
		w.tell(text("a", "", number), text("b", "", number))
	}
	if h.turn(t); len(h.log) != 2 || h.events != 1 || h.log[0].number != 99 || h.log[1].number != 99 {
		t.Fatalf("told %v in %d events", h.log, h.events)
	}
	var kinds strings.Builder
	for range 12 {
		w.feeds[0].post(1, 10, func(int) string { return fmt.Sprint(w.now().commit) }, false)
		w.tell(text("a", "", 100))
		before := len(h.log)
		h.turn(t)
		kinds.WriteString(map[bool]string{true: "i", false: "-"}[h.log[before].final])
	}
	if got := kinds.String(); got != "iii-iii-iii-" {
		t.Errorf("turns were %s", got)
	}
}

// What is told is bounded in number, in bytes and in age, and nothing is held for
// nobody.
func TestWhatIsNotFinalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.tell(text("a", "", 1)) // to nobody
		h := hear(t, w, false, "")
		a := w.engine.asides["aside"]
		for i := range 3 * maxInterim {
			w.tell(text(fmt.Sprint(i), "", i))
		}
		if len(a.texts) != maxInterim {
			t.Errorf("%d texts are held", len(a.texts))
		}
		if h.turn(t); h.log[0].key != fmt.Sprint(2*maxInterim) {
			t.Errorf("the first that is left is %v", h.log[0])
		}
		long := Interim{Key: "long", Data: []byte(`"` + strings.Repeat("x", maxInterimBytes/3) + `"`)}
		for i := range 9 {
			long.Key = fmt.Sprint("long", i)
			w.tell(long)
		}
		if len(a.texts) != 2 || a.bytes > maxInterimBytes {
			t.Errorf("%d texts of %d bytes", len(a.texts), a.bytes)
		}
		w.tell(Interim{Key: "longest", Data: make([]byte, maxInterimBytes+1)})
		if len(a.texts) != 2 {
			t.Errorf("a text beyond the bound is held: %d", len(a.texts))
		}
		time.Sleep(interimAge + time.Second)
		late := hear(t, w, false, "")
		if late.turn(t); len(late.log) != 0 {
			t.Errorf("who comes late is told %v", late.log)
		}
		if a.tidy(time.Now()); len(a.texts) != 0 || w.engine.held.Load() != 0 {
			t.Errorf("%d texts are kept, and %d bytes", len(a.texts), w.engine.held.Load())
		}
		h.stream.close()
		late.stream.close()
	})
}

// What was told after a commit that took away the right to read it is not told:
// the right is asked for again first.
func TestWhatIsNotFinalIsToldToThoseWhoMayHear(t *testing.T) {
	for _, multiplexed := range []bool{false, true} {
		w := newWorld()
		h := hear(t, w, multiplexed, "")
		h.stream.engine.problem = refused
		w.tell(text("a", "", 1))
		h.turn(t)
		h.stream.subs[0].path.Feed.Read = refuses
		h.stream.subs[0].rights.mark(w.now().commit+1, time.Now())
		w.tell(text("a", "", 2))
		found := turn{beside: h.stream.whispers(time.Now())}
		if _, ok := h.stream.takeAll(); ok {
			t.Fatal("the right was not asked for")
		}
		found.updates = h.stream.askDirty(t.Context(), w.now().commit)
		events, err := h.stream.events(t.Context(), found)
		for _, e := range events {
			if strings.Contains(string(e.data), `"number":2`) {
				t.Errorf("told %s", e.data)
			}
		}
		if !multiplexed && err == nil {
			t.Error("the stream goes on")
		}
		h.stream.close()
	}
}

func refused(context.Context, error) Problem { return Problem{Status: 403, Body: []byte(`{}`)} }

func refuses(context.Context, domain.Span) (Part, error) { return Part{}, errors.New("no longer") }
