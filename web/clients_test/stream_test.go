package clients_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	// maxEvent bounds an event that a client receives, in bytes.
	maxEvent = 4 << 20
	// maxUnread is how many events a test may leave for later.
	maxUnread = 10_000
)

// event is what a client has told: an event of a stream, the answer to a request,
// or an error, which means that the connection is gone.
type event struct {
	Stream int
	Name   string
	ID     string
	Data   string
	State  int // the readyState after an error, the status of an answer
}

// The readyState of an EventSource that comes again, and of one that has ended.
const (
	connecting = 0
	closed     = 2
)

// stream is what a client tells of one live GET, over all its connections.
type stream struct {
	t      *testing.T
	name   string
	events chan event
	ended  int      // by a server that stops, that the test has read over
	breaks int      // that the test has read over
	seen   int      // of the breaks, those that back has returned for
	unread []string // what items have said that the test has not asked for
}

func newStream(t *testing.T, name string) *stream {
	return &stream{t: t, name: name, events: make(chan event, maxUnread)}
}

// tell takes an event. It may be called by any goroutine.
func (st *stream) tell(e event) {
	select {
	case st.events <- e:
	default:
		st.t.Errorf("%s: nobody reads", st.name)
	}
}

// any returns the next event that is no heartbeat.
func (st *stream) any() event {
	st.t.Helper()
	late := time.After(deadline)
	for {
		select {
		case e := <-st.events:
			if e.Name != "heartbeat" {
				return e
			}
		case <-late:
			st.t.Fatalf("%s: nothing has come", st.name)
		}
	}
}

// next returns the next event that is no break; it must have the name.
func (st *stream) next(name string) event {
	st.t.Helper()
	for {
		switch e := st.any(); {
		case e.Name == name:
			return e
		case e.Name != "error" || e.State != connecting:
			st.t.Fatalf("%s: %+v instead of %s", st.name, e, name)
		}
	}
}

// ready reads the first event of a connection and compares whether it is resumed.
func (st *stream) ready(resumed bool) event {
	st.t.Helper()
	e := st.next("ready")
	var body struct{ Resumed *bool }
	decode(st.t, []byte(e.Data), &body)
	if body.Resumed == nil || *body.Resumed != resumed {
		st.t.Fatalf("%s: %s, want resumed: %v", st.name, e.Data, resumed)
	}
	return e
}

// says reads until there are as many items as want, and compares them. The stream
// may break meanwhile, as long as it resumes.
func (st *stream) says(want ...string) {
	st.t.Helper()
	for len(st.unread) < len(want) {
		st.take(st.any())
	}
	if got := st.unread[:len(want)]; !slices.Equal(got, want) {
		st.t.Fatalf("%s: %s, want %s", st.name, brief(got), brief(want))
	}
	st.unread = st.unread[len(want):]
}

// back reads until the stream has resumed once more since back returned last.
func (st *stream) back() {
	st.t.Helper()
	for st.seen++; st.breaks < st.seen; {
		st.take(st.any())
	}
	if st.breaks > st.seen {
		st.t.Fatalf("%s: %d breaks, want %d", st.name, st.breaks, st.seen)
	}
}

// hurry restarts the server, which says in its retry when to come again: an
// EventSource does so after every later break too, and else takes three seconds.
func (st *stream) hurry(s *server) {
	st.t.Helper()
	s.stop()
	s.start()
}

// take notes what an event of a feed that resumes brings.
func (st *stream) take(e event) {
	st.t.Helper()
	switch e.Name {
	case "items":
		st.unread = append(st.unread, contents(st.t, e)...)
	case "problem":
		if st.ended++; problemCode(st.t, e) != "shutting_down" {
			st.t.Fatalf("%s: %s", st.name, e.Data)
		}
	case "ready":
		if st.breaks++; !resumed(st.t, e) {
			st.t.Fatalf("%s: %s", st.name, e.Data)
		}
	case "error":
		if e.State != connecting {
			st.t.Fatalf("%s: %+v", st.name, e)
		}
	}
}

// problem reads the event that ends a stream; it must have the code.
func (st *stream) problem(code string) {
	st.t.Helper()
	if e := st.next("problem"); problemCode(st.t, e) != code {
		st.t.Fatalf("%s: %s, want %s", st.name, e.Data, code)
	}
}

// closes reads until the EventSource has ended for good, and nothing else before.
func (st *stream) closes() {
	st.t.Helper()
	for {
		switch e := st.any(); {
		case e.Name != "error":
			st.t.Fatalf("%s: %+v instead of the end", st.name, e)
		case e.State == closed:
			return
		}
	}
}

// contents returns what the items of an event say; its id must be the last
// position.
func contents(t *testing.T, e event) (all []string) {
	t.Helper()
	var body struct {
		Items []struct {
			Content  string
			Position int64
		}
	}
	decode(t, []byte(e.Data), &body)
	last := int64(0)
	for _, item := range body.Items {
		if item.Position <= last {
			t.Fatalf("out of order: %s", e.Data)
		}
		all, last = append(all, item.Content), item.Position
	}
	if e.ID != strconv.FormatInt(last, 10) {
		t.Fatalf("id %q of %s", e.ID, e.Data)
	}
	return all
}

func resumed(t *testing.T, ready event) bool {
	t.Helper()
	var body struct{ Resumed bool }
	decode(t, []byte(ready.Data), &body)
	return body.Resumed
}

func problemCode(t *testing.T, e event) string {
	t.Helper()
	var body struct{ Code string }
	decode(t, []byte(e.Data), &body)
	return body.Code
}

// brief shows the end of what a test compares.
func brief(all []string) string {
	const most = 20
	shown, _ := json.Marshal(all[max(0, len(all)-most):]) // strings always encode
	return strconv.Itoa(len(all)) + " items, the last of them " + string(shown)
}
