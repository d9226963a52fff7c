package clients_test

import (
	"testing"
)

// TestSnapshotsOverBreaks follows what is no feed: after each break it is sent
// complete, whether it has changed or not.
func TestSnapshotsOverBreaks(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		st := open(t, n.URL, ada).follow("/v1/me")
		st.ready(false)
		st.shows(ada.rename("Ada"))
		st.hurry(s)
		st.problem("shutting_down")
		st.ready(true)
		st.shows(ada.rename("Lovelace"))
		n.cut()
		st.ready(true)
		st.shows(ada.me())

		n.cutAfter(`"displayName":"`)
		ada.rename("Ada L.")
		st.ready(true)
		st.shows(ada.me())

		held := n.stall()
		ada.rename("Countess")
		await(t, "an answer waits", held)
		n.cut()
		n.release()
		st.ready(true)
		st.shows(ada.me())

		s.kill()
		s.start()
		st.ready(true)
		st.shows(ada.me())
		st.shows(ada.rename("Ada"))
	})
}

// me returns the answer of a plain GET.
func (p *person) me() string {
	p.s.t.Helper()
	status, answer, err := p.do("GET", "/v1/me", nil)
	if err != nil || status != 200 {
		p.s.t.Fatalf("%d %s, error %v", status, answer, err)
	}
	return string(answer)
}

// rename gives the person a name and returns the answer of a plain GET.
func (p *person) rename(name string) string {
	p.s.t.Helper()
	p.must("PATCH", "/v1/me", map[string]string{"displayName": name}, nil)
	return p.me()
}

// shows reads snapshots up to the one that is wanted. The first after a break may
// be older, but is complete.
func (st *stream) shows(want string) {
	st.t.Helper()
	for {
		e := st.next("snapshot")
		var body struct{ ID, CreatedAt string }
		if decode(st.t, []byte(e.Data), &body); body.ID == "" || e.ID == "" {
			st.t.Fatalf("%s: %+v", st.name, e)
		}
		if e.Data == want {
			return
		}
	}
}
