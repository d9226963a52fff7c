package clients_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// openTypeScript runs the client of web/client for somebody who sees the server at
// origin.
func openTypeScript(t *testing.T, origin string, who *person) *script {
	t.Helper()
	return run(t, "typescript.mjs", "", "CLIENT="+compiled(t), "ORIGIN="+origin, "EMAIL="+who.Email)
}

// view is what somebody holds who is told of one path.
type view struct {
	*stream
	path   string
	held   []string // items
	body   string   // of the newest snapshot
	resets int
	breaks int
}

func (c *script) view(path string) *view { return &view{stream: c.follow(path), path: path} }

// take takes an event.
func (v *view) take(e event) {
	v.t.Helper()
	switch e.Name {
	case "snapshot", "items":
		var told struct {
			Body  json.RawMessage
			Items []json.RawMessage
		}
		decode(v.t, []byte(e.Data), &told)
		v.body = string(told.Body)
		for _, item := range told.Items {
			if slices.Contains(v.held, string(item)) {
				v.t.Fatalf("%s: again %s", v.path, item)
			}
			v.held = append(v.held, string(item))
		}
	case "reset":
		v.held = nil
		v.resets++
	case "live":
		if e.State == 0 {
			v.breaks++
		}
	default:
		v.t.Fatalf("%s: %+v", v.name, e)
	}
}

// shows reads until it holds what a person sees by plain requests, and nothing
// twice.
func (v *view) shows(p *person) {
	v.t.Helper()
	want := p.see(v.path)
	defer func() {
		if v.t.Failed() {
			v.t.Logf("%s: %s, want %s", v.path, brief(append(v.held, v.body)), brief(strings.Split(want, "\n")))
		}
	}()
	for strings.Join(v.held, "\n")+v.body != want {
		v.take(v.any())
	}
}

// ends reads until it has ended for good with the status.
func (v *view) ends(status int) {
	v.t.Helper()
	for {
		e := v.any()
		if e.Name != "end" {
			v.take(e)
			continue
		}
		if e.State != status {
			v.t.Fatalf("%s: %+v, want %d", v.path, e, status)
		}
		return
	}
}

// TestTypeScriptFollowsOverBreaks follows many paths, two of them twice, some from
// the beginning and some later, over every kind of break.
func TestTypeScriptFollowsOverBreaks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, n := s.signIn("ada"), network(t, s)
	one, two := ada.plan(), ada.plan()
	ada.say(one, "before")
	c := openTypeScript(t, n.URL, ada)
	var all []*view
	follow := func(paths ...string) {
		for _, path := range paths {
			all = append(all, c.view(path))
		}
	}
	shows := func() {
		t.Helper()
		for _, v := range all {
			v.shows(ada)
		}
	}
	follow(one+"/messages?after=0", two+"/messages", one+"/messages?after=0", "/v1/me", one+"/events?after=0")
	shows()
	ada.say(one, "now")
	ada.say(two, "now")
	shows()
	n.cut()
	ada.say(two, "cut")
	follow(two+"/messages?after=0", "/v1/me", two) // while there is no connection, perhaps
	ada.rename("Ada one")
	shows()
	for i, text := range []string{"\nid: ", `"results":[{`, "]}\n", "event: rou"} {
		n.cutAfter(text)
		ada.say(one, fmt.Sprint("cut ", i))
		ada.say(two, fmt.Sprint("away ", i))
		ada.rename(fmt.Sprint("Ada ", i))
		follow(fmt.Sprintf("%s/messages?after=%d", one, 0))
		shows()
	}
	n.down()
	n.cutAfter(inSecondEvent)
	ada.burst(one)
	ada.say(two, "after the burst")
	n.up()
	shows()
	s.kill()
	s.start()
	ada.say(one, "after a kill")
	shows()
	gone := all[0]
	c.ask(command{Do: "close", URL: "0"}) // the stream of all[0]
	gone.ends(0)
	all = all[1:]
	s.stop()
	s.start()
	ada.say(one, "after a stop")
	shows()
	for _, v := range append(all, gone) {
		if v.resets > 0 {
			t.Errorf("%s began anew", v.path)
		}
	}
	if all[0].breaks < 5 {
		t.Errorf("%d breaks", all[0].breaks)
	}
}

// TestTypeScriptBeginsAnew puts older files back: what was told is no more.
func TestTypeScriptBeginsAnew(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada := s.signIn("ada")
	meeting := ada.plan()
	ada.say(meeting, "one", "two")
	s.stop()
	older := s.files()
	s.start()
	c := openTypeScript(t, s.URL, ada)
	feed, me := c.view(meeting+"/messages"), c.view("/v1/me")
	ada.say(meeting, "never", "heard", "of", "again")
	ada.rename("Nobody")
	feed.shows(ada)
	me.shows(ada)
	s.stop()
	s.restore(older)
	s.start()
	feed.shows(ada)
	me.shows(ada)
	if feed.resets != 1 {
		t.Errorf("it began anew %d times", feed.resets)
	}
	ada.say(meeting, "three")
	feed.shows(ada)
}

// TestTypeScriptTellsRefusals follows what is not to be had, and what is no more.
func TestTypeScriptTellsRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	secret, own := ada.plan(), grace.plan()
	c := openTypeScript(t, s.URL, grace)
	feed, hidden, unknown := c.view(own+"/messages"), c.view(secret), c.view("/v1/nothing")
	hidden.ends(404)
	unknown.ends(422)
	grace.say(own, "one")
	feed.shows(grace)
	later := c.view("/v1/meetings/nothing/nothing")
	shown := c.view("/v1/me")
	later.ends(422)
	shown.shows(grace)
	// The end of its session, for which the client gets another token.
	breaks := feed.breaks
	if status, answer := c.send("POST", "/auth/logout", nil); status >= 300 {
		t.Fatalf("%d %s", status, answer)
	}
	for feed.breaks == breaks {
		feed.take(feed.any())
	}
	grace = s.signIn("grace")
	grace.say(own, "two")
	feed.shows(grace)
	shown.shows(grace)
	// An invitation that is taken back.
	var somebody struct{ ID string }
	ada.must("POST", secret+"/participants", map[string]string{"userId": grace.ID, "role": "participant"}, &somebody)
	member := c.view(secret)
	member.shows(grace)
	ada.must("DELETE", secret+"/participants/"+grace.ID, nil, nil)
	member.ends(404)
}

// TestTypeScriptTellsWhatIsNotFinal follows a transcript while somebody speaks, over a
// break: what is not final is told, and never twice with what has become of it.
func TestTypeScriptTellsWhatIsNotFinal(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, n := s.signIn("ada"), network(t, s)
	meeting := ada.plan()
	ada.must("POST", meeting+"/start", nil, nil)
	c := openTypeScript(t, n.URL, ada)
	feed := c.view(meeting + "/transcripts")
	ada.speak(meeting, "before", "Hello.", false)
	feed.shows(ada) // so that it is followed by now
	for _, utterance := range []string{"one", "two"} {
		for _, text := range []string{"Shall", "Shall we"} {
			ada.speak(meeting, utterance, text, true)
			feed.hears(utterance, text)
		}
		ada.speak(meeting, utterance, "Shall we begin?", false)
		feed.shows(ada)
		n.cut()
		ada.speak(meeting, "cut "+utterance, "Yes.", false)
		feed.shows(ada)
	}
}

// speak sends what somebody says.
func (p *person) speak(meeting, utterance, text string, interim bool) {
	p.s.t.Helper()
	chunk := map[string]any{"text": text, "utteranceId": utterance, "interim": interim, "speakerLabel": "A", "confidence": 0.9, "startMs": 0, "endMs": 700}
	p.must("POST", meeting+"/transcripts", map[string]any{"chunks": []any{chunk}}, nil)
}

// hears reads until it is told what is being said, and until then nothing else that is not final.
func (v *view) hears(utterance, text string) {
	v.t.Helper()
	for e := v.any(); ; e = v.any() {
		if e.Name != "interim" {
			v.take(e)
			continue
		}
		var told struct {
			Items []struct {
				UtteranceID, Text string
				Position          *int64
			}
		}
		decode(v.t, []byte(e.Data), &told)
		if len(told.Items) != 1 || told.Items[0].UtteranceID != utterance || told.Items[0].Text != text || told.Items[0].Position != nil {
			v.t.Fatalf("%s: %s, want %q", v.path, e.Data, text)
		}
		return
	}
}

// TestTypeScriptWritesOnce sends messages while the server is killed and the
// network cut; each is there once.
func TestTypeScriptWritesOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, n := s.signIn("ada"), network(t, s)
	meeting := ada.plan()
	c := openTypeScript(t, n.URL, ada)
	const each, rounds = 30, 3
	var want []string
	for round := range rounds {
		var asked []*stream
		for i := range each {
			said := fmt.Sprint(round, ".", i)
			want = append(want, said)
			asked = append(asked, c.ask(command{Do: "send", URL: meeting + "/messages", Method: "POST", Body: map[string]string{"content": said}}))
		}
		n.cutAfter(`"content":`)
		asked[0].next("answer")
		s.kill()
		s.start()
		n.cut()
		for _, st := range asked[1:] {
			if e := st.next("answer"); e.State != 200 {
				t.Errorf("%+v", e)
			}
		}
	}
	got := ada.history(meeting)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s, want %s", brief(got), brief(want))
	}
}

// TestTypeScriptInABrowser uses the client from a page of another origin.
func TestTypeScriptInABrowser(t *testing.T) {
	t.Parallel()
	browser, files := chromium(t), http.FileServer(http.Dir(compiled(t)))
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			files.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Page</title><link rel=icon href=data:,>") // the browser may be gone
	}))
	t.Cleanup(page.Close)
	s := serve(t, "CONNVO_CORS_ORIGINS="+page.URL)
	ada := s.signIn("ada")
	node(t, browser, nil, "page.mjs", s.URL, page.URL, strings.TrimPrefix(ada.plan(), "/v1/meetings/"), ada.Token)
}
