package main

import (
	"fmt"
	"strconv"
	"strings"
)

// item is a message as a feed shows it, or as its acknowledgement promised it.
type item struct {
	n        int // its number in this run; -1 when it is not of this run
	position int64
	id       string
}

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
	var t tally
	times := make([]uint8, total)
	promised := make([]*item, total)
	allowed := make([]bool, total)
	for i := range want {
		promised[want[i].n], allowed[want[i].n] = &want[i], true
	}
	for _, n := range doubtful {
		allowed[n] = true
	}
	last := int64(-1)
	for _, g := range got {
		if g.position <= last {
			t.disordered++
		}
		last = max(last, g.position)
		if g.n < 0 || g.n >= total || !allowed[g.n] {
			t.strange++
			continue
		}
		if times[g.n]++; times[g.n] == 2 {
			t.doubled++
		}
		times[g.n] = min(times[g.n], 2)
		if p := promised[g.n]; p != nil && (p.id != g.id || p.position != g.position) {
			t.changed++
		}
	}
	for _, w := range want {
		if times[w.n] == 0 {
			t.lost++
		}
	}
	return t
}

// faultsOf makes fault lines of a tally: none when it is clean.
func faultsOf(where string, t tally) []string {
	if s := t.String(); s != "" {
		return []string{fmt.Sprintf("%s: %s", where, s)}
	}
	return nil
}
