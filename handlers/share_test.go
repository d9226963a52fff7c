package handlers_test

import "testing"

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
