package main

import (
	"fmt"
	"strconv"
	"strings"
)

// item is a message as a feed shows it, or as its acknowledgement promised it.
type item struct {
	n        int // its number in this run, stranger or aside
	position int64
	id       string
}

// What stands in place of a number.
const (
	stranger = -1 // a message that is not of this run
	aside    = -2 // something else that takes a position in the feed
)

// tally counts what is wrong with a feed.
type tally struct {
	lost       int // acknowledged, but not there
	doubled    int // there more than once
	disordered int // at a position not above the one before it
	changed    int // under another id or position than acknowledged
	strange    int // never sent, or refused
}

func (t *tally) plus(o tally) {
	t.lost += o.lost
	t.doubled += o.doubled
	t.disordered += o.disordered
	t.changed += o.changed
	t.strange += o.strange
}

// String names what is wrong; empty when nothing is.
func (t tally) String() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{t.lost, "lost"}, {t.doubled, "doubled"}, {t.disordered, "out of order"},
		{t.changed, "changed"}, {t.strange, "strange"},
	} {
		if c.n > 0 {
			parts = append(parts, strconv.Itoa(c.n)+" "+c.what)
		}
	}
	return strings.Join(parts, ", ")
}

// compare checks that got holds each wanted message exactly once, in ascending positions. The doubtful, whose
// request got no answer or an error, may be there once or not at all. Numbers are below total.
func compare(total int, want []item, doubtful []int, got []item) tally {
	return newComparer(total).tally(want, doubtful, got)
}

// comparer compares many feeds of the same run.
type comparer struct {
	known []known // by number; all zero between two feeds
}

// known is what a feed is to show of a message, and has shown.
type known struct {
	promised *item // as acknowledged; its position counts unless it is 0
	allowed  bool
	times    uint8
}

func newComparer(total int) comparer { return comparer{make([]known, total)} }

// tally compares one feed, as compare does.
func (c comparer) tally(want []item, doubtful []int, got []item) tally {
	var t tally
	for i := range want {
		c.known[want[i].n] = known{promised: &want[i], allowed: true}
	}
	for _, n := range doubtful {
		c.known[n].allowed = true
	}
	last := int64(-1)
	for _, g := range got {
		if g.position <= last {
			t.disordered++
		}
		last = max(last, g.position)
		if g.n != aside {
			c.take(&t, g)
		}
	}
	for _, w := range want {
		if c.known[w.n].times == 0 {
			t.lost++
		}
		c.known[w.n] = known{}
	}
	for _, n := range doubtful {
		c.known[n] = known{}
	}
	return t
}

func (c comparer) take(t *tally, g item) {
	if g.n < 0 || g.n >= len(c.known) || !c.known[g.n].allowed {
		t.strange++
		return
	}
	k := &c.known[g.n]
	if k.times++; k.times == 2 {
		t.doubled++
	}
	k.times = min(k.times, 2)
	if k.promised != nil && (k.promised.id != g.id || k.promised.position != 0 && k.promised.position != g.position) {
		t.changed++
	}
}

// faultsOf makes fault lines of a tally: none when it is clean.
func faultsOf(where string, t tally) []string {
	if s := t.String(); s != "" {
		return []string{fmt.Sprintf("%s: %s", where, s)}
	}
	return nil
}
