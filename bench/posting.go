package main

import (
	"context"
	"sync"
	"time"
)

// posting posts at a rate, in the background and in pieces.
type posting struct {
	p    *poster
	t    *target
	rate float64
	next int // the first number that is not begun; to be read while nothing is posted
}

// start posts from the next number on until stop is called, which waits for the last answer, or none is left.
func (b *posting) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		lines := make([]*line, postLanes)
		for i := range lines {
			lines[i] = b.t.line()
		}
		defer closeAll(lines)
		from := b.next
		var mu sync.Mutex // guards next
		pace(ctx, len(b.p.entries)-from, b.rate, len(lines), func(lane, n int) {
			mu.Lock()
			b.next = max(b.next, from+n+1)
			mu.Unlock()
			// An answer that is under way is waited for: only what is not begun yet is left out.
			b.p.post(context.WithoutCancel(ctx), lines[lane], from+n, from+n)
		})
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// again sends once more, with the same keys, what got no answer of the messages below to.
func (b *posting) again(ctx context.Context, to int) {
	l := b.t.line()
	defer l.close()
	for n := range to {
		if e := &b.p.entries[n]; e.begun && !e.acknowledged && ctx.Err() == nil {
			e.repeated = true
			b.p.post(ctx, l, n, n)
		}
	}
}

// answered summarizes the answers of the messages from a number on that were sent before a time.
func (b *posting) answered(from int, before time.Duration) summary {
	var all []time.Duration
	for _, e := range b.p.entries[from:] {
		if e.acknowledged && !e.repeated && e.sent < before {
			all = append(all, e.answered-e.sent)
		}
	}
	return summarize(all)
}
