package handlers_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

// here is an answer of presence.
type here struct {
	Items []struct {
		UserID domain.UserID
		Typing bool
		Cursor *struct{ Version, Anchor, Head int64 }
	}
}

// names returns who is here, in the words of the people given.
func (h here) names(people ...*person) string {
	var all []string
	for _, i := range h.Items {
		name := "somebody"
		for _, p := range people {
			if p.ID == i.UserID {
				name = p.Name
			}
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// running returns an active meeting of ada in which the others have joined.
func running(ada *person, others ...*person) string {
	ada.s.t.Helper()
	var invited []any
	for _, p := range others {
		invited = append(invited, p, "participant")
	}
	meeting := ada.plan("Presence", invited...)
	ada.must("POST", meeting+"/start", nil)
	for _, p := range others {
		p.must("POST", meeting+"/join", nil)
	}
	return meeting
}

// Ten follow who is here. However many say something, each is told once a second,
// and the database is asked once for all of them.
func TestPresenceIsToldOnceASecondAndReadOnceForAll(t *testing.T) {
	const followers, people = 10, 5
	s := newServer(t)
	var all []*person
	for i := range people {
		all = append(all, s.signIn(fmt.Sprint("person", i)))
	}
	meeting := running(all[0], all[1:]...)
	var streams []*stream
	for i := range followers {
		st := all[i%people].follow(meeting + "/presence")
		st.ready()
		st.snapshot(new(here))
		streams = append(streams, st)
	}
	before := s.API.Engine().Stats()
	began := time.Now()
	for n := range 40 {
		all[n%people].must("PUT", meeting+"/presence", fmt.Sprintf(`{"typing":%t,"cursor":{"version":%d,"anchor":1,"head":2}}`, n%2 == 0, n))
	}
	told := 0
	for _, st := range streams {
		mine := 0
		for newest := int64(0); newest < 39; mine++ {
			var h here
			st.snapshot(&h)
			for _, i := range h.Items {
				newest = max(newest, i.Cursor.Version)
			}
		}
		if took := time.Since(began); mine > int(took.Seconds())+1 {
			t.Errorf("%s was told %d times in %v", st.name, mine, took)
		}
		told += mine
	}
	after := s.API.Engine().Stats()
	runs, shared := after.Reruns-before.Reruns, after.Shared-before.Shared
	if 2*runs > int64(told) || 2*shared < int64(told) {
		t.Errorf("asked %d times for %d snapshots, of which %d were shared", runs, told, shared)
	}
	if n := s.number(`SELECT count(*) FROM idempotency`); n != 0 {
		t.Errorf("%d answers are kept", n)
	}
}

// Whoever loses the right to be here is not shown any more, whatever took it, and
// not told any more.
func TestPresenceShowsNobodyWithoutARight(t *testing.T) {
	s := newServer(t)
	for i, loss := range losses {
		if loss.path == "" || loss.path == "unauthenticated" {
			continue // who may be here is still here, also when a session is over
		}
		ada, grace := s.signIn(fmt.Sprint("ada", i)), s.signIn(fmt.Sprint("grace", i))
		meeting := running(ada, grace)
		var h here
		ada.must("PUT", meeting+"/presence", `{}`)
		grace.must("PUT", meeting+"/presence", `{}`)
		st, own := ada.follow(meeting+"/presence"), grace.follow(live(meeting+"/presence", "/v1/me"))
		st.ready()
		if st.snapshot(&h); h.names(ada, grace) != ada.Name+" "+grace.Name {
			t.Errorf("%s: before: %+v", loss.name, h)
		}
		own.ready()
		own.round()
		loss.lose(grace, meeting)
		if st.snapshot(&h); h.names(ada, grace) != ada.Name {
			t.Errorf("%s: %+v", loss.name, h)
		}
		ada.must("GET", meeting+"/presence", nil).into(t, &h)
		if h.names(ada, grace) != ada.Name {
			t.Errorf("%s: plain: %+v", loss.name, h)
		}
		if a := grace.do("PUT", meeting+"/presence", `{}`); a.code() != loss.path {
			t.Errorf("%s: a sign afterwards: %d %s", loss.name, a.Status, a.Body)
		}
	}
}

// People come, do things, leave and come back at random. When nothing happens any
// more, every stream shows what a fresh GET answers.
func TestLivePresenceEqualsFresh(t *testing.T) {
	s := newServer(t)
	r := rand.New(rand.NewPCG(1, 2))
	var all []*person
	for i := range 4 {
		all = append(all, s.signIn(fmt.Sprint("person", i)))
	}
	meeting := running(all[0], all[1:]...)
	alone, among := all[0].follow(meeting+"/presence?heartbeat=1"), all[0].follow(live(meeting, meeting+"/presence"))
	alone.ready()
	among.ready()
	shown := make(chan string, 1000)
	told := make(chan string, 1000)
	go collect(alone, "snapshot", shown, func(data []byte) string { return string(data) })
	go collect(among, "round", told, func(data []byte) string {
		var round struct {
			Results []struct {
				Q    string
				Body json.RawMessage
			}
		}
		_ = json.Unmarshal(data, &round) // what is no round tells nothing
		for _, result := range round.Results {
			if strings.HasSuffix(result.Q, "/presence") {
				return string(result.Body)
			}
		}
		return ""
	})
	for range 150 {
		p := all[r.IntN(len(all))]
		switch n := r.IntN(10); {
		case n < 6:
			p.do("PUT", meeting+"/presence", fmt.Sprintf(`{"typing":%t}`, n < 3)) // refused while they are away
		case n < 7 && p != all[0]:
			p.do("POST", meeting+"/leave", nil)
		case n < 8:
			p.do("POST", meeting+"/join", nil)
		default:
			p.must("PATCH", "/v1/me", fmt.Sprintf(`{"displayName":"name %d"}`, n))
		}
	}
	want := string(all[0].must("GET", meeting+"/presence", nil).Body)
	for name, c := range map[string]chan string{"alone": shown, "among others": told} {
		last, late := "", time.After(patience)
		for last != want {
			select {
			case last = <-c:
			case <-late:
				t.Fatalf("%s shows %s\nfresh is %s", name, last, want)
			}
		}
	}
}

// collect sends what the stream tells in events of the name, until it ends.
func collect(st *stream, name string, to chan<- string, read func(data []byte) string) {
	for e := range st.events {
		if string(e.Event) != name {
			continue
		}
		if told := read(e.Data); told != "" {
			to <- told
		}
	}
}
