package handlers_test

import "testing"

// What changed before a stream began, outside of its newest page, is not told.
func TestNewestPageIsAsOfItsCommit(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Chat")
	var first struct{ ID string }
	ada.must("POST", meeting+"/messages", map[string]any{"content": "one"}).into(t, &first)
	for _, text := range []string{"two", "three"} {
		ada.say(meeting, text)
	}
	ada.must("PATCH", meeting+"/messages/"+first.ID, map[string]any{"content": "once"})
	st := ada.follow(meeting + "/messages?limit=2&heartbeat=1")
	at := st.ready().Commit
	if items, _ := st.items(); len(items) != 2 || items[0].Content != "two" {
		t.Fatalf("the newest page is %+v", items)
	}
	st.quietUntil(at)
	ada.say(meeting, "four")
	if items, _ := st.items(); len(items) != 1 || items[0].Content != "four" {
		t.Errorf("after the page comes %+v", items)
	}
	// What changes afterwards is told, on the page or not.
	ada.must("PATCH", meeting+"/messages/"+first.ID, map[string]any{"content": "for all"})
	if items, _ := st.items(); len(items) != 1 || items[0].Content != "for all" {
		t.Errorf("the change is %+v", items)
	}
}

// Many follow one chat: what one of them has read serves the others, and
// whoever loses the right to read gets nothing more of it.
func TestFollowersOfAFeedShareItsTail(t *testing.T) {
	const followers, messages = 20, 5
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Chat", grace, "participant")
	ada.must("POST", meeting+"/start", nil)
	grace.must("POST", meeting+"/join", nil)
	var streams []*stream
	for range followers {
		st := ada.follow(meeting + "/messages?heartbeat=1")
		st.ready()
		streams = append(streams, st)
	}
	leaver := grace.follow(meeting + "/messages?heartbeat=1")
	leaver.ready()

	var last int64
	for range messages {
		last = ada.say(meeting, "hello")
		for _, st := range streams {
			if items := st.itemsUpTo(last); len(items) != 1 {
				t.Fatalf("%d items for one message", len(items))
			}
		}
	}
	if shared := s.API.Engine().Stats().Shared; shared < followers*messages/2 {
		t.Errorf("%d of %d deliveries were shared", shared, followers*messages)
	}
	leaver.itemsUpTo(last)
	grace.must("POST", meeting+"/leave", nil)
	ada.say(meeting, "she is gone")
	leaver.endsWith("forbidden")
}
