package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/users"
)

// losses are the ways in which somebody loses what they follow: the messages of
// one meeting, alone and among others.
var losses = []struct {
	name string
	lose func(p *person, meeting string)
	path string // the problem of the messages, "" where they go on
	all  string // the problem of the whole connection, "" where the other paths go on
}{
	{"removal", func(p *person, meeting string) {
		p.s.exec(`DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`, idOf(meeting), p.ID)
	}, "not_found", ""},
	{"removal by the host", func(p *person, meeting string) {
		host := p.s.signIn(strings.Replace(p.Name, "grace", "ada", 1))
		host.must("DELETE", meeting+"/participants/"+string(p.ID), nil)
	}, "not_found", ""},
	{"leaving", func(p *person, meeting string) { p.must("POST", meeting+"/leave", nil) }, "forbidden", ""},
	{"role", func(p *person, meeting string) {
		p.s.exec(`UPDATE participants SET role = 'observer' WHERE meeting_id = ? AND user_id = ?`, idOf(meeting), p.ID)
	}, "", ""},
	{"organization", func(p *person, _ string) { p.s.signInAs(p.Name, "org_9", "member") }, "", ""},
	{"deactivation", func(p *person, _ string) { p.deactivate() }, "forbidden", "forbidden"},
	{"end of the session", func(p *person, _ string) { p.must("POST", logoutPath, nil) }, "unauthenticated", "unauthenticated"},
	{"end of the token", func(p *person, _ string) { p.s.Clock.Advance(12*time.Hour + time.Second) }, "unauthenticated", "unauthenticated"},
}

func TestNothingCommittedAfterALossIsToldToAnybody(t *testing.T) {
	s := newServer(t)
	for i, loss := range losses {
		ada, grace := s.signIn(fmt.Sprint("ada", i)), s.signIn(fmt.Sprint("grace", i))
		one, two, _ := pair(ada, grace)
		chat, all := grace.follow(one+"/messages"), grace.follow(live(one, one+"/messages", two+"/messages"))
		chat.ready()
		chat.items()
		all.ready()
		all.round()
		loss.lose(grace, one)
		lost, began := s.DB.Committed(), time.Now()
		ada = s.signIn(ada.Name) // whose token may have ended too
		later, open := ada.say(one, "Later"), ada.say(two, "Open")

		alone := chat.outcomes("", later, began)
		among := all.outcomes(two+"/messages", open, began)
		for name, o := range map[string]outcome{"alone": alone[""], "among others": among[one+"/messages"]} {
			want := loss.path
			if name != "alone" && loss.all != "" {
				o.code, o.took = among[""].code, among[""].took
			}
			if o.code != want || (want != "" && o.last > lost) || (want == "" && o.last != later) {
				t.Errorf("%s, %s: %+v, want %q; lost at %d, later came %d", loss.name, name, o, want, lost, later)
			}
			t.Logf("%s, %s: %q after %v", loss.name, name, o.code, o.took)
		}
		if o := among[two+"/messages"]; (loss.all == "") != (o.last == open) {
			t.Errorf("%s: the other meeting %+v, want %d told %v", loss.name, o, open, loss.all == "")
		}
	}
}

// outcome is what came of a path: the last position that was told, and the
// problem that it ended with.
type outcome struct {
	last int64
	code string
	took time.Duration
}

// outcomes reads until the path has been told up to the position, or the stream
// has ended; the stream itself, and its only path, is "".
func (st *stream) outcomes(path string, upTo int64, began time.Time) map[string]outcome {
	st.t.Helper()
	all := map[string]outcome{}
	for all[path].last < upTo {
		e := st.any()
		if e == nil {
			break
		}
		if time.Since(began) > patience {
			st.t.Fatalf("%s: neither told nor ended: %+v", st.name, all)
		}
		var r round
		st.into(e, &r)
		if string(e.Event) != "round" {
			r.Results = []result{{Event: string(e.Event), Body: e.Data}}
		}
		for _, one := range r.Results {
			var body struct {
				Code  string
				Items []item
			}
			answer{Body: one.Body}.into(st.t, &body)
			o := all[one.Q]
			for _, i := range body.Items {
				o.last = max(o.last, i.Position)
			}
			o.code, o.took = body.Code, time.Since(began)
			all[one.Q] = o
		}
	}
	return all
}

// TestRoleIsToldWhileReadingGoesOn makes somebody an observer.
func TestRoleIsToldWhileReadingGoesOn(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one := joined(ada, grace)
	st, many := grace.follow(one), grace.follow(live(one))
	st.ready()
	many.ready()
	many.round()
	var m struct{ Viewer struct{ Role, Status string } }
	st.snapshot(&m)
	s.exec(`UPDATE participants SET role = 'observer' WHERE meeting_id = ? AND user_id = ?`, idOf(one), grace.ID)
	if st.snapshot(&m); m.Viewer.Role != "observer" || m.Viewer.Status != "joined" {
		t.Errorf("%+v", m)
	}
	if r := many.round(); len(r.Results) != 1 || !strings.Contains(string(r.Results[0].Body), `"observer"`) {
		t.Errorf("%+v", r)
	}
	if a := grace.do("POST", one+"/messages", `{"content":"No"}`); a.Status != 403 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestSessionEndsItsStreamsOnly follows with two sessions of one person.
func TestSessionEndsItsStreamsOnly(t *testing.T) {
	s := newServer(t)
	laptop, phone := s.signIn("ada"), s.signIn("ada")
	meeting := laptop.plan("Plan")
	ends := []*stream{laptop.follow(meeting), laptop.follow(live(meeting)), laptop.follow(meeting + "/messages")}
	goesOn := phone.follow(live(meeting + "/messages"))
	for _, st := range append(ends, goesOn) {
		st.ready()
	}
	for _, st := range ends[:2] {
		st.any()
	}
	goesOn.round()
	laptop.must("POST", logoutPath, nil)
	at := phone.say(meeting, "Still here")
	for _, st := range ends {
		if e := st.endsWith("unauthenticated"); len(e.Retry) != 0 {
			t.Errorf("a retry: %+v", e)
		}
	}
	if r := goesOn.round(); len(r.Results) != 1 || itemsOf(t, r.Results[0])[0].Position != at {
		t.Errorf("%s", r.brief(strings.NewReplacer()))
	}
	s.awaitStreams(1)
}

// TestLastSeenConcernsNoStream stores when a thousand people were seen, members
// of the meetings that are followed among them.
func TestLastSeenConcernsNoStream(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	one, two, _ := pair(ada, grace)
	s.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998)
		INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at)
		SELECT 'usr_' || i, 'user_' || i, 0, i || '@example.com', i, 0, 0 FROM n`)
	var streams []*stream
	for _, path := range []string{one, two, one + "/participants", two + "/participants", "/v1/meetings"} {
		for _, path := range []string{path + "?heartbeat=1", live(path, "/v1/me", "/v1/users/"+string(ada.ID))} {
			st := grace.follow(path)
			st.ready()
			st.any()
			streams = append(streams, st)
		}
	}
	quiet := func() {
		t.Helper()
		for _, st := range streams {
			st.quietUntil(s.DB.Committed())
		}
	}
	quiet()
	runs := s.API.Engine().Stats().Runs
	seen := []users.Sighting{{User: ada.ID, At: s.Clock.Now()}, {User: grace.ID, At: s.Clock.Now()}}
	for i := range 998 {
		seen = append(seen, users.Sighting{User: domain.UserID(fmt.Sprint("usr_", i+1)), At: s.Clock.Now()})
	}
	people := users.NewStore(s.DB)
	for part := range slices.Chunk(seen, users.MaxSightings) {
		if err := people.Seen(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.number(`SELECT count(*) FROM last_seen`); n != 1000 {
		t.Errorf("%d were seen", n)
	}
	quiet()
	if got := s.API.Engine().Stats().Runs; got != runs {
		t.Errorf("%d runs", got-runs)
	}
	// What the meetings show of them does.
	ada.must("PATCH", "/v1/me", `{"displayName":"Ada"}`)
	streams[4].snapshot(new(any))
	if got := s.API.Engine().Stats().Runs; got == runs {
		t.Error("a new name made no run")
	}
}
