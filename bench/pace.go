package main

import (
	"context"
	"sync"
	"time"
)

// pace does n = 0, …, total-1 at rate a second, each in one of the lanes, and returns when all are done. When
// every lane is busy it falls behind and catches up: it leaves nothing out, and returns the most it was behind.
func pace(ctx context.Context, total int, rate float64, lanes int, do func(lane, n int)) (behind time.Duration) {
	due := make(chan int)
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for n := range due {
				do(lane, n)
			}
		})
	}
	defer wg.Wait()
	defer close(due)
	began := time.Now()
	for n := range total {
		at := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if !sleep(ctx, time.Until(at)) {
			return behind
		}
		select {
		case due <- n:
			behind = max(behind, time.Since(at))
		case <-ctx.Done():
			return behind
		}
	}
	return behind
}

// sleep waits for d and tells whether it was not cut short by the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// cause is err, or why ctx has ended.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
