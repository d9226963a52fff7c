package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
)

// recorded returns what is recorded of the organization. Nothing is recorded
// afterwards, and so no stream begins.
func (s *server) recorded(org string) (all []audit.Line) {
	s.t.Helper()
	if err := s.endAudit(); err != nil {
		s.t.Fatal(err)
	}
	err := s.DB.Read(s.t.Context(), func(tx db.Reader) error {
		part, err := audit.Feed(tx, org, audit.Filter{}, domain.Span{Limit: 1000})
		all = part.Items
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func TestStreamsAreRecorded(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	meeting := ada.plan("Plan")
	get := func(path string) string { // opens a stream and returns its request id
		t.Helper()
		r, err := s.transport.RoundTrip(ada.request(t.Context(), "GET", path, nil, "Accept", "text/event-stream", "User-Agent", "a test"))
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%s: %v %v", path, r, err)
		}
		t.Cleanup(func() { _ = r.Body.Close() })
		return r.Header.Get("X-Request-Id")
	}
	single := get(meeting + "/messages?limit=1")
	many := get(live("/v1/me", meeting))
	st := ada.follow(live("/v1/me"))
	connection := st.ready().ConnectionID
	st.round()
	ada.changes(connection, []string{meeting}, nil)
	st.round() // it is recorded before it is told
	ada.changes(connection, nil, []string{meeting})
	ada.changes(connection, []string{"/v1/me"}, nil) // is followed already
	// What does not begin is not recorded.
	for path, status := range map[string]int{"/v1/meetings/mtg_loc_none": 404, live("/v1/nothing"): 422, "/v1/me?colour=red": 422, "/v1/nothing": 404} {
		if a := ada.do("GET", path, nil, "Accept", "text/event-stream"); a.Status != status {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	ada.change(connection, []string{"/v1/nothing"}, nil)
	ada.must("GET", meeting, nil)
	s.nobody().do("GET", "/v1/me", nil, "Accept", "text/event-stream")

	lines := slices.DeleteFunc(s.recorded("org_1"), func(l audit.Line) bool { return !strings.HasPrefix(string(l.Action), "stream.") })
	id := strings.TrimPrefix(meeting, "/v1/meetings/")
	want := []string{
		"stream.opened " + id + ` {"paths":["` + meeting + `/messages"]} ` + single,
		`stream.opened /v1/live {"paths":["/v1/me"]} ` + many,
		"stream.opened " + id + ` {"paths":["` + meeting + `"]} ` + many,
		`stream.opened /v1/live {"paths":["/v1/me"]} `,
		"stream.changed " + id + ` {"paths":["` + meeting + `"]} `,
	}
	if len(lines) != len(want) {
		t.Fatalf("%+v", lines)
	}
	session := lines[0].Session
	for i, l := range lines {
		if got := fmt.Sprint(l.Action, " ", l.Resource, " ", l.Detail, " ", l.Request); !strings.HasPrefix(got, want[i]) {
			t.Errorf("%s, want %s", got, want[i])
		}
		if l.Actor != ada.ID || l.Org != "org_1" || l.Session == "" || l.Session != session || l.Request == "" || l.Address != "127.0.0.1" || l.Outcome != audit.Allowed || l.At.IsZero() {
			t.Errorf("%+v", l)
		}
	}
	if lines[0].Agent != "a test" {
		t.Errorf("%+v", lines[0])
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE action GLOB 'stream.*'`); n != int64(len(want)) {
		t.Errorf("%d rows", n)
	}
}

// What a ticket opens is recorded of who asked for it.
func TestStreamOfATicketIsRecorded(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	path := "/v1/me?ticket=" + ada.ticket("/v1/me")
	s.nobody().follow(path).ready()
	s.refuses("again", path, 204, "")
	lines := s.recorded("org_1")
	if len(lines) != 1 || lines[0].Actor != ada.ID || lines[0].Session == "" || lines[0].Resource != "/v1/me" || lines[0].Detail != `{"paths":["/v1/me"]}` {
		t.Errorf("%+v", lines)
	}
}

// TestStreamThatCannotBeRecordedDoesNotBegin fills the record while the writer
// is busy, and ends it.
func TestStreamThatCannotBeRecordedDoesNotBegin(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	st := ada.follow(live("/v1/me"))
	connection := st.ready().ConnectionID
	st.round()
	held, release, written := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		written <- s.DB.Write(t.Context(), func(*db.WriteTx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	ballast := audit.Entry{Action: "ballast", Outcome: audit.Allowed}
	for n := 0; s.Audit.Note(ballast) == nil; n++ {
		if n > 2*audit.MaxWaiting {
			t.Fatal("the record is never full")
		}
	}
	refused := func(open int) {
		t.Helper()
		for _, path := range []string{"/v1/me", live("/v1/me")} {
			if e := ada.follow(path).endsWith("unavailable"); len(e.Retry) == 0 {
				t.Errorf("%s: no retry", path)
			}
		}
		ada.must("GET", "/v1/me", nil)
		s.awaitStreams(open)
	}
	refused(1)
	// What is added to an open one is not told, and the client comes again.
	ada.changes(connection, []string{"/v1/meetings"}, nil)
	if e := st.endsWith("unavailable"); len(e.Retry) == 0 {
		t.Error("no retry")
	}
	close(release)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := s.endAudit(); err != nil {
		t.Fatal(err)
	}
	refused(0)
}

// However many and long the paths are, the record has all of them.
func TestTheRecordNamesEveryPath(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	paths := make([]string, 46)
	for i := range 45 {
		paths[i] = "/v1/meetings/" + strings.Repeat("%78", 120) + fmt.Sprint(i)
	}
	paths[45] = ada.plan("Plan")
	st := ada.follow(live(paths...))
	st.ready()
	st.close()
	all := ""
	for _, line := range s.recorded("org_1") {
		if line.Action == audit.StreamOpened {
			all += line.Detail
		}
	}
	for _, path := range paths {
		if !strings.Contains(all, path+`"`) {
			t.Errorf("%.80s… is not in the record", path)
		}
	}
}

// A change is recorded as what it adds.
func TestTheRecordOfAChangeSaysWhatIsNew(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	meeting := ada.plan("Plan")
	st := ada.follow(live("/v1/me"))
	connection := st.ready().ConnectionID
	st.round()
	ada.must("PATCH", "/v1/live/"+connection, map[string]any{"subscribe": []string{"/v1/me", meeting}})
	st.round()
	st.close()
	changes := 0
	for _, line := range s.recorded("org_1") {
		if line.Action != audit.StreamChanged {
			continue
		}
		if changes++; strings.Contains(line.Detail, `"/v1/me"`) || !strings.Contains(line.Detail, meeting) {
			t.Errorf("%s", line.Detail)
		}
	}
	if changes != 1 {
		t.Errorf("%d changes are recorded", changes)
	}
}

// What somebody follows among other paths and has no right to is recorded as
// refused, not as opened; also what is added later.
func TestRefusedPathsOfAStreamAreRecordedAsRefused(t *testing.T) {
	s := newServer(t)
	ada, eve := s.signInAs("ada", "org_1", "member"), s.signInAs("eve", "org_2", "member")
	first, second, own := ada.plan("First"), ada.plan("Second"), eve.plan("Own")
	st := eve.follow(live("/v1/me", own, first, "/v1/admin/flags", "/v1/users/usr_none"))
	connection := st.ready().ConnectionID
	if r := st.round(); len(r.Results) != 5 {
		t.Fatalf("%+v", r)
	}
	eve.changes(connection, []string{second + "/messages"}, nil)
	if r := st.round(); len(r.Results) != 1 || r.Results[0].Event != "problem" {
		t.Fatalf("%+v", r)
	}
	eve.must("POST", own+"/cancel", nil) // which is no refusal
	st.round()
	st.close()
	var got []string
	for _, line := range append(s.recorded("org_1"), s.recorded("org_2")...) {
		if line.Action == audit.StreamOpened || line.Action == audit.StreamChanged {
			got = append(got, fmt.Sprint(line.Action, " ", line.Outcome, " ", line.Resource, " ", line.Detail))
		}
	}
	slices.Sort(got)
	says := func(action, outcome, resource, paths string) string {
		return action + " " + outcome + " " + strings.TrimPrefix(resource, "/v1/meetings/") + ` {"paths":["` + paths + `"]}`
	}
	want := []string{
		says("stream.opened", "allowed", "/v1/live", "/v1/me"),
		says("stream.opened", "allowed", own, own),
		says("stream.opened", "refused", "/v1/live", "/v1/admin/flags"),
		says("stream.opened", "refused", first, first),
		says("stream.changed", "refused", second, second+"/messages"), // and never allowed
	}
	slices.Sort(want)
	equalDeeds(t, got, want...)
}

// However a path is spelled, what it is about is found in the record, and what
// somebody adds to it does not fill the disk.
func TestSpellingHidesNothingFromTheRecord(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	meeting := ada.plan("Plan")
	id := strings.TrimPrefix(meeting, "/v1/meetings/")
	other := func(path string) string { // the same, percent-encoded
		spelled := ""
		for _, c := range []byte(strings.TrimPrefix(path, "/v1/")) {
			if spelled += string(c); c != '/' {
				spelled = spelled[:len(spelled)-1] + fmt.Sprintf("%%%02X", c)
			}
		}
		return "/v1/" + spelled
	}
	st := ada.follow(live("/v1/me", other(meeting), meeting+"/messages?after="+strings.Repeat("0", 1900), other(meeting+"/messages/search")+"?q=secret"))
	connection := st.ready().ConnectionID
	admin := s.signInAs("admin", "org_1", domain.OrgAdmin)
	if a := admin.must("GET", figuresPath, nil); !strings.Contains(string(a.Body), connection) || strings.Contains(string(a.Body), "secret") {
		t.Errorf("an admin is told %s", a.Body)
	}
	ada.must("GET", other(meeting+"/messages/search")+"?q=secret", nil)
	st.round()
	ada.changes(connection, []string{other(meeting + "/participants")}, nil)
	st.round()
	st.close()
	found := 0
	for _, line := range s.recorded("org_1") {
		if strings.Contains(line.Detail, "secret") {
			t.Errorf("what was looked for is recorded: %s", line.Detail)
		}
		if line.Action != audit.StreamOpened && line.Action != audit.StreamChanged {
			continue
		}
		if len(line.Detail) > 4*audit.MaxResource {
			t.Errorf("%d bytes are recorded", len(line.Detail))
		}
		if line.Resource == id {
			found++
		} else if line.Resource != "/v1/live" || line.Detail != `{"paths":["/v1/me"]}` {
			t.Errorf("%s %s", line.Resource, line.Detail)
		}
	}
	if found != 2 {
		t.Errorf("%d entries are about the meeting", found)
	}
}

// A stream lasts longer than somebody belongs to an organization, whose admins learn
// nothing of what they follow afterwards.
func TestStreamOfWhoHasLeftIsRecordedForTheirOrganization(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	st := ada.follow(live("/v1/me"))
	connection := st.ready().ConnectionID
	st.round()
	s.exec(`UPDATE users SET org_id = 'org_2' WHERE id = ?`, ada.ID)
	st.round()
	ada.changes(connection, []string{"/v1/flags"}, nil)
	st.round()
	for org, want := range map[string]string{"org_1": "stream.opened", "org_2": "stream.changed"} {
		var got []string
		for _, l := range s.recorded(org) {
			if strings.HasPrefix(string(l.Action), "stream.") {
				got = append(got, string(l.Action))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is told of %v, want %s", org, got, want)
		}
	}
}
