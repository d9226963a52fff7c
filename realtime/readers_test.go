package realtime

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
)

// await returns when the commit has been compared, whoever else waits, and not
// before; and when the engine stops or the caller goes.
func TestAwaitingACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(3)
		go h.serve()
		if err := h.await(t.Context(), 3); err != nil {
			t.Errorf("what is compared already: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		results := map[string]chan error{"4": make(chan error, 1), "5": make(chan error, 1), "5, gone": make(chan error, 1), "6": make(chan error, 1)}
		for name, result := range results {
			mine := t.Context()
			if name == "5, gone" {
				mine = ctx
			}
			go func() { result <- h.await(mine, int64(name[0]-'0')) }()
		}
		done := func(want ...string) {
			t.Helper()
			synctest.Wait()
			for name, result := range results {
				if (len(result) == 1) != slices.Contains(want, name) {
					t.Errorf("who awaits %s: returned is %v", name, len(result) == 1)
				}
			}
		}
		done()
		h.publish(db.ChangeSet{Commit: 4})
		done("4")
		cancel()
		done("4", "5, gone")
		h.publish(db.ChangeSet{Commit: 5})
		done("4", "5, gone", "5")
		h.stop()
		done("4", "5, gone", "5", "6")
		if err := <-results["5, gone"]; !errors.Is(err, context.Canceled) {
			t.Errorf("who went: %v", err)
		}
		if err := <-results["6"]; !errors.Is(err, errDraining) {
			t.Errorf("who waited at the end: %v", err)
		}
	})
}

// A bell remembers the first commit that it rang for until it is served, and
// nothing of what else it woke for.
func TestABellRemembersItsFirstCommit(t *testing.T) {
	b := newBell()
	b.wake()
	if b.since.Load() != 0 || len(b.rung) != 1 {
		t.Error("woken, it tells of a commit")
	}
	b.ring(time.Unix(1, 0))
	b.ring(time.Unix(2, 0))
	if since := b.since.Swap(0); since != time.Unix(1, 0).UnixNano() || len(b.rung) != 1 {
		t.Errorf("since %d, rung %d times", since, len(b.rung))
	}
	b.ring(time.Unix(3, 0))
	if b.since.Load() != time.Unix(3, 0).UnixNano() {
		t.Error("it does not tell of the next commit")
	}
}

// A thousand join and part at random; each knows its place all the time, and all
// who are there are woken.
func TestReadersKnowTheirPlaces(t *testing.T) {
	h, w := stillHub(), &watched{}
	r := rand.New(rand.NewPCG(1, 2))
	var there, gone []*reader
	for range 1000 {
		gone = append(gone, &reader{bell: newBell()})
	}
	move := func(from, to []*reader) ([]*reader, []*reader, *reader) {
		i := r.IntN(len(from))
		moved := from[i]
		return slices.Delete(from, i, i+1), append(to, moved), moved
	}
	for step := range 10_000 {
		var moved *reader
		if len(gone) > 0 && (len(there) == 0 || r.IntN(1000) >= len(there)*(step/1000)/8) {
			gone, there, moved = move(gone, there)
			h.join(w, moved)
		} else {
			there, gone, moved = move(there, gone)
			h.part(w, moved)
		}
		for _, reader := range there {
			if w.readers[reader.at] != reader {
				t.Fatalf("step %d: a reader is not at its place", step)
			}
		}
		if _, known := h.all[w]; len(w.readers) != len(there) || known != (len(there) > 0) {
			t.Fatalf("step %d: %d readers, of %d", step, len(w.readers), len(there))
		}
	}
	h.compare(db.ChangeSet{Commit: 1}, true)
	for _, reader := range there {
		if len(reader.bell.rung) != 1 {
			t.Error("who is there was not woken")
		}
	}
	for _, reader := range gone {
		if len(reader.bell.rung) != 0 {
			t.Error("who is gone was woken")
		}
	}
}
