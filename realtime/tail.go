package realtime

import (
	"context"
	"sync"
)

// The bounds of a tail: what a burst leaves between two turns of a reader. A
// reader that is further behind asks the database.
const (
	maxTailItems = 256
	maxTailBytes = 256 << 10
)

// tail is the end of a feed, held in memory for all who follow it: whoever
// needs it first after a commit reads what is new, the others take it from here.
type tail struct {
	readers int // guarded by the engine's mu

	mu    sync.Mutex // guards the rest, and makes the others wait for the one who reads
	items []Item     // every item of the feed beyond from, as of upTo, ascending
	bytes int
	from  int64
	upTo  int64
}

// join returns the tail of the feed, made as of the commit when nobody else
// follows it.
func (e *Engine) join(feed string, commit int64) *tail {
	e.mu.Lock()
	defer e.mu.Unlock()
	t, found := e.tails[feed]
	if !found {
		t = &tail{from: commit, upTo: commit}
		e.tails[feed] = t
	}
	t.readers++
	return t
}

// part ends what join began.
func (e *Engine) part(feed string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.tails[feed]
	if t.readers--; t.readers == 0 {
		delete(e.tails, feed)
	}
}

// since returns the items beyond after as of a commit not older than want, and
// that commit. It returns false where the tail does not reach back so far, or
// could not be read.
//
// read returns what is beyond a position, as of the commit it returns; it is
// called by at most one reader at a time, with that reader's rights.
func (t *tail) since(ctx context.Context, after, want int64, read func(ctx context.Context, after int64) (items []Item, more bool, commit int64, err error)) (items []Item, upTo int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.upTo < want {
		fresh, more, commit, err := read(ctx, t.upTo)
		switch {
		case err != nil:
			return nil, 0, false
		case more: // more than a tail holds came at once
			t.items, t.bytes, t.from = nil, 0, commit
		default:
			t.add(fresh)
		}
		t.upTo = max(t.upTo, commit)
	}
	if after < t.from {
		return nil, 0, false
	}
	for i, item := range t.items {
		if item.Position > after {
			return append(items, t.items[i:]...), t.upTo, true
		}
	}
	return nil, t.upTo, true
}

// add appends what is new. An item that was changed stands at its last position
// only, so that nobody is told what it said before.
func (t *tail) add(fresh []Item) {
	changed := make(map[string]bool, len(fresh))
	for _, item := range fresh {
		changed[item.Key] = true
	}
	kept := t.items[:0]
	for _, item := range t.items {
		if changed[item.Key] {
			t.bytes -= len(item.Data)
			continue
		}
		kept = append(kept, item)
	}
	clear(t.items[len(kept):])
	t.items = append(kept, fresh...)
	for _, item := range fresh {
		t.bytes += len(item.Data)
	}
	drop := 0
	for drop < len(t.items) && (len(t.items)-drop > maxTailItems || t.bytes > maxTailBytes) {
		t.bytes -= len(t.items[drop].Data)
		t.from = t.items[drop].Position
		drop++
	}
	t.items = append([]Item(nil), t.items[drop:]...)
}
