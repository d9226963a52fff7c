package realtime

import (
	"encoding/json"
	"strconv"
)

// roundBody is the data of a round.
type roundBody struct {
	Commit  int64         `json:"commit"`
	Results []roundResult `json:"results"`
}

type roundResult struct {
	Q     string          `json:"q"`
	Event string          `json:"event"`
	Body  json.RawMessage `json:"body"`
}

// round returns the event that tells what a turn has found on a connection that
// follows many paths, and nil when that is nothing. problems are the bodies of
// those that have ended, by path.
//
// Its id is one number for all feeds of the URL: everything up to it has been
// sent of each of them, and nothing beyond it, so that a resume neither loses nor
// repeats an item. A feed that could not be sent whole sets that number for all
// of them. Until every path of the URL has been sent once there is no such
// number.
func (s *stream) round(t turn, problems map[*sub][]byte) ([]event, error) {
	horizon := t.horizon()
	body := roundBody{Commit: t.commit, Results: []roundResult{}}
	for i := range t.updates {
		u := &t.updates[i]
		if problem, ended := problems[u.sub]; ended {
			body.Results = append(body.Results, roundResult{Q: u.sub.path.Name, Event: "problem", Body: problem})
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
			body.Results = append(body.Results, roundResult{Q: u.sub.path.Name, Event: name, Body: u.encode()})
		}
		u.sub.told = true
		u.sub.advance(*u)
		if u.more && u.sub.lasting && !u.first {
			u.sub.cursor = max(u.sub.cursor, horizon)
		}
	}
	if len(body.Results) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	e := event{name: "round", data: data}
	if s.complete() {
		e.id = strconv.FormatInt(horizon, 10)
	}
	return []event{e}, nil
}

// horizon is the number up to which every feed of the URL can be told.
func (t turn) horizon() int64 {
	horizon := t.commit
	for _, u := range t.updates {
		if u.sub.lasting && u.sub.path.Feed != nil && u.more && !u.first && u.err == nil {
			horizon = min(horizon, u.items[len(u.items)-1].Position)
		}
	}
	return horizon
}

// complete reports whether every path of the URL has been told once.
func (s *stream) complete() bool {
	for _, sub := range s.subs {
		if sub.lasting && !sub.told {
			return false
		}
	}
	return true
}
