package handlers_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pair is two meetings of ada that grace is in: one runs and has a message, two
// is planned and empty.
func pair(ada, grace *person) (one, two string, names *strings.Replacer) {
	one, two = joined(ada, grace), ada.plan("Two", grace, "participant")
	return one, two, strings.NewReplacer(one, "one", two, "two")
}

// tells checks what the next round holds and returns its id, which is beyond
// the one before.
func (st *stream) tells(names *strings.Replacer, before int64, want string) int64 {
	st.t.Helper()
	r := st.round()
	id, err := strconv.ParseInt(r.ID, 10, 64)
	if got := r.brief(names); got != want || err != nil || id <= before || id > r.Commit {
		st.t.Fatalf("%s: id %q after %d, commit %d:\n%s, want\n%s", st.name, r.ID, before, r.Commit, got, want)
	}
	return id
}

func TestManyPathsOnOneConnection(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, names := pair(ada, grace)
	active := "/v1/meetings?state=active&limit=1"
	st := grace.follow(live(one, one+"/messages", one+"/events?after=0&limit=2", two+"/participants", two+"/messages", active, active))
	if r := st.ready(); r.Resumed || r.Commit == 0 || r.Commit > s.DB.Committed() || r.ConnectionID == "" {
		t.Errorf("%+v", r)
	}
	at := st.tells(names, 0, active+" snapshot, one snapshot, "+
		"one/events?after=0&limit=2 items [meetings.created meetings.started participants.joined participants.joined messages.posted], "+
		"one/messages items [Hello], two/messages items [], two/participants snapshot")
	if at > s.DB.Committed() {
		t.Errorf("the first id is %d of %d", at, s.DB.Committed())
	}
	// One commit is one round, of the paths that it concerns.
	ada.say(one, "Second")
	at = st.tells(names, at, "one/events?after=0&limit=2 items [messages.posted], one/messages items [Second]")
	ada.say(two, "First")
	at = st.tells(names, at, "two/messages items [First]")
	grace.must("PATCH", "/v1/me", `{"displayName":"Grace"}`)
	at = st.tells(names, at, "two/participants snapshot")
	ada.plan("Elsewhere", grace, "participant")
	st.quietUntil(s.DB.Committed())
	ada.must("POST", two+"/start", nil)
	at = st.tells(names, at, active+" snapshot, two/messages problem forbidden, two/participants snapshot")
	grace.must("POST", two+"/join", nil)
	at = st.tells(names, at, active+" snapshot, two/participants snapshot")
	ada.must("POST", one+"/end", nil)
	st.tells(names, at, active+" snapshot, one snapshot, one/events?after=0&limit=2 items [meetings.ended]")
	st.quietUntil(s.DB.Committed())
}

// A round holds what a fresh answer does.
func TestRoundHoldsTheAnswersOfItsPaths(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, _ := pair(ada, grace)
	st := grace.follow(live("/v1/me", one, two, one+"/participants", "/v1/meetings", "/v1/users/"+string(ada.ID)))
	st.ready()
	for _, r := range st.round().Results {
		if plain := grace.must("GET", r.Q, nil); string(plain.Body) != string(r.Body) || r.Event != "snapshot" {
			t.Errorf("%s %s\n%s, plain\n%s", r.Q, r.Event, r.Body, plain.Body)
		}
	}
}

func TestManyPathsResumeWhereTheyWere(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, names := pair(ada, grace)
	path := live("/v1/me", one+"/messages?limit=1", two+"/messages?after=0")
	st := grace.follow(path)
	st.ready()
	before := s.number(`SELECT max(position) FROM messages`) - 1
	at := st.tells(names, 0, "/v1/me snapshot, one/messages?limit=1 items [Hello], two/messages?after=0 items []")
	st.close()
	ada.say(two, "a")
	between := ada.say(one, "b")
	ada.say(two, "c")
	future := s.DB.Committed() + 1 // of which the record of these streams takes some
	for _, c := range []struct {
		name, id string
		resumed  bool
		want     string
	}{
		{"the id", fmt.Sprint(at), true, "one/messages?limit=1 items [b], two/messages?after=0 items [a c]"},
		{"one that none was told", fmt.Sprint(before), true, "one/messages?limit=1 items [Hello b], two/messages?after=0 items [a c]"},
		{"amid", fmt.Sprint(between), true, "one/messages?limit=1 items [], two/messages?after=0 items [c]"},
		{"the newest", fmt.Sprint(future - 1), true, "one/messages?limit=1 items [], two/messages?after=0 items []"},
		{"the beginning", "0", true, "one/messages?limit=1 items [Hello b], two/messages?after=0 items [a c]"},
		{"the future", fmt.Sprint(future + 1000), false, "one/messages?limit=1 items [Hello b], two/messages?after=0 items [a c]"},
		{"garbage", "garbage", false, "one/messages?limit=1 items [Hello b], two/messages?after=0 items [a c]"},
		{"negative", "-1", false, "one/messages?limit=1 items [Hello b], two/messages?after=0 items [a c]"},
	} {
		for _, st := range []*stream{grace.follow(path, "Last-Event-ID", c.id), grace.follow(path + "&lastEventId=" + c.id)} {
			if r := st.ready(); r.Resumed != c.resumed {
				t.Errorf("%s: %+v", c.name, r)
			}
			st.tells(names, 0, "/v1/me snapshot, "+c.want)
			st.close()
		}
	}
}

// TestManyFeedsLoseAndDoubleNothing reads feeds of different lengths over a
// connection for each round, going on from the id of the one before.
func TestManyFeedsLoseAndDoubleNothing(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	const many, few = 450, 30
	long, short := ada.plan("Long"), ada.plan("Short")
	var want = map[string][]int64{}
	for _, part := range []int{many - 50, 50} {
		for meeting, n := range map[string]int{long: part, short: few / 2} {
			last := s.sayMany(ada, idOf(meeting), n)
			for p := last - int64(n) + 1; p <= last; p++ {
				want[meeting+"/messages"] = append(want[meeting+"/messages"], p)
			}
		}
	}
	got := map[string][]int64{}
	id, connections := "0", 0
	for ; len(got[long+"/messages"]) < many || len(got[short+"/messages"]) < few; connections++ {
		if connections > 10 {
			t.Fatalf("after id %s: %v", id, got)
		}
		st := ada.follow(live(long+"/messages", short+"/messages"), "Last-Event-ID", id)
		st.ready()
		r := st.round()
		for _, one := range r.Results {
			for _, i := range itemsOf(t, one) {
				got[one.Q] = append(got[one.Q], i.Position)
			}
		}
		id = r.ID
		st.close()
	}
	for path, positions := range want {
		if !slices.Equal(got[path], positions) {
			t.Errorf("%s\n%v, want\n%v", path, got[path], positions)
		}
	}
	if connections < 3 {
		t.Errorf("all came in %d rounds: nothing was cut", connections)
	}
}

func itemsOf(t *testing.T, r result) []item {
	t.Helper()
	var body struct{ Items []item }
	answer{Body: r.Body}.into(t, &body)
	return body.Items
}

func TestPathThatIsLostEndsAlone(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, names := pair(ada, grace)
	st := grace.follow(live(one, one+"/messages", one+"/events", two+"/messages", "/v1/meetings/mtg_loc_none"))
	st.ready()
	at := st.tells(names, 0, "/v1/meetings/mtg_loc_none problem not_found, one snapshot, one/events items "+
		"[meetings.created meetings.started participants.joined participants.joined messages.posted], one/messages items [Hello], two/messages items []")
	grace.must("POST", one+"/leave", nil)
	at = st.tells(names, at, "one snapshot, one/events items [participants.left], one/messages problem forbidden")
	ada.say(one, "They are gone")
	at = st.tells(names, at, "one/events items [messages.posted]")
	s.exec(`DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`, idOf(one), grace.ID)
	at = st.tells(names, at, "one problem not_found, one/events problem not_found")
	ada.say(one, "For good")
	ada.must("POST", one+"/end", nil)
	ada.say(two, "Hello, two")
	at = st.tells(names, at, "two/messages items [Hello, two]")
	// What comes back does not come by itself.
	s.exec(`INSERT INTO participants (meeting_id, user_id, meeting_state, role, status) VALUES (?, ?, 'concluded', 'participant', 'joined')`, idOf(one), grace.ID)
	ada.say(one, "Back")
	st.quietUntil(s.DB.Committed())
	// The break is no way around it either.
	st.close()
	s.exec(`DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`, idOf(one), grace.ID)
	st = grace.follow(live(one, one+"/messages", two+"/messages"), "Last-Event-ID", fmt.Sprint(at))
	st.ready()
	st.tells(names, 0, "one problem not_found, one/messages problem not_found, two/messages items []")
}

func TestManyPathsEndWithTheToken(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, _ := pair(ada, grace)
	st := grace.follow(live(one, two+"/messages"))
	st.ready()
	st.round()
	s.Clock.Advance(12*time.Hour + time.Second)
	s.signIn("ada").say(two, "Too late")
	if e := st.endsWith("unauthenticated"); len(e.Retry) != 0 {
		t.Errorf("a retry: %+v", e)
	}
}

func TestConnectionsOfManyPathsAreBounded(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	first := ada.follow(live("/v1/me"))
	for range 19 {
		ada.follow(live()).ready()
	}
	if e := ada.follow(live("/v1/me")).endsWith("rate_limited"); len(e.Retry) == 0 {
		t.Errorf("no retry: %+v", e)
	}
	grace.follow(live("/v1/me")).ready()
	ada.follow("/v1/me").ready() // one path is no such connection
	first.close()
	s.awaitStreams(21)
	ada.follow(live("/v1/me")).ready()
}
