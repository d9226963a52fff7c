package ratelimit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"connvo/db"
)

const (
	// DefaultStoreEvery is how often the buckets below half are stored: what a
	// crash forgives.
	DefaultStoreEvery = 10 * time.Second
	// maxStored is how many are stored and loaded; under an attack from more
	// addresses than that a restart forgives the others.
	maxStored = 1 << 14
	// maxPortion is how many are stored at once: a few milliseconds of the
	// writer's time.
	maxPortion = 500
)

// Close stores the buckets below half. When ctx ends first the rest is given up,
// and Close returns ctx's error. It is called once.
func (l *Limits) Close(ctx context.Context) error {
	defer l.cutOff()
	close(l.stopping)
	select {
	case <-l.finished:
		return nil
	case <-ctx.Done():
		l.cutOff()
		<-l.finished
		return ctx.Err()
	}
}

// serve stores now and then.
func (l *Limits) serve() {
	defer close(l.finished)
	ticker := time.NewTicker(l.every)
	defer ticker.Stop()
	for {
		select {
		case <-l.stopping:
			l.store()
			return
		case <-ticker.C:
			l.store()
		}
	}
}

// load takes the buckets that were stored and are not full yet.
func (l *Limits) load(ctx context.Context) error {
	now := l.now()
	var rows []row
	err := l.db.Read(ctx, func(tx db.Reader) (err error) {
		rows, err = db.All(tx, scanRow, selectBuckets, now.UnixMilli(), maxStored)
		return err
	})
	if err != nil {
		return fmt.Errorf("load rate limits: %w", err)
	}
	for _, r := range rows {
		if p, known := named(r.policy); known { // of an older version otherwise
			l.shard(p, r.who).buckets[key{p, r.who}] = bucket{full: r.fullAt * int64(time.Millisecond), stored: true}
		}
	}
	return nil
}

// store forgets the buckets that are full, and stores those below half that the
// database does not know. What cannot be stored now is given up.
func (l *Limits) store() {
	now := l.now()
	var low [][3]any
	for _, set := range []*[shards]shard{&l.users, &l.addresses} {
		for i := range set {
			low = set[i].sweep(now.UnixNano(), low)
		}
	}
	for part := range slices.Chunk(low, maxPortion) {
		if err := l.write(now, part); err != nil {
			l.log.Warn("rate limits could not be stored", "error", err)
			return
		}
	}
}

// sweep forgets the buckets that are full, and appends to low those that are to
// be stored, as upsertBuckets takes them.
func (s *shard) sweep(now int64, low [][3]any) [][3]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, b := range s.buckets {
		switch {
		case b.full <= now:
			delete(s.buckets, k)
		case !b.stored && b.low(k.policy, now) && len(low) < maxStored:
			low = append(low, [3]any{rules[k.policy].name, k.who, b.full / int64(time.Millisecond)})
			b.stored = true
			s.buckets[k] = b
		}
	}
	return low
}

// write stores the buckets, and deletes as many that have become full since.
func (l *Limits) write(now time.Time, part [][3]any) error {
	encoded, err := json.Marshal(part)
	if err != nil {
		return err
	}
	return l.db.WriteBackground(l.cut, func(tx *db.WriteTx) error {
		if _, err := tx.Exec(deleteFull, now.UnixMilli(), 2*maxPortion); err != nil {
			return err
		}
		_, err := tx.Exec(upsertBuckets, string(encoded))
		return err
	})
}
