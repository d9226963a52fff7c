package realtime

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"connvo/db"
)

// registeredQueries is how many live queries a small machine is to hold in 100 MB.
const registeredQueries = 100_000

// registered follows that many queries as people in meetings do: five to a
// connection, of a meeting of ten each, which all of them share. Each rests on a
// row of its meeting, and the decision on the caller's membership, the meeting's
// state and the caller.
func registered(b *testing.B, n int) (*Engine, []*sub) {
	b.Helper()
	e := stillEngine()
	subs := make([]*sub, 0, n)
	body := make([]byte, 100)
	for connection := range n / 5 {
		bell, user, meeting := newBell(), uint64(connection), uint64(connection/10)
		for q := range 5 {
			s := e.subscribe(Path{
				Name:  fmt.Sprint("/v1/meetings/", meeting, "/", q),
				Topic: fmt.Sprint("/v1/meetings/", meeting, "/", q, "?"),
				Query: func(context.Context) (Answer, error) { return Answer{Body: body}, nil },
			}, bell, true)
			u := s.ask(b.Context(), 0)
			u.deps = append(u.deps, dep(uint16(10+q), meeting, nameColumn))
			for _, right := range []db.Dependency{dep(1, user<<32|meeting, stateColumn), dep(2, meeting, stateColumn), dep(3, user, stateColumn)} {
				right.Decides = true
				u.deps = append(u.deps, right)
			}
			s.learn(e.hub, u)
			s.advance(u)
			subs = append(subs, s)
		}
	}
	return e, subs
}

// BenchmarkRegistered is what a live query costs in memory while nothing happens,
// with its path and its place in the index.
func BenchmarkRegistered(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		e, subs := registered(b, registeredQueries)
		for _, s := range subs { // what was read lately is let go of by the first heartbeat
			s.topic.tidy(s.topic.heldAt.Add(2 * holdTime))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/registeredQueries, "B/query")
		runtime.KeepAlive(e)
		runtime.KeepAlive(subs)
	}
}

// BenchmarkCompareOneOf100000 is a commit that concerns one query of the 100,000.
func BenchmarkCompareOneOf100000(b *testing.B) {
	e, subs := registered(b, registeredQueries)
	commit := int64(0)
	for b.Loop() {
		commit++
		user := uint64(commit % (registeredQueries / 5))
		e.hub.compare(db.ChangeSet{Commit: commit, Changes: []db.Change{changeOf(1, stateColumn, user<<32|user/10)}}, false)
	}
	runtime.KeepAlive(subs)
}

// BenchmarkCompareTopicOf1000 is a commit that concerns one topic among 100,000
// queries, which 1,000 connections share.
func BenchmarkCompareTopicOf1000(b *testing.B) {
	e, subs := registered(b, registeredQueries)
	bells := make([]*bell, 1000)
	for i := range bells {
		bells[i] = newBell()
		subs = append(subs, e.subscribe(Path{Topic: subs[0].path.Topic}, bells[i], true))
	}
	commit := int64(0)
	for b.Loop() {
		commit++
		e.hub.compare(db.ChangeSet{Commit: commit, Changes: []db.Change{changeOf(10, nameColumn, 0)}}, false)
		b.StopTimer()
		if len(bells[999].rung) != 1 {
			b.Fatal("the last of them was not woken")
		}
		for _, bell := range bells {
			<-bell.rung
			bell.since.Store(0)
		}
		b.StartTimer()
	}
	runtime.KeepAlive(subs)
}
