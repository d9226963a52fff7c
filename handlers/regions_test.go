package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"connvo/handlers"
)

// foreign is a meeting of another region than that of the servers here.
const foreign = "/v1/meetings/mtg_ams_01M8326TVXVQGRYEANGM6T87RK"

// toAms is what the proxy is told with a request for it.
const toAms = "region=ams;timeout=5s;fallback=force_self"

// within returns a server as one of several regions.
func within(t testing.TB, g handlers.Regions) *server {
	t.Helper()
	return startServer(t, false, func(c *handlers.Config) { c.Regions = g })
}

// TestEveryRouteOfAMeetingIsAnsweredInItsRegion asks for each as if it were of another
// region, plain and live, by somebody who is signed in and by somebody who is not.
func TestEveryRouteOfAMeetingIsAnsweredInItsRegion(t *testing.T) {
	t.Parallel()
	s := within(t, handlers.Regions{Home: []string{"loc"}, Replays: true})
	ada := s.signIn("ada")
	before, asked := s.rows(), 0
	for _, r := range s.API.Routes() {
		if !strings.Contains(r.Path, "{meetingId}") {
			continue
		}
		asked++
		name := r.Method + " " + r.Path
		path := strings.NewReplacer("/v1/meetings/{meetingId}", foreign, "{userId}", string(ada.ID), "{label}", "one", "{version}", "1", "{messageId}", "msg_1").Replace(r.Path)
		if strings.HasSuffix(path, "/search") {
			path += "?q=hello"
		}
		var body any
		if b, found := bodies[name]; found {
			body = strings.NewReplacer("$guest", string(ada.ID), "$caller", string(ada.ID), "$client", "one").Replace(b)
		}
		var p struct{ Region string }
		a := ada.do(r.Method, path, body)
		if a.into(t, &p); a.Status != 421 || a.code() != "misdirected_region" || a.Header.Get("Fly-Replay") != toAms || p.Region != "ams" || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
		}
		if a := ada.do(r.Method, strings.Replace(path, "_ams_", "_loc_", 1), body); a.Status != 404 || a.Header.Get("Fly-Replay") != "" {
			t.Errorf("%s of this region: %d %s", name, a.Status, a.Body)
		}
		if a := s.nobody().do(r.Method, path, body); a.Status != 401 || a.Header.Get("Fly-Replay") != "" {
			t.Errorf("%s by nobody: %d %s", name, a.Status, a.Body)
		}
		if r.Method != http.MethodGet || r.Download {
			continue
		}
		if a := ada.do("GET", path, nil, "Accept", "text/event-stream"); a.Status != 421 || a.Header.Get("Fly-Replay") != toAms {
			t.Errorf("%s live: %d %v %s", name, a.Status, a.Header, a.Body)
		}
	}
	if asked < 40 {
		t.Errorf("only %d routes", asked)
	}
	if after := s.rows(); after != before {
		t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

func TestWhereARequestForAnotherRegionGoes(t *testing.T) {
	t.Parallel()
	alone := within(t, handlers.Regions{Home: []string{"loc", "old"}})
	flying := within(t, handlers.Regions{Home: []string{"fra", "loc"}, Replays: true, URLs: map[string]string{"lhr": "https://lhr.example.com"}})
	listed := within(t, handlers.Regions{Home: []string{"loc"}, URLs: map[string]string{"ams": "https://ams.example.com"}})
	none := within(t, handlers.Regions{})
	const fromFra, fromAms = "instance=a;region=fra;t=1", "instance=b;region=ams;t=1;state=x"
	for _, c := range []struct {
		name     string
		s        *server
		id       string
		header   []string
		status   int
		code     string
		replay   string
		location string
	}{
		{"nowhere to send it", alone, "mtg_ams_1", nil, 421, "misdirected_region", "", ""},
		{"at home", alone, "mtg_loc_1", nil, 404, "not_found", "", ""},
		{"at home in a region that was closed", alone, "mtg_old_1", nil, 404, "not_found", "", ""},
		{"headers of a proxy that is not there", alone, "mtg_ams_1", []string{"Fly-Replay-Failed", "reason=timeout"}, 421, "misdirected_region", "", ""},
		{"no label", alone, "mtg_1", nil, 404, "not_found", "", ""},
		{"what is no label", alone, "mtg_AMS_1", nil, 404, "not_found", "", ""},
		{"what would be another field", flying, "mtg_ams;app=other_1", nil, 404, "not_found", "", ""},
		{"a line break", flying, "mtg_ams%0D%0Aa:b_1", nil, 404, "not_found", "", ""},
		{"no meeting", alone, "usr_ams_1", nil, 404, "not_found", "", ""},
		{"one region", none, "mtg_ams_1", nil, 404, "not_found", "", ""},

		{"Fly", flying, "mtg_ams_1", nil, 421, "misdirected_region", toAms, ""},
		{"Fly, spelled in another way", flying, "mtg%5Fams%5F1", nil, 421, "misdirected_region", toAms, ""},
		{"Fly, sent on by one that stands by", flying, "mtg_ams_1", []string{"Fly-Replay-Src", fromFra}, 421, "misdirected_region", toAms, ""},
		{"Fly, round", flying, "mtg_ams_1", []string{"Fly-Replay-Src", fromAms}, 421, "misdirected_region", "", ""},
		{"Fly, round to a URL", flying, "mtg_lhr_1", []string{"Fly-Replay-Src", fromAms}, 421, "misdirected_region", "", ""},
		{"Fly, round by who knows whom", flying, "mtg_ams_1", []string{"Fly-Replay-Src", "x"}, 421, "misdirected_region", "", ""},
		{"Fly, sent home", flying, "mtg_fra_1", []string{"Fly-Replay-Src", fromAms}, 404, "not_found", "", ""},
		{"Fly, nobody there", flying, "mtg_ams_1", []string{"Fly-Replay-Failed", "region=ams;reason=no_candidate"}, 503, "unavailable", "", ""},
		{"Fly, no region of its", flying, "mtg_lab1_1", nil, 421, "misdirected_region", "", ""},
		{"Fly, a digit", flying, "mtg_am5_1", nil, 421, "misdirected_region", "", ""},
		{"Fly, any region", flying, "mtg_any_1", nil, 421, "misdirected_region", "", ""},
		{"Fly, a continent", flying, "mtg_usa_1", nil, 421, "misdirected_region", "", ""},
		{"Fly, a URL", flying, "mtg_lhr_1", nil, 307, "misdirected_region", "", "https://lhr.example.com/v1/meetings/mtg_lhr_1"},

		{"a URL", listed, "mtg_ams_1/messages?after=7&limit=3", nil, 307, "misdirected_region", "", "https://ams.example.com/v1/meetings/mtg_ams_1/messages?after=7&limit=3"},
		{"a URL, live", listed, "mtg_ams_1/messages?after=7", []string{"Accept", "text/event-stream"}, 307, "misdirected_region", "", "https://ams.example.com/v1/meetings/mtg_ams_1/messages?after=7"},
		{"no URL for it", listed, "mtg_lhr_1", nil, 421, "misdirected_region", "", ""},
	} {
		a := c.s.signIn("ada").do("GET", "/v1/meetings/"+c.id, nil, c.header...)
		if a.Status != c.status || a.code() != c.code || a.Header.Get("Fly-Replay") != c.replay || a.Header.Get("Location") != c.location || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s, want %d %s", c.name, a.Status, a.Header, a.Body, c.status, c.code)
		}
	}
	// A stream comes again where the other region does not answer now.
	st := flying.signIn("ada").follow("/v1/meetings/mtg_ams_1", "Fly-Replay-Failed", "reason=timeout")
	if e := st.endsWith("unavailable"); len(e.Retry) == 0 {
		t.Errorf("no retry: %+v", e)
	}
}

func TestWhatTheProxyCannotSendOnIsRefused(t *testing.T) {
	t.Parallel()
	s := within(t, handlers.Regions{Home: []string{"fra"}, Replays: true, URLs: map[string]string{"lhr": "https://lhr.example.com"}})
	ada := s.signIn("ada")
	for _, c := range []struct {
		name, meeting, body, media string
		status                     int
		replayed                   bool
	}{
		{"as much as it takes", foreign, padded(1_000_000), "application/json", 421, true},
		{"more", foreign, padded(1_000_001), "application/json", 421, false},
		{"more, to a URL", "/v1/meetings/mtg_lhr_1", padded(1_000_001), "application/json", 307, false},
		{"lines that end", foreign, "{}\n", "application/x-ndjson", 421, true},
	} {
		path := c.meeting + "/transcripts"
		a := ada.do("POST", path, c.body, "Content-Type", c.media)
		if replayed := a.Header.Get("Fly-Replay") != ""; a.Status != c.status || a.code() != "misdirected_region" || replayed != c.replayed {
			t.Errorf("%s: %d %v %s", c.name, a.Status, a.Header, a.Body)
		}
	}
	// Lines whose end nobody knows.
	a := ada.do("POST", foreign+"/transcripts", struct{ *strings.Reader }{strings.NewReader("{}\n")}, "Content-Type", "application/x-ndjson")
	if a.Status != 421 || a.code() != "misdirected_region" || a.Header.Get("Fly-Replay") != "" {
		t.Errorf("lines: %d %v %s", a.Status, a.Header, a.Body)
	}
}

// padded returns a valid body of n bytes.
func padded(n int) string {
	body := bodies["POST /v1/meetings/{meetingId}/transcripts"]
	return body + strings.Repeat(" ", n-len(body))
}

// The paths of one stream live in one region: all of them go there, or a stream for
// each is needed.
func TestAStreamOfManyPathsLivesInOneRegion(t *testing.T) {
	t.Parallel()
	s := within(t, handlers.Regions{Home: []string{"loc"}, Replays: true})
	ada := s.signIn("ada")
	home := ada.plan("Plan")
	const second, third = "/v1/meetings/mtg_ams_2/messages", "/v1/meetings/mtg_lhr_3"
	for _, c := range []struct {
		paths  []string
		status int
		replay string
	}{
		{[]string{foreign}, 421, toAms},
		{[]string{"/v1/me", foreign, second}, 421, toAms},
		{[]string{home, foreign}, 421, ""},
		{[]string{foreign, third}, 421, ""},
		{[]string{foreign, "/v1/nothing"}, 422, ""},
	} {
		a := ada.do("GET", live(c.paths...), nil, "Accept", "text/event-stream")
		if a.Status != c.status || a.Header.Get("Fly-Replay") != c.replay {
			t.Errorf("%v: %d %v %s", c.paths, a.Status, a.Header, a.Body)
		}
		// A ticket is given where the stream will be.
		if a := ada.do("POST", "/v1/stream-tickets", map[string]string{"path": live(c.paths...)}); a.Status != c.status || a.Header.Get("Fly-Replay") != c.replay {
			t.Errorf("a ticket of %v: %d %v %s", c.paths, a.Status, a.Header, a.Body)
		}
	}
	// One of that region is not known here, and is not spent either.
	const ticket = "&ticket=ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if a := s.nobody().do("GET", live(foreign)+ticket, nil, "Accept", "text/event-stream"); a.Status != 421 || a.Header.Get("Fly-Replay") != toAms {
		t.Errorf("a ticket of another region: %d %v %s", a.Status, a.Header, a.Body)
	}
	s.refuses("a ticket of nobody", live(home)+ticket, http.StatusNoContent, "")

	st := ada.follow(live(home))
	id := st.ready().ConnectionID
	if !strings.HasPrefix(id, "loc_") {
		t.Errorf("the connection's id is %s", id)
	}
	if a := ada.change(id, []string{"/v1/me", second}, nil); a.Status != 421 || a.Header.Get("Fly-Replay") != "" {
		t.Errorf("a path of another region: %d %v %s", a.Status, a.Header, a.Body)
	}
	if a := ada.change(id, []string{"/v1/me"}, nil); a.Status != 204 {
		t.Errorf("a path of this region: %d %s", a.Status, a.Body)
	}
	if a := ada.change("ams_ABC", []string{"/v1/me"}, nil); a.Status != 421 || a.Header.Get("Fly-Replay") != toAms {
		t.Errorf("a connection of another region: %d %v %s", a.Status, a.Header, a.Body)
	}
	if a := ada.change("loc_ABC", []string{"/v1/me"}, nil); a.Status != 404 {
		t.Errorf("no connection: %d %s", a.Status, a.Body)
	}
}

// A plain client that follows redirects reads and follows a meeting of another region;
// one with a token brings it there by itself.
func TestClientsFollowToTheRegionOfAMeeting(t *testing.T) {
	t.Parallel()
	home := newServer(t)
	away := within(t, handlers.Regions{Home: []string{"ams"}, URLs: map[string]string{"loc": home.URL}})
	ada, visiting := home.signIn("ada"), away.signIn("ada")
	meeting := ada.plan("Plan")
	feed := meeting + "/messages?heartbeat=1"
	st := away.nobody().follow(feed + "&ticket=" + ada.ticket(feed))
	st.ready()
	a := visiting.do("POST", meeting+"/messages", `{"content":"Hello"}`)
	if a.Status != 307 || a.Header.Get("Location") != home.URL+meeting+"/messages" {
		t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
	}
	ada.must("POST", strings.TrimPrefix(a.Header.Get("Location"), home.URL), `{"content":"Hello"}`)
	if items, _ := st.items(); len(items) != 1 || items[0].Content != "Hello" {
		t.Errorf("%+v", items)
	}
}
