package realtime

import (
	"encoding/json"
	"strconv"
)

// round returns the event that tells what a turn has found on a connection that
// follows many paths, and nil when that is nothing. problems are the bodies of
// those that have ended, by path.
//
// Its id is one number for all feeds of the URL: everything up to it has been
// sent of each of them, and nothing beyond it, so that a resume neither loses nor
// repeats an item. A feed that could not be sent whole sets that number for all
// of them. Until every feed of the URL has been sent once there is no such
// number; queries do not wait for one, since a resume answers them anew.
func (s *stream) round(t turn, problems map[*sub][]byte) []event {
	horizon := t.horizon()
	body := roundBody{commit: t.commit}
	for _, w := range t.beside {
		if _, ended := problems[w.sub]; !ended {
			body.add(w.sub.path.Name, "interim", w.tell())
		}
	}
	for i := range t.updates {
		u := &t.updates[i]
		if problem, ended := problems[u.sub]; ended {
			body.add(u.sub.path.Name, "problem", problem)
			continue
		}
		if u.sub.lasting && u.sub.path.Feed != nil && horizon < t.commit {
			if u.first {
				u.sub.cut = true // a newest page has no part up to the horizon
				continue
			}
			u.fit(horizon, maxTurnBytes)
		}
		begins := !u.sub.told
		if begins || u.changed() {
			name := "snapshot"
			if u.sub.path.Feed != nil {
				name = "items"
			}
			body.add(u.sub.path.Name, name, u.encode())
		}
		u.sub.told = true
		u.sub.advance(*u)
	}
	if len(body.data) == 0 {
		return nil
	}
	e := event{name: "round", data: body.end()}
	if s.complete() && horizon >= s.upTo { // a path that begins again may still be behind
		s.upTo = horizon
		e.id = strconv.FormatInt(horizon, 10)
	}
	return []event{e}
}

// roundBody is the data of a round. The answers in it are JSON already, so it is
// put together by hand rather than have every byte of them encoded again.
type roundBody struct {
	commit int64
	data   []byte
}

func (b *roundBody) add(q, event string, body []byte) {
	if len(b.data) == 0 {
		b.data = append(strconv.AppendInt(append(b.data, `{"commit":`...), b.commit, 10), `,"results":[`...)
	} else {
		b.data = append(b.data, ',')
	}
	name, _ := json.Marshal(q) // a string always encodes
	b.data = append(append(b.data, `{"q":`...), name...)
	b.data = append(append(b.data, `,"event":"`...), event...)
	b.data = append(append(append(b.data, `","body":`...), body...), '}')
}

func (b *roundBody) end() []byte { return append(b.data, `]}`...) }

// horizon is the number up to which every feed of the URL can be told.
func (t turn) horizon() int64 {
	horizon := t.commit
	for _, u := range t.updates {
		if u.sub.lasting && u.sub.path.Feed != nil && u.more && !u.first && u.err == nil {
			horizon = min(horizon, u.last())
		}
	}
	return horizon
}

// complete reports whether every feed of the URL has been told once.
func (s *stream) complete() bool {
	for _, sub := range s.subs {
		if sub.lasting && sub.path.Feed != nil && !sub.told {
			return false
		}
	}
	return true
}
