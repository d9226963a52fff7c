package handlers_test

import (
	"fmt"
	"testing"
)

// contents returns what the items say.
func contents(items []item) (all []string) {
	for _, i := range items {
		all = append(all, i.Content)
	}
	return all
}

func TestFeedResumesWhereItWas(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	feed := meeting + "/messages"
	p1 := ada.say(meeting, "one")
	p2 := ada.say(meeting, "two")
	st := ada.follow(feed)
	st.ready()
	if items, last := st.items(); last != p2 || fmt.Sprint(contents(items)) != "[one two]" {
		t.Fatalf("%v up to %d", items, last)
	}
	st.close()
	p3 := ada.say(meeting, "three")

	for _, c := range []struct {
		name, path string
		header     []string
		resumed    bool
		want       string
	}{
		{"the header", feed, []string{"Last-Event-ID", fmt.Sprint(p2)}, true, "[three]"},
		{"the parameter", fmt.Sprintf("%s?lastEventId=%d", feed, p2), nil, true, "[three]"},
		{"the header over after", feed + "?after=0", []string{"Last-Event-ID", fmt.Sprint(p2)}, true, "[three]"},
		{"the parameter over after", fmt.Sprintf("%s?after=0&lastEventId=%d", feed, p2), nil, true, "[three]"},
		{"the header over the parameter", fmt.Sprintf("%s?lastEventId=%d", feed, p1), []string{"Last-Event-ID", fmt.Sprint(p2)}, true, "[three]"},
		{"a position between two items", feed, []string{"Last-Event-ID", fmt.Sprint(p1 + 1)}, true, "[two three]"},
		{"the beginning", feed, []string{"Last-Event-ID", "0"}, true, "[one two three]"},
		{"a limit does not cut it", feed + "?limit=1", []string{"Last-Event-ID", "0"}, true, "[one two three]"},
		{"after", fmt.Sprintf("%s?after=%d", feed, p1), nil, false, "[two three]"},
		{"garbage", feed, []string{"Last-Event-ID", "garbage"}, false, "[one two three]"},
		{"garbage over after", fmt.Sprintf("%s?after=%d", feed, p2), []string{"Last-Event-ID", "garbage"}, false, "[one two three]"},
		{"a negative number", feed, []string{"Last-Event-ID", "-1"}, false, "[one two three]"},
		{"a fraction", feed, []string{"Last-Event-ID", "1.5"}, false, "[one two three]"},
		{"a sign", feed + "?lastEventId=%2B1", nil, false, "[one two three]"},
		{"nothing", feed + "?lastEventId=", nil, false, "[one two three]"},
		{"a number too large", feed, []string{"Last-Event-ID", "9007199254740992"}, false, "[one two three]"},
		{"a number of twenty digits", feed, []string{"Last-Event-ID", "18446744073709551617"}, false, "[one two three]"},
		{"the future", feed, []string{"Last-Event-ID", fmt.Sprint(s.DB.Committed() + 1000)}, false, "[one two three]"},
		{"the far future in a parameter", feed + "?limit=1&lastEventId=9007199254740991", nil, false, "[one two three]"},
	} {
		st := ada.follow(c.path, c.header...)
		// The record of who opens streams is written meanwhile.
		if r := st.ready(); r.Resumed != c.resumed || r.Commit < p3 || r.Commit > s.DB.Committed() {
			t.Errorf("%s: %+v", c.name, r)
		}
		if items, last := st.items(); last != p3 || fmt.Sprint(contents(items)) != c.want {
			t.Errorf("%s: %v up to %d, want %s", c.name, contents(items), last, c.want)
		}
		st.close()
	}
}

func TestFeedThatIsUpToDateSaysNothing(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	p := ada.say(meeting, "one")
	for _, path := range []string{"?lastEventId=%d", "?after=%d", "?lastEventId=%d&limit=1"} {
		st := ada.follow(fmt.Sprintf(meeting+"/messages"+path+"&heartbeat=1", p))
		st.ready()
		st.quietUntil(s.DB.Committed())
		at := ada.say(meeting, "two")
		if items, last := st.items(); last != at || len(items) != 1 {
			t.Errorf("%s: %v up to %d, want %d", path, items, last, at)
		}
		p = at
		st.close()
	}
}

// TestNothingIsLostOrDoubledByBreaks reads a feed over many connections while
// it grows, each going on from the last id of the one before.
func TestNothingIsLostOrDoubledByBreaks(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	const many = 60
	posted := make(chan int64, 1)
	go func() {
		var last int64
		for i := range many {
			a := ada.do("POST", meeting+"/messages", map[string]any{"content": fmt.Sprint(i)})
			var m item
			a.into(t, &m)
			last = m.Position
		}
		posted <- last
	}()
	var got []string
	var at int64
	header := []string{"Last-Event-ID", "0"}
	for len(got) < many {
		st := ada.follow(meeting+"/messages", header...)
		if r := st.ready(); !r.Resumed {
			t.Fatalf("after %d: %+v", at, r)
		}
		for range 2 { // two events of each connection, the rest is cut off
			if len(got) == many {
				break
			}
			items, last := st.items()
			got, at = append(got, contents(items)...), last
		}
		st.close()
		header[1] = fmt.Sprint(at)
	}
	if last := <-posted; at != last {
		t.Errorf("the last id is %d, want %d", at, last)
	}
	for i, content := range got {
		if content != fmt.Sprint(i) {
			t.Fatalf("item %d is %s: %v", i, content, got)
		}
	}
}

// TestEditsComeAgainAfterABreak edits and deletes what the client holds.
func TestEditsComeAgainAfterABreak(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	var one, two item
	ada.must("POST", meeting+"/messages", `{"content":"one"}`).into(t, &one)
	ada.must("POST", meeting+"/messages", `{"content":"two"}`).into(t, &two)
	ada.must("PATCH", meeting+"/messages/"+one.ID, `{"content":"edited"}`)
	ada.must("DELETE", meeting+"/messages/"+two.ID, nil)
	st := ada.follow(meeting+"/messages", "Last-Event-ID", fmt.Sprint(two.Position))
	st.ready()
	items, last := st.items()
	if len(items) != 2 || items[0].ID != one.ID || items[0].Content != "edited" || items[1].ID != two.ID || items[1].Content != "" || last != items[1].Position {
		t.Errorf("%+v up to %d", items, last)
	}
}

func TestQueryResumesWithACompleteAnswer(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	st := ada.follow("/v1/me")
	st.ready()
	at := st.snapshot(new(any))
	st.close()
	ada.must("PATCH", "/v1/me", `{"displayName":"Ada"}`)
	for id, resumed := range map[string]bool{
		fmt.Sprint(at): true, fmt.Sprint(s.DB.Committed()): true, "0": true,
		"": false, "garbage": false, fmt.Sprint(s.DB.Committed() + 1): false,
	} {
		for _, st := range []*stream{ada.follow("/v1/me", "Last-Event-ID", id), ada.follow("/v1/me?lastEventId=" + id)} {
			var me struct{ DisplayName string }
			if r := st.ready(); r.Resumed != resumed {
				t.Errorf("%q: %+v", id, r)
			}
			if now := st.snapshot(&me); me.DisplayName != "Ada" || now != s.DB.Committed() {
				t.Errorf("%q: %+v at %d", id, me, now)
			}
			st.close()
		}
	}
}

// TestNumberThatARestoreHasSkippedIsUnknown: whoever goes on from one holds what is
// lost, and is told so.
func TestNumberThatARestoreHasSkippedIsUnknown(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	held := ada.say(meeting, "one")
	lost := s.DB.Committed() + 5
	if err := s.DB.MarkRestored(t.Context(), "1/1", lost); err != nil {
		t.Fatal(err)
	}
	for position, resumed := range map[int64]bool{held: true, lost: false} {
		st := ada.follow(meeting+"/messages", "Last-Event-ID", fmt.Sprint(position))
		if r := st.ready(); r.Resumed != resumed {
			t.Errorf("from %d: %+v", position, r)
		}
		st.close()
	}
}
