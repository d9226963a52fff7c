package clients_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestFeedOverCuts breaks the network in every way, with messages posted while
// it is broken.
func TestFeedOverCuts(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		meeting := ada.plan()
		first := ada.say(meeting, "before", "first")
		ada.say(meeting, "second")
		st := open(t, n.URL, ada).follow(fmt.Sprintf("%s/messages?after=%d", meeting, first))
		st.ready(false)
		st.says("second")
		st.hurry(s)
		st.back()
		for i, text := range []string{"event: it", "\nid: ", `"content":"`, "]}\n"} {
			n.cutAfter(text)
			said := []string{fmt.Sprint("cut ", i), fmt.Sprint("away ", i)}
			ada.say(meeting, said...)
			st.back()
			st.says(said...)
		}

		// More than fits into one event: what follows the first is cut.
		n.down()
		n.cutAfter(inSecondEvent)
		said := ada.burst(meeting)
		n.up()
		st.back()
		st.back()
		st.says(said...)

		held := n.stall()
		ada.say(meeting, "waits")
		await(t, "an answer waits", held)
		ada.say(meeting, "waits too")
		n.release()
		st.says("waits", "waits too")

		held = n.stall()
		ada.say(meeting, "is lost")
		await(t, "an answer waits", held)
		n.cut()
		n.release()
		ada.say(meeting, "after")
		st.back()
		st.says("is lost", "after")
	})
}

// burst posts more messages than one event holds, which are 200, and returns what
// they say in the order in which they came.
func (p *person) burst(meeting string) []string {
	p.s.t.Helper()
	const posters, each = 10, 25
	before := len(p.history(meeting))
	var all sync.WaitGroup
	for i := range posters {
		all.Go(func() {
			for j := range each {
				post(p.s, p, meeting, fmt.Sprintf("burst %d.%d", j, i))
			}
		})
	}
	all.Wait()
	return p.history(meeting)[before:]
}

// inSecondEvent is what about the 235th of a burst's 250 messages says.
const inSecondEvent = `"burst 23.5"`

// TestEmptyFeedOverBreaks holds a position before there is any item: it is that
// of ready. Else a client would come again as if for the first time, and be sent
// the newest page, which is one message here.
func TestEmptyFeedOverBreaks(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		meeting := ada.plan()
		c := open(t, n.URL, ada)
		st := c.follow(meeting + "/messages?limit=1")
		if e := st.ready(false); e.ID == "" {
			t.Errorf("ready has no id: %+v", e)
		}
		s.stop()
		s.start()
		st.back()
		n.cut()
		ada.say(meeting, "one", "two", "three")
		st.back()
		st.says("one", "two", "three")

		// The same where the URL names the position, which the client repeats.
		late := c.follow(fmt.Sprintf("%s/messages?after=%d", meeting, ada.say(meeting, "four")))
		late.ready(false)
		st.says("four")
		s.stop()
		s.start()
		ada.say(meeting, "five", "six")
		late.back()
		late.says("five", "six")
		st.back()
		st.says("five", "six")
		s.stop()
		s.start()
		ada.say(meeting, "seven")
		late.back()
		late.says("seven")
		st.back()
		st.says("seven")
	})
}

// TestFeedOverRestarts ends the server while messages are on their way.
func TestFeedOverRestarts(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada := s.signIn("ada")
		meeting := ada.plan()
		ada.say(meeting, "before")
		st := open(t, s.URL, ada).follow(meeting + "/messages")
		st.ready(false)
		st.says("before")
		for i := range 3 {
			said := []string{fmt.Sprint("on its way ", i), fmt.Sprint("away ", i)}
			ada.say(meeting, said[0])
			s.stop()
			s.start()
			ada.say(meeting, said[1])
			st.back()
			st.says(said...)
		}
		if st.ended != 3 {
			t.Errorf("the server has said %d times that it stops", st.ended)
		}
	})
}

// TestUnknownPositionBringsEverything holds a position that the server does not
// know: nonsense, and one of its future, after older files were put back.
func TestUnknownPositionBringsEverything(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada := s.signIn("ada")
		meeting := ada.plan()
		ada.say(meeting, "one", "two", "three")
		st := open(t, s.URL, ada).follow(meeting + "/messages?limit=1&lastEventId=nonsense")
		st.ready(false)
		st.says("one", "two", "three")
		s.stop()
		older := s.files()
		s.start()
		ada.say(meeting, "never", "heard", "of", "again")
		st.says("never", "heard", "of", "again")
		st.back()
		s.stop()
		s.restore(older)
		s.start()
		st.problem("shutting_down")
		st.ready(false)
		st.says("one", "two", "three")
		ada.say(meeting, "four")
		st.says("four")
		s.stop()
		s.start()
		ada.say(meeting, "five")
		st.says("five")
	})
}
