package handlers_test

import (
	"fmt"
	"testing"

	"connvo/domain"
)

type truncatedPage struct {
	Items     []item
	Last      int64
	Truncated bool
}

// forgetFirst deletes the meeting's first messages, as their time does.
func (s *server) forgetFirst(n int) {
	s.exec(`DELETE FROM messages WHERE seq IN (SELECT seq FROM messages ORDER BY seq LIMIT ?)`, n)
}

func TestFeedTellsWhatIsOlderThanItKeeps(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	feed := meeting + "/messages"
	var at []int64
	for i := range 4 {
		at = append(at, ada.say(meeting, fmt.Sprint(i)))
	}
	open := ada.follow(feed)
	open.ready()
	open.items()
	s.forgetFirst(2)
	for path, want := range map[string]string{
		"":                                "[2 3] false",
		"?after=0":                        "[2 3] true",
		fmt.Sprint("?after=", at[0]):      "[2 3] true",
		fmt.Sprint("?after=", at[1]):      "[2 3] false",
		fmt.Sprint("?after=", at[2]):      "[3] false",
		"?after=0&limit=1":                "[2] true",
		fmt.Sprint("?before=", at[3]):     "[2] false",
		fmt.Sprint("?after=", at[3]):      "[] false",
		fmt.Sprint("?after=", at[3]+1000): "[] false",
	} {
		var page truncatedPage
		ada.must("GET", feed+path, nil).into(t, &page)
		if got := fmt.Sprint(contents(page.Items), " ", page.Truncated); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
	for id, want := range map[int64]string{0: "false [2 3] true", at[0]: "false [2 3] true", at[1]: "true [2 3] false", at[2]: "true [3] false"} {
		st := ada.follow(feed, "Last-Event-ID", fmt.Sprint(id))
		resumed := st.ready().Resumed
		var page truncatedPage
		st.into(st.next("items"), &page)
		if got := fmt.Sprint(resumed, " ", contents(page.Items), " ", page.Truncated); got != want {
			t.Errorf("resumed at %d: %s, want %s", id, got, want)
		}
		st.close()
	}
	// A path of many that is older begins anew, and the others with it.
	both := ada.follow("/v1/live?q="+feed+"&q="+meeting+"/events", "Last-Event-ID", fmt.Sprint(at[0]))
	if both.ready().Resumed {
		t.Error("a connection of many paths is resumed where one is not")
	}
	// Whoever has it all is told nothing.
	p := ada.say(meeting, "4")
	if items, last := open.items(); last != p || fmt.Sprint(contents(items)) != "[4]" {
		t.Errorf("%v up to %d", contents(items), last)
	}
}

func TestFeedThatIsAllGoneSaysSoOnce(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	feed := meeting + "/messages"
	ada.say(meeting, "one")
	p := ada.say(meeting, "two")
	s.forgetFirst(2)
	var page truncatedPage
	ada.must("GET", feed+"?after=0", nil).into(t, &page)
	if !page.Truncated || len(page.Items) != 0 || page.Last != p {
		t.Errorf("%+v", page)
	}
	st := ada.follow(feed + "?after=0&heartbeat=1")
	st.ready()
	e := st.next("items")
	st.into(e, &page)
	if st.id(e) != p || !page.Truncated || len(page.Items) != 0 {
		t.Errorf("%s: %+v", e.ID, page)
	}
	ada.must("PATCH", meeting, `{"title":"Changed"}`)
	st.quietUntil(s.DB.Committed())
	page = truncatedPage{}
	ada.must("GET", fmt.Sprint(feed, "?after=", p), nil).into(t, &page)
	if page.Truncated {
		t.Errorf("after everything that is gone: %+v", page)
	}
}

func TestRetentionIsDecidedOnWhatWasSeen(t *testing.T) {
	s := newServer(t)
	boss := s.signInAs("boss", "org_1", domain.OrgAdmin)
	const path, change = "/v1/admin/retention", `{"messagesDays":30,"transcriptsDays":7}`
	st := boss.follow(path)
	st.ready()
	var now struct{ MessagesDays, TranscriptsDays int }
	st.snapshot(&now)
	if now.MessagesDays != 90 || now.TranscriptsDays != 90 {
		t.Errorf("%+v", now)
	}
	tag := boss.must("GET", path, nil).Header.Get("ETag")
	boss.must("PUT", path, change, "If-Match", tag)
	if st.snapshot(&now); now.MessagesDays != 30 || now.TranscriptsDays != 7 {
		t.Errorf("live: %+v", now)
	}
	if a := boss.do("PUT", path, `{"messagesDays":1,"transcriptsDays":1}`, "If-Match", tag); a.Status != 412 {
		t.Errorf("with an old tag: %d %s", a.Status, a.Body)
	}
	for _, body := range []string{`{"messagesDays":0,"transcriptsDays":1}`, `{"messagesDays":1,"transcriptsDays":3651}`, `{"messagesDays":1}`} {
		if a := boss.do("PUT", path, body); a.Status != 422 {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'retention.changed' AND org_id = 'org_1' AND detail LIKE '%"messagesDays":"30"%'`); n != 1 {
		t.Errorf("%d entries in the record", n)
	}
}

func TestDeactivationEndsStreamsAndIsUndone(t *testing.T) {
	s := newServer(t)
	boss, ada := s.signInAs("boss", "org_1", domain.OrgAdmin), s.signInAs("ada", "org_1", domain.OrgMember)
	st := ada.follow("/v1/me")
	st.ready()
	st.snapshot(new(any))
	boss.must("POST", "/v1/users/"+string(ada.ID)+"/deactivate", nil)
	st.endsWith("forbidden")
	if a := ada.do("GET", "/v1/me", nil); a.Status != 403 {
		t.Errorf("%d", a.Status)
	}
	boss.must("POST", "/v1/users/"+string(ada.ID)+"/activate", nil)
	ada.must("GET", "/v1/me", nil)
	ada.must("POST", "/v1/users/"+string(ada.ID)+"/deactivate", nil)
	if a := ada.do("POST", "/v1/users/"+string(ada.ID)+"/activate", nil); a.Status != 401 && a.Status != 403 {
		t.Errorf("who is deactivated comes back alone: %d", a.Status)
	}
	for action, want := range map[string]int64{"user.deactivated": 2, "user.activated": 1} {
		if n := s.number(`SELECT count(*) FROM audit WHERE action = ? AND outcome = 'allowed'`, action); n != want {
			t.Errorf("%d entries of %s", n, action)
		}
	}
}
