package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

const checkLanes = 8 // GETs at once after a run, to compare with what the streams brought

// feed tells whether the track is of messages or events, of which every post is to come.
func (t *track) feed() bool {
	path, _, _ := strings.Cut(t.path, "?")
	return strings.HasSuffix(path, "/messages") || strings.HasSuffix(path, "/events") || strings.HasSuffix(path, "/transcripts")
}

// ofEvents tells whether the track is of the events of a meeting.
func (t *track) ofEvents() bool {
	path, _, _ := strings.Cut(t.path, "?")
	return strings.HasSuffix(path, "/events")
}

// check compares what each stream brought with what was acknowledged.
func check(p *poster, watchers []*watcher) []string {
	p.resolve(tracksOf(watchers))
	wants := make([][]item, len(p.rooms))
	doubts := make([][]int, len(p.rooms))
	for at := range p.rooms {
		wants[at], doubts[at] = p.outcome(at)
	}
	v := newVerdict(len(p.entries))
	for _, w := range watchers {
		for _, t := range w.tracks {
			if t.feed() {
				v.judge(t, wants[t.at], doubts[t.at])
			}
		}
		v.ending(w.err)
	}
	return v.faults()
}

// verdict gathers what is wrong with many streams.
type verdict struct {
	compare     comparer
	sum         tally
	wrong, all  int
	misnumbered int
	ended       int
	first       error // why the first of those ended
}

func newVerdict(total int) *verdict { return &verdict{compare: newComparer(total)} }

// judge compares one track. The events that tell of messages stand at positions of their own.
func (v *verdict) judge(t *track, want []item, doubtful []int) {
	v.all++
	items := make([]item, 0, len(t.got))
	for _, d := range t.got {
		items = append(items, d.item)
	}
	if t.ofEvents() {
		want = unplaced(want)
	}
	if t := v.compare.tally(want, doubtful, items); t != (tally{}) {
		v.wrong++
		v.sum.plus(t)
	}
	v.misnumbered += t.misnumbered
}

// ending takes in why a stream ended, nil when it was told to.
func (v *verdict) ending(err error) {
	if err == nil {
		return
	}
	if v.ended++; v.first == nil {
		v.first = err
	}
}

func (v *verdict) faults() []string {
	faults := faultsOf(fmt.Sprintf("deliveries on %d of %d streams", v.wrong, v.all), v.sum)
	if v.misnumbered > 0 {
		faults = append(faults, fmt.Sprintf("%d events have another id than their last position", v.misnumbered))
	}
	if v.ended > 0 {
		faults = append(faults, fmt.Sprintf("%d streams ended early, the first: %v", v.ended, v.first))
	}
	return faults
}

// unplaced is the items without their positions.
func unplaced(items []item) []item {
	all := make([]item, len(items))
	for i, it := range items {
		all[i] = item{n: it.n, id: it.id}
	}
	return all
}

// checkSnapshots compares the last snapshot of each track that is no feed with a GET of the same user now. A track that
// does not show it gets the time that deliveries may take.
func (t *target) checkSnapshots(ctx context.Context, tracks []*track) ([]string, error) {
	var shown []*track
	for _, tr := range tracks {
		if !tr.feed() {
			shown = append(shown, tr)
		}
	}
	var failed failures
	var mu sync.Mutex // guards stale
	var stale []string
	lines := make([]*line, checkLanes)
	for i := range lines {
		lines[i] = t.line()
	}
	defer closeAll(lines)
	each(checkLanes, len(shown), func(lane, i int) {
		right, err := t.upToDate(ctx, lines[lane], shown[i])
		if err != nil {
			failed.add(err)
		} else if !right {
			mu.Lock()
			stale = append(stale, shown[i].path)
			mu.Unlock()
		}
	})
	faults := failed.faults("GETs to compare with")
	if len(stale) > 0 {
		faults = append(faults, fmt.Sprintf("%d of %d streams do not end on the answer of a GET, the first: %s", len(stale), len(shown), stale[0]))
	}
	return faults, cause(ctx, nil)
}

// upToDate tells whether the track comes to show what a GET answers.
func (t *target) upToDate(ctx context.Context, l *line, tr *track) (bool, error) {
	for waited := false; ; waited = true {
		got, err := l.do(ctx, request{method: "GET", path: tr.path, token: tr.user.token})
		if err == nil && got.status != 200 {
			err = refusal(got.status, got.body)
		}
		if err != nil || tr.shows(got.body) {
			return err == nil, err
		}
		if waited || !sleep(ctx, settle) {
			return false, nil
		}
	}
}
