package handlers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

const figuresPath = "/v1/admin/streams"

// figures is what an admin is told of the live connections.
type figures struct {
	Connections, Paths              int
	Runs, Reruns, Unchanged, Shared int64
	LagMs                           struct{ P50, P95, P99 float64 }
	Items                           []connectionFigures
	NextCursor                      *string
}

type connectionFigures struct {
	ConnectionID string
	UserID       domain.UserID
	OpenedAt     time.Time
	Paths        []string
	Commit       int64
	Runs         int64
	LagMs        float64
}

func TestFiguresAreOfTheOwnOrganization(t *testing.T) {
	s := newServer(t)
	ada, bob := s.signInAs("ada", "org_1", domain.OrgMember), s.signInAs("bob", "org_1", domain.OrgMember)
	eve, nemo := s.signInAs("eve", "org_2", domain.OrgMember), s.signIn("nemo")
	boss, other := s.signInAs("boss", "org_1", domain.OrgAdmin), s.signInAs("other", "org_2", domain.OrgAdmin)
	meeting := ada.plan("Plan", bob, "participant", eve, "participant")
	secret := eve.plan("Secret", ada, "participant", nemo, "participant")
	// The first of its people opens a connection of each kind, and the other org does too.
	ours := map[string][]string{
		ada.follow(live("/v1/me", meeting)).ready().ConnectionID: {"/v1/me", meeting},
		bob.follow(meeting + "/messages").ready().ConnectionID:   {meeting + "/messages"},
		ada.follow(live()).ready().ConnectionID:                  nil,
	}
	var theirs []string
	for _, st := range []*stream{eve.follow(live(secret, "/v1/meetings")), eve.follow(secret + "/messages"), nemo.follow(secret), nemo.follow(live(secret))} {
		theirs = append(theirs, st.ready().ConnectionID)
	}
	theirs = append(theirs, idOf(secret), string(eve.ID), string(nemo.ID), string(other.ID), "org_2")

	a := boss.must("GET", figuresPath, nil)
	var f figures
	a.into(t, &f)
	if f.Connections != 3 || f.Paths != 3 || len(f.Items) != 3 || f.Runs < 3 || f.NextCursor != nil {
		t.Errorf("%s", a.Body)
	}
	for _, c := range f.Items {
		want, found := ours[c.ConnectionID]
		if !found || !slices.Equal(slices.Sorted(slices.Values(c.Paths)), want) || c.OpenedAt.IsZero() || c.Commit == 0 || c.Commit > s.DB.Committed() || (c.UserID != ada.ID && c.UserID != bob.ID) {
			t.Errorf("%+v", c)
		}
	}
	for _, word := range theirs {
		if strings.Contains(string(a.Body), word) {
			t.Errorf("%s is not theirs to see: %s", word, a.Body)
		}
	}
	if other.must("GET", figuresPath, nil).into(t, &f); f.Connections != 2 || f.Paths != 3 {
		t.Errorf("of the other organization: %+v", f)
	}
	for _, p := range []*person{ada, nemo} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			if a := p.do("GET", figuresPath, nil, "Accept", accept); a.Status != 403 || a.code() != "forbidden" {
				t.Errorf("%s: %d %s", p.Name, a.Status, a.Body)
			}
		}
	}
}

func TestFiguresComeInPages(t *testing.T) {
	s := newServer(t)
	ada, boss := s.signInAs("ada", "org_1", domain.OrgMember), s.signInAs("boss", "org_1", domain.OrgAdmin)
	var want []string
	for range 7 {
		want = append(want, ada.follow("/v1/me").ready().ConnectionID)
	}
	var got []string
	pages := 0
	for cursor := ""; pages < 10; pages++ {
		var f figures
		boss.must("GET", figuresPath+"?limit=3"+cursor, nil).into(t, &f)
		if f.Connections != 7 || f.Paths != 7 {
			t.Errorf("%+v", f)
		}
		for _, c := range f.Items {
			got = append(got, c.ConnectionID)
		}
		if f.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *f.NextCursor
	}
	slices.Sort(want)
	slices.Sort(got)
	if pages != 2 || !slices.Equal(got, want) {
		t.Errorf("%d pages: %v, want %v", pages+1, got, want)
	}
	for _, query := range []string{"?cursor=nonsense", "?limit=101", "?limit=0"} {
		if a := boss.do("GET", figuresPath+query, nil); a.code() != "validation_failed" {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
}

// TestFiguresAreLiveOnceASecond follows them alone and among others, while
// something happens all the time, until the role is lost.
func TestFiguresAreLiveOnceASecond(t *testing.T) {
	s := newServer(t)
	ada, boss := s.signInAs("ada", "org_1", domain.OrgMember), s.signInAs("boss", "org_1", domain.OrgAdmin)
	meeting := ada.plan("Plan")
	began := time.Now()
	alone, among := boss.follow(figuresPath), boss.follow(live(figuresPath, "/v1/me"))
	alone.ready()
	among.ready()
	var f figures
	alone.snapshot(&f)
	if r := among.round(); len(r.Results) != 2 {
		t.Errorf("%+v", r)
	}
	before := f.Connections
	ada.follow(meeting).ready()
	ada.say(meeting, "Hello")
	told := 0
	for f.Connections <= before { // what else has changed may come first
		alone.snapshot(&f)
		told++
	}
	if took := time.Since(began); took < time.Duration(told)*time.Second-100*time.Millisecond {
		t.Errorf("told %d times in %v after the first figures", told, took)
	}
	if r := among.round(); len(r.Results) != 1 || r.Results[0].Q != figuresPath {
		t.Errorf("%+v", r)
	}
	s.signInAs("boss", "org_1", domain.OrgMember)
	alone.endsAmid("forbidden")
	none := strings.NewReplacer()
	for {
		// A last figure may have been on its way.
		got := among.round().brief(none)
		if strings.Contains(got, "problem") {
			if want := "/v1/admin/streams problem forbidden, /v1/me snapshot"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			break
		}
	}
	ada.must("PATCH", "/v1/me", `{"displayName":"Ada"}`)
	among.quietUntil(s.DB.Committed())
	if a := boss.do("GET", figuresPath, nil); a.Status != 403 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
