package replica

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestStandingStill loses the lease to another, and then nothing is promised to be in the
// replica, nor is it there; without another the lease is renewed, and all goes on.
func TestStandingStill(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"warn": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t)
			s.write()
			l := s.replica.lease
			l.strict = strict
			s.replica.leave()
			s.replica.left.Wait() // nobody else renews it
			still := l.clock
			l.clock = func() time.Duration { return still() + time.Hour }
			s.write()
			if err := l.check(); err != nil {
				t.Error("it is not renewed:", err)
			}
			l.clock = func() time.Duration { return still() + 2*time.Hour }
			other := newLease(s.replica.objects, Holder{Owner: "another"}, DefaultTerm, true)
			if err := other.look(t.Context()); err != nil {
				t.Fatal(err)
			}
			other.seenAt -= time.Hour
			if err := other.take(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			before := s.levels()
			s.exec(`INSERT INTO t VALUES ('too late')`)
			if err := s.replica.Sync(t.Context()); !errors.Is(err, ErrTaken) {
				t.Errorf("it is promised: %v", err)
			}
			if after := s.levels(); after[0] != before[0] {
				t.Errorf("it is stored in what another has gone on from: %v after %v", after, before)
			}
		})
	}
}

// TestStartedWithoutItsReplica copies to its own generation, and merges there too.
func TestStartedWithoutItsReplica(t *testing.T) {
	t.Parallel()
	var lock *os.File // without which nobody takes the lease
	s := newSource(t, func(target Target, path string) {
		if err := (owned{Owner: "me", Replica: target.String(), Generation: 2}).write(path); err != nil {
			t.Fatal(err)
		}
		l := newLease(directory(target.directory), Holder{Owner: "me"}, DefaultTerm, false)
		if err := l.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.seen.Generations = []Generation{{Number: 1}, {Number: 2}}
		if err := l.write(t.Context(), l.seen); err != nil {
			t.Fatal(err)
		}
		var err error
		if lock, err = os.OpenFile(filepath.Join(target.directory, leaseName+".lock"), os.O_RDWR, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	})
	if s.replica.lease.mine() {
		t.Fatal("it is not away")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	for s.replica.Sync(t.Context()) != nil { // each time it is asked once
	}
	newest := s.write()
	if err := s.stopTidying().keep(t.Context(), time.Now(), newest); err != nil {
		t.Fatal(err)
	}
	if have := s.levels(); have[0] == 0 || have[1] != 1 || have[snapshots] != 1 {
		t.Errorf("%v files", have)
	}
	if entries, err := filepath.Glob(filepath.Join(s.place, "g1", "*")); err != nil || len(entries) > 0 {
		t.Errorf("%v are in another generation, %v", entries, err)
	}
}

// TestWhatComesTooLate to a replica that another has gone on from changes nothing of where
// that was, nor keeps it from going on.
func TestWhatComesTooLate(t *testing.T) {
	t.Parallel()
	const before = 20
	for name, c := range map[string]struct {
		source  Source
		mine    uint64
		refused bool
		from    Position
		commit  int64
	}{
		"while it is restored":        {Source{Restored: Position{1, 2}, Before: before, Fresh: true}, 0, false, Position{1, 2}, before},
		"and it was restored earlier": {Source{Restored: Position{1, 2}, Before: before}, 0, true, Position{}, 0},
		"after it has gone on":        {Source{Restored: Position{1, 2}, Before: before}, 2, false, Position{1, 2}, before},
	} {
		r := begun(t, c.mine, Generation{Number: 1}, Generation{Number: 2}, Generation{Number: 3})
		r.hold(t, 1, first, second, "0000000000000003")
		r.source = c.source
		r.source.Committed = func() int64 { return before + 1<<32 }
		err := r.enter(t.Context())
		if c.refused != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if g := r.lease.seen.last(); g.From != c.from || g.Commit != c.commit {
			t.Errorf("%s: it goes on from %v, %d", name, g.From, g.Commit)
		}
	}
}

// TestThoseWhoWaitShareASync, at most 20 a second.
func TestThoseWhoWaitShareASync(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	s.write()
	before, began := s.levels(), time.Now()
	var waiting sync.WaitGroup
	const clients, each = 40, 3
	for range clients {
		waiting.Go(func() {
			for range each {
				if _, err := s.db.ExecContext(t.Context(), `INSERT INTO t VALUES (1)`); err != nil {
					t.Error(err)
				}
				s.committed.Add(1)
				if err := s.replica.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	waiting.Wait()
	stored, most := s.levels()[0]-before[0], int(time.Since(began)/syncPause)+1
	t.Logf("%d waited, for %d files", clients*each, stored)
	if stored < 1 || stored > most {
		t.Errorf("%d files, want %d at most", stored, most)
	}
}
