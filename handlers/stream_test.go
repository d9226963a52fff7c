package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/r3labs/sse/v2"
)

// maxEvent bounds an event that a test receives.
const maxEvent = 4 << 20

// stream is a live GET that is open. It is closed when the test ends.
type stream struct {
	t      testing.TB
	name   string
	events chan *sse.Event // closed when the stream has ended
	cancel context.CancelFunc
}

// follow opens the live GET of the path, which must be answered with 200.
// header is names and values in turn. The stream does not connect again.
func (p *person) follow(path string, header ...string) *stream {
	p.s.t.Helper()
	ctx, cancel := context.WithCancel(p.s.t.Context())
	st := &stream{t: p.s.t, name: p.Name + " " + path, events: make(chan *sse.Event), cancel: cancel}
	client := sse.NewClient(p.s.URL+path, sse.ClientMaxBufferSize(maxEvent))
	client.Connection = &http.Client{Transport: p.s.transport}
	client.ReconnectStrategy = once{}
	if p.Token != "" {
		client.Headers["Authorization"] = "Bearer " + p.Token
	}
	for i := 0; i+1 < len(header); i += 2 {
		client.Headers[header[i]] = header[i+1]
	}
	opened := make(chan int, 1)
	client.ResponseValidator = func(_ *sse.Client, r *http.Response) error {
		opened <- r.StatusCode
		if r.StatusCode != http.StatusOK {
			return r.Body.Close()
		}
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(st.events)
		_ = client.SubscribeWithContext(ctx, "", func(e *sse.Event) {
			select {
			case st.events <- e:
			case <-ctx.Done():
			}
		}) // how it ends is what a test looks at
	}()
	st.t.Cleanup(func() { cancel(); <-done })
	select {
	case status := <-opened:
		if status != http.StatusOK {
			st.t.Fatalf("%s: status %d", st.name, status)
		}
	case <-time.After(patience):
		st.t.Fatalf("%s: no answer", st.name)
	}
	return st
}

// once is the strategy of a client that does not connect again.
type once struct{}

// NextBackOff returns the pause that means none.
func (once) NextBackOff() time.Duration { return -1 }

// Reset does nothing.
func (once) Reset() {}

// close ends the stream from the client's side.
func (st *stream) close() { st.cancel() }

// any returns the next event, nil when the stream has ended.
func (st *stream) any() *sse.Event {
	st.t.Helper()
	select {
	case e := <-st.events:
		return e
	case <-time.After(patience):
		st.t.Fatalf("%s: nothing has come", st.name)
		return nil
	}
}

// next returns the next event that is no heartbeat; it must have the name.
func (st *stream) next(name string) *sse.Event {
	st.t.Helper()
	for began := time.Now(); ; {
		e := st.any()
		switch {
		case time.Since(began) > patience:
			st.t.Fatalf("%s: heartbeats instead of %s", st.name, name)
		case e == nil:
			st.t.Fatalf("%s: ended instead of sending %s", st.name, name)
		case string(e.Event) == name:
			return e
		case string(e.Event) != "heartbeat":
			st.t.Fatalf("%s: %s %s instead of %s", st.name, e.Event, e.Data, name)
		}
	}
}

// ready is the first event of a stream.
type ready struct {
	ConnectionID string
	Resumed      bool
	Commit       int64
}

// ready returns the first event, which must be next.
func (st *stream) ready() (r ready) {
	st.t.Helper()
	st.into(st.next("ready"), &r)
	return r
}

// snapshot decodes the next snapshot into v and returns its id.
func (st *stream) snapshot(v any) int64 {
	st.t.Helper()
	e := st.next("snapshot")
	st.into(e, v)
	return st.id(e)
}

// item is what every feed's items have.
type item struct {
	ID       string
	Position int64
	Seq      int64
	Type     string
	Content  string
}

// items returns the next items and the id of their event.
func (st *stream) items() ([]item, int64) {
	st.t.Helper()
	e := st.next("items")
	var body struct{ Items []item }
	st.into(e, &body)
	return body.Items, st.id(e)
}

// itemsUpTo returns the items that come, up to the one at the position.
func (st *stream) itemsUpTo(position int64) (all []item) {
	st.t.Helper()
	for {
		some, last := st.items()
		all = append(all, some...)
		if last >= position {
			return all
		}
	}
}

// live is the path of one connection that follows the paths, with quick
// heartbeats.
func live(paths ...string) string {
	return "/v1/live?" + url.Values{"q": paths, "heartbeat": {"1"}}.Encode()
}

// round is what a connection that follows many paths is told at once.
type round struct {
	ID      string
	Commit  int64
	Results []result
}

type result struct {
	Q, Event string
	Body     json.RawMessage
}

// round returns the next event, which must be a round.
func (st *stream) round() (r round) {
	st.t.Helper()
	e := st.next("round")
	st.into(e, &r)
	r.ID = string(e.ID)
	return r
}

// brief tells what the round holds, in the order of the paths: of items what
// they say or are, of a problem its code. names shortens the paths.
func (r round) brief(names *strings.Replacer) string {
	var all []string
	for _, one := range r.Results {
		var body struct {
			Items []item
			Code  string
		}
		what := ""
		if err := json.Unmarshal(one.Body, &body); err != nil {
			what = " " + err.Error()
		}
		switch one.Event {
		case "problem":
			what = " " + body.Code
		case "items":
			said := []string{}
			for _, i := range body.Items {
				said = append(said, i.Content+i.Type)
			}
			what = fmt.Sprint(" ", said)
		}
		all = append(all, names.Replace(one.Q)+" "+one.Event+what)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// awaitStreams waits until no more than n streams are open.
func (s *server) awaitStreams(n int) {
	s.t.Helper()
	for deadline := time.After(patience); s.API.Engine().Stats().Streams > n; {
		select {
		case <-s.finished:
		case <-deadline:
			s.t.Fatalf("%d streams are open, want %d", s.API.Engine().Stats().Streams, n)
		}
	}
}

// drain reads until the stream ends.
func (st *stream) drain() {
	for st.any() != nil {
	}
}

// quietUntil returns once a heartbeat covers the commit; anything else before
// it is a mistake.
func (st *stream) quietUntil(commit int64) {
	st.t.Helper()
	for began := time.Now(); ; {
		e := st.any()
		if e == nil || string(e.Event) != "heartbeat" || time.Since(began) > patience {
			st.t.Fatalf("%s: %+v instead of silence up to %d", st.name, e, commit)
		}
		var beat struct{ Commit int64 }
		st.into(e, &beat)
		if beat.Commit >= commit {
			return
		}
	}
}

// endsWith checks that the next event is a problem with the code and that the
// stream ends after it. It returns the event.
func (st *stream) endsWith(code string) *sse.Event {
	st.t.Helper()
	e := st.next("problem")
	var p struct{ Code string }
	st.into(e, &p)
	if p.Code != code {
		st.t.Fatalf("%s: ends with %s, want %s", st.name, e.Data, code)
	}
	if after := st.any(); after != nil {
		st.t.Fatalf("%s: %s %s after its problem", st.name, after.Event, after.Data)
	}
	return e
}

// endsAmid is endsWith for a stream of figures, of which some may be on their way.
func (st *stream) endsAmid(code string) {
	st.t.Helper()
	for began := time.Now(); ; {
		e := st.any()
		switch {
		case e == nil, time.Since(began) > patience:
			st.t.Fatalf("%s: does not end with %s", st.name, code)
		case string(e.Event) == "problem":
			if !strings.Contains(string(e.Data), fmt.Sprintf(`"code":%q`, code)) || st.any() != nil {
				st.t.Fatalf("%s: ends with %s, want %s", st.name, e.Data, code)
			}
			return
		}
	}
}

func (st *stream) into(e *sse.Event, v any) {
	st.t.Helper()
	if err := json.Unmarshal(e.Data, v); err != nil {
		st.t.Fatalf("%s: %s %s: %v", st.name, e.Event, e.Data, err)
	}
}

func (st *stream) id(e *sse.Event) int64 {
	st.t.Helper()
	n, err := strconv.ParseInt(string(e.ID), 10, 64)
	if err != nil {
		st.t.Fatalf("%s: id %q of %s", st.name, e.ID, e.Event)
	}
	return n
}
