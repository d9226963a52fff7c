package handlers_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// badPaths are what cannot be followed, and a part of what is said about it.
var badPaths = map[string]string{
	"":                                 "is no path of the API",
	"me":                               "is no path of the API",
	"/":                                "is no path of the API",
	"/v1":                              "is no path of the API",
	"/healthz":                         "is no path of the API",
	"/dev/token":                       "is no path of the API",
	"/openapi.json":                    "is no path of the API",
	"https://localhost/v1/me":          "is no path of the API",
	"//localhost/v1/me":                "is no path of the API",
	"/v1/me\x00":                       "is no path of the API",
	"/v1/me\nevent: problem":           "is no path of the API",
	"/v1/me\r\n\r\nGET /":              "is no path of the API",
	"/v1/%":                            "is no path of the API",
	"/v1/users/%00":                    "is no path of the API",
	"/v1/meetings/a%00b/messages":      "is no path of the API",
	"/v1/users/%0D%0Aid:%201":          "is no path of the API",
	"/v1/nothing":                      "there is no such path",
	"/v1/me/":                          "there is no such path",
	"/v1/me#x":                         "there is no such path",
	"/v1/":                             "there is no such path",
	"/v1/meetings/x/start":             "does not take this method",
	"/v1/stream-tickets":               "does not take this method",
	"/v1/../healthz":                   "cannot be followed",
	"/v1/%2e%2e/healthz":               "there is no such path",
	"/v1//me":                          "cannot be followed",
	"/v1/meetings?limit=0":             "query.limit",
	"/v1/meetings?limit=x":             "query.limit",
	"/v1/meetings?limit=1&limit=1":     "query.limit",
	"/v1/meetings?limit=1&limit=2":     "query.limit",
	"/v1/meetings?colour=red":          "query.colour",
	"/v1/meetings?state=lost":          "query.state",
	"/v1/meetings?a;b":                 "cannot be parsed",
	"/v1/meetings?%zz":                 "cannot be parsed",
	"/v1/me?heartbeat=0":               "query.heartbeat",
	"/v1/meetings/x/messages?before=9": "query.before",
	"/v1/meetings/x/messages?after=-1": "query.after",
	"/v1/meetings/x/messages?after=1&before=2":           "query.before",
	"/v1/users/" + strings.Repeat("x", 129):              "path.userId",
	"/v1/me?lastEventId=" + strings.Repeat("x", 2048-18): "2048", // 2,049 characters
}

// TestPathsThatCannotBeFollowed asks for each of them together with one that
// can, in the URL, by a change and with a ticket.
func TestPathsThatCannotBeFollowed(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	open := ada.follow(live())
	connection := open.ready().ConnectionID
	check := func(path, location, want string, a answer) {
		t.Helper()
		var p struct {
			Errors []struct{ Location, Message string }
		}
		if a.into(t, &p); a.Status != 422 || a.code() != "validation_failed" || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Location+" "+p.Errors[0].Message, location) ||
			!strings.Contains(p.Errors[0].Message, want) {
			t.Errorf("%.60q: %d %s, want %s: %s", path, a.Status, a.Body, location, want)
		}
	}
	for path, want := range badPaths {
		both := []string{"/v1/me", path}
		check(path, "query.q[1]", want, ada.do("GET", live(both...), nil, "Accept", "text/event-stream"))
		check(path, "body.subscribe[1]", want, ada.change(connection, both, nil))
	}
	for _, own := range []string{"heartbeat=7", "lastEventId=1", "ticket=x"} {
		name, _, _ := strings.Cut(own, "=")
		check(own, "query.q[0]", "query."+name+": is a parameter of the connection", ada.do("GET", live("/v1/me?"+own), nil, "Accept", "text/event-stream"))
	}
	check("/v1/live", "query.q[0]", "among others", ada.do("GET", live("/v1/live"), nil, "Accept", "text/event-stream"))
	check("/v1/live?q=", "query.q[0]", "among others", ada.do("GET", live(live("/v1/me")), nil, "Accept", "text/event-stream"))
	// Everything that is wrong is said at once.
	a := ada.do("GET", live("/v1/a", "/v1/me", "/v1/b"), nil, "Accept", "text/event-stream")
	if a.Status != 422 || !strings.Contains(string(a.Body), "query.q[0]") || strings.Contains(string(a.Body), "query.q[1]") || !strings.Contains(string(a.Body), "query.q[2]") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for _, path := range []string{"&colour=red", "&after=1", "&limit=1", "&heartbeat=x", "&ticket=" + strings.Repeat("x", 65)} {
		if a := ada.do("GET", "/v1/live?q=%2Fv1%2Fme"+path, nil, "Accept", "text/event-stream"); a.Status < 400 || a.Status == 500 || a.code() == "" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("/v1/meetings?limit=%d", i%100+1)
	}
	if a := ada.do("GET", live(many...), nil, "Accept", "text/event-stream"); a.Status != 422 || a.code() != "validation_failed" {
		t.Errorf("101 paths: %d %s", a.Status, a.Body)
	}
	if a := ada.do("GET", live("/v1/me"), nil); a.Status != 406 || a.code() != "not_acceptable" {
		t.Errorf("not live: %d %s", a.Status, a.Body)
	}
	open.quietUntil(s.DB.Committed())
	if n := s.API.Engine().Stats().Streams; n != 1 {
		t.Errorf("%d streams are open", n)
	}
}

// What is odd and yet a path is followed under the name that it was given.
func TestPathsAreToldAsTheyWereGiven(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	paths := []string{"/v1/me", "/v1/me?", "/v1/%6de", "/v1/users/" + string(ada.ID) + "?", "/v1/users/%F0%9F%91%8B", "/v1/users/a%2Fb", "/v1/users/<script>"}
	st := ada.follow(live(paths...) + "&q=" + url.QueryEscape(paths[0]))
	st.ready()
	r := st.round()
	if len(r.Results) != len(paths) {
		t.Errorf("%s", r.brief(strings.NewReplacer()))
	}
	for i, one := range r.Results {
		if i < len(paths) && one.Q != paths[i] {
			t.Errorf("%q, want %q", one.Q, paths[i])
		}
	}
}

// A path that names others in turn is refused before they are looked at, however
// it is spelled.
func TestPathsWithinPathsAreNotLookedAt(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	for _, path := range []string{strings.Repeat("/v1/live?q=", 180) + "/v1/me", "/v1/%6cive?q=/v1/nothing"} {
		a := ada.do("GET", live(path), nil, "Accept", "text/event-stream")
		var p struct{ Errors []struct{ Message string } }
		if a.into(t, &p); a.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Message != "the path cannot be followed among others" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}
