package ratelimit_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"connvo/db/dbtest"
	"connvo/ratelimit"
)

// BenchmarkTake is what a request costs of a user among 500 who send at once.
func BenchmarkTake(b *testing.B) {
	l, err := ratelimit.New(b.Context(), ratelimit.Config{DB: dbtest.Open(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close(b.Context()) }()
	users := make([]string, 500)
	for i := range users {
		users[i] = fmt.Sprintf("usr_%026d", i)
	}
	var next atomic.Int64
	b.SetParallelism(250)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		who := users[next.Add(1)%500]
		for pb.Next() {
			l.Take(ratelimit.API, who)
		}
	})
}

// BenchmarkField is what telling of two policies costs.
func BenchmarkField(b *testing.B) {
	left := []ratelimit.Left{{Policy: ratelimit.API, Tokens: 999, Next: 1}, {Policy: ratelimit.Messages, Tokens: 19, Next: 1}}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		var buffer [64]byte
		field := buffer[:0]
		for _, l := range left {
			field = l.Append(field)
		}
		n += len(string(field))
	}
}

// BenchmarkStrangers is what a request costs of an address that was not seen
// before, once there are as many as are kept.
func BenchmarkStrangers(b *testing.B) {
	l, err := ratelimit.New(b.Context(), ratelimit.Config{DB: dbtest.Open(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close(b.Context()) }()
	n := 0
	stranger := func() {
		l.Take(ratelimit.Strangers, ratelimit.Network(fmt.Sprintf("2001:db8:%x:%x::1", n>>16&0xffff, n&0xffff)))
		n++
	}
	for range 200_000 {
		stranger()
	}
	b.ReportAllocs()
	for b.Loop() {
		stranger()
	}
}
