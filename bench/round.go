package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// round is what a connection of many live GETs brings at once.
type round struct {
	Commit  int64
	Results []struct {
		Q, Event string
		Body     json.RawMessage
	}
}

// livePath is the path of one connection that carries all the others.
func livePath(paths []string) string {
	return "/v1/live?" + url.Values{"q": paths}.Encode()
}

// takeRound records an event of a connection that carries many. A round has a commit above that of the round before it,
// and this as its id.
func (w *watcher) takeRound(p *poster, e event, at time.Duration) error {
	if e.name != "round" {
		return nil
	}
	var got round
	if err := json.Unmarshal(e.data, &got); err != nil {
		return fmt.Errorf("round: %w", err)
	}
	if got.Commit <= w.round || e.id != strconv.FormatInt(got.Commit, 10) {
		w.tracks[0].misnumbered++
	}
	w.round = got.Commit
	for _, r := range got.Results {
		t := w.track(r.Q)
		if t == nil {
			return fmt.Errorf("a round has a result of %q, which is not on this connection", r.Q)
		}
		switch r.Event {
		case "items":
			if _, err := t.items(p, r.Body, at); err != nil {
				return err
			}
		case "snapshot":
			t.snapshot(r.Body, got.Commit, at)
		default:
			return fmt.Errorf("%s of %s: %.200s", r.Event, r.Q, r.Body)
		}
	}
	return nil
}

// track returns that of a path, nil when there is none.
func (w *watcher) track(path string) *track {
	for _, t := range w.tracks {
		if t.path == path {
			return t
		}
	}
	return nil
}
