package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"connvo/domain"
)

// record is a feed as a database keeps it: each item once, at its last position.
type record struct {
	items  []Item // ascending by position
	commit int64
}

// put adds an item, or changes the one with the key.
func (r *record) put(key string, size int) {
	r.commit++
	r.items = slices.DeleteFunc(r.items, func(i Item) bool { return i.Key == key })
	r.items = append(r.items, Item{Key: key, Position: r.commit, Data: make([]byte, size)})
}

func (r *record) beyond(after int64) []Item {
	i := slices.IndexFunc(r.items, func(i Item) bool { return i.Position > after })
	if i < 0 {
		return nil
	}
	return r.items[i:]
}

func (r *record) read(_ context.Context, after int64) ([]Item, bool, int64, error) {
	items := r.beyond(after)
	if len(items) > domain.MaxFeedPage {
		return items[:domain.MaxFeedPage], true, r.commit, nil
	}
	return slices.Clone(items), false, r.commit, nil
}

// What a tail tells is what the database would, or it tells nothing.
func TestTailTellsWhatTheDatabaseWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &record{}
		tail := &tail{}
		told := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") {
				size := rapid.SampledFrom([]int{10, 10, 20_000}).Draw(t, "size")
				for range rapid.SampledFrom([]int{1, 1, 5, 150, 300}).Draw(t, "items") {
					r.put(fmt.Sprint(rapid.IntRange(0, 400).Draw(t, "key")), size)
				}
				continue
			}
			after := rapid.Int64Range(max(0, r.commit-400), r.commit).Draw(t, "after")
			items, upTo, ok := tail.since(t.Context(), after, r.commit, r.read)
			if !ok {
				continue
			}
			told++
			if upTo != r.commit || !slices.EqualFunc(items, r.beyond(after), func(a, b Item) bool { return a.Key == b.Key && a.Position == b.Position }) {
				t.Fatalf("beyond %d at %d: %d items up to %d, want %d", after, r.commit, len(items), upTo, len(r.beyond(after)))
			}
			if len(tail.items) > maxTailItems || tail.bytes > maxTailBytes {
				t.Fatalf("it holds %d items of %d bytes", len(tail.items), tail.bytes)
			}
		}
		if _, _, ok := tail.since(t.Context(), r.commit, r.commit, r.read); !ok {
			t.Fatal("it tells nothing to who is up to date")
		}
	})
}

func TestTailThatCannotBeReadTellsNothing(t *testing.T) {
	tail := &tail{upTo: 3}
	_, _, ok := tail.since(t.Context(), 3, 4, func(context.Context, int64) ([]Item, bool, int64, error) {
		return nil, false, 0, errors.New("refused")
	})
	if ok || tail.upTo != 3 {
		t.Errorf("told %v up to %d", ok, tail.upTo)
	}
}

func TestTailIsForgottenWithItsLastReader(t *testing.T) {
	e := &Engine{tails: map[string]*tail{}}
	first := e.join("messages", 1)
	if e.join("messages", 5) != first {
		t.Error("two readers of a feed have two tails")
	}
	e.part("messages")
	if len(e.tails) != 1 {
		t.Error("the tail went with the first of two readers")
	}
	e.part("messages")
	if len(e.tails) != 0 {
		t.Error("the tail stays without readers")
	}
}
