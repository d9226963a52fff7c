package handlers_test

import (
	"fmt"
	"testing"
)

// change asks for other paths on the connection; nil leaves a list out.
func (p *person) change(connection string, subscribe, unsubscribe []string) answer {
	p.s.t.Helper()
	body := map[string][]string{}
	if subscribe != nil {
		body["subscribe"] = subscribe
	}
	if unsubscribe != nil {
		body["unsubscribe"] = unsubscribe
	}
	return p.do("PATCH", "/v1/live/"+connection, body)
}

// changes is change that is answered with 204.
func (p *person) changes(connection string, subscribe, unsubscribe []string) {
	p.s.t.Helper()
	if a := p.change(connection, subscribe, unsubscribe); a.Status != 204 || len(a.Body) > 0 {
		p.s.t.Fatalf("%v %v: %d %s", subscribe, unsubscribe, a.Status, a.Body)
	}
}

func TestPathsComeAndGoOnAnOpenConnection(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, names := pair(ada, grace)
	first := ada.say(two, "a")
	ada.say(two, "b")
	st := grace.follow(live(one))
	connection := st.ready().ConnectionID
	at := st.tells(names, 0, "one snapshot")

	after := fmt.Sprintf("%s/messages?after=%d", two, first)
	grace.changes(connection, []string{after, one + "/messages"}, nil)
	at = st.tells(names, at-1, fmt.Sprintf("one/messages items [Hello], two/messages?after=%d items [b]", first))
	// Once more changes nothing, nor does what is not followed.
	grace.changes(connection, []string{after, after, one}, []string{"/v1/nothing", "", "a\x00b\n"})
	grace.changes(connection, nil, nil)
	st.quietUntil(s.DB.Committed())
	ada.say(one, "c")
	at = st.tells(names, at, "one/messages items [c]")
	ada.say(two, "d")
	at = st.tells(names, at, fmt.Sprintf("two/messages?after=%d items [d]", first))

	// A path of the URL goes like another.
	grace.changes(connection, nil, []string{one, after})
	ada.must("POST", one+"/end", nil)
	ada.say(two, "e")
	ada.say(one, "f")
	at = st.tells(names, at, "one/messages items [f]")
	// Both at once: what is named twice begins anew.
	grace.changes(connection, []string{two, one + "/messages"}, []string{one + "/messages"})
	at = st.tells(names, at-1, "one/messages items [Hello c f], two snapshot")
	// What one may not see is a problem of its own.
	grace.changes(connection, []string{"/v1/meetings/mtg_loc_none"}, nil)
	at = st.tells(names, at-1, "/v1/meetings/mtg_loc_none problem not_found")
	grace.changes(connection, nil, []string{two, one + "/messages"})
	ada.must("POST", two+"/start", nil)
	st.quietUntil(s.DB.Committed())
	// Nothing is left, and the connection lasts.
	grace.changes(connection, []string{two + "/messages"}, nil)
	st.tells(names, at-1, "two/messages problem forbidden")
}

// limits are n paths that differ.
func limits(from, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("/v1/meetings?limit=%d", from+i)
	}
	return all
}

func TestPathsOfAConnectionAreBounded(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	st := ada.follow(live(limits(1, 98)...))
	connection := st.ready().ConnectionID
	st.round()
	full := []string{"/v1/me", "/v1/users/" + string(ada.ID), "/v1/users/" + string(ada.ID) + "?"}
	refused := func(subscribe, unsubscribe []string) {
		t.Helper()
		a := ada.change(connection, subscribe, unsubscribe)
		if a.Status != 422 || a.code() != "validation_failed" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	refused(full, nil)
	refused(full, []string{"/v1/nothing"})
	refused(full[:1], make([]string, 101))
	refused(make([]string, 101), nil)
	st.quietUntil(s.DB.Committed())
	ada.changes(connection, full[:2], nil)
	if r := st.round(); len(r.Results) != 2 {
		t.Errorf("%+v", r)
	}
	refused(full[2:], nil)
	// One that is named twice makes room for one.
	refused([]string{full[2], "/v1/me?"}, []string{"/v1/me", "/v1/me"})
	st.quietUntil(s.DB.Committed())
	ada.changes(connection, full[2:], []string{"/v1/me"})
	if r := st.round(); len(r.Results) != 1 || r.Results[0].Q != full[2] {
		t.Errorf("%+v", r)
	}
}

func TestConnectionIsChangedByWhoOpenedIt(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	st, single := ada.follow(live("/v1/me")), ada.follow("/v1/me")
	connection, alone := st.ready().ConnectionID, single.ready().ConnectionID
	st.round()
	for name, a := range map[string]answer{
		"somebody else's":     grace.change(connection, []string{"/v1/me"}, []string{"/v1/me"}),
		"of one path":         ada.change(alone, []string{"/v1/me"}, nil),
		"unknown":             ada.change("none", nil, []string{"/v1/me"}),
		"with a NUL":          ada.change(connection+"%00", []string{"/v1/me"}, nil),
		"with a line break":   ada.change("%0A"+connection, []string{"/v1/me"}, nil),
		"in another spelling": ada.change(connection[:25]+"%20", []string{"/v1/me"}, nil),
	} {
		if a.Status != 404 || a.code() != "not_found" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := s.nobody().change(connection, nil, nil); a.Status != 401 {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	if a := ada.do("PATCH", "/v1/live/"+connection, `{"subscribe":[],"colour":"red"}`); a.Status != 422 {
		t.Errorf("an unknown member: %d %s", a.Status, a.Body)
	}
	s.signIn("ada").changes(connection, []string{"/v1/users/" + string(grace.ID)}, nil) // another token of hers
	if r := st.round(); len(r.Results) != 1 {
		t.Errorf("%+v", r)
	}
	st.close()
	s.awaitStreams(1)
	if a := ada.change(connection, []string{"/v1/me"}, nil); a.Status != 404 || a.code() != "not_found" {
		t.Errorf("after its end: %d %s", a.Status, a.Body)
	}
}
