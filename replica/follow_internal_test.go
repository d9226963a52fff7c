package replica

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestFollowerHoldsWhatTheReplicaHolds when it has finished, and asks for nothing that it
// was not told of.
func TestFollowerHoldsWhatTheReplicaHolds(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	s.write()
	output := filepath.Join(t.TempDir(), "followed.db")
	f, err := s.replica.Follow(t.Context(), 1, output)
	if err != nil {
		t.Fatal(err)
	}
	began := s.write()
	for f.gate.applied() == 0 {
		<-f.gate.moved
	}
	if at := f.gate.applied(); at > began {
		t.Errorf("it holds %d of %d", at, began)
	}
	if fi, err := os.Stat(output); err != nil || fi.Mode() != 0o600 {
		t.Errorf("others may read it: %v, %v", fi, err)
	}
	f.Tell(s.write())
	newest := s.write()
	if err := f.Finish(t.Context(), Position{1, newest}); err != nil || !f.Ended() || f.Generation() != 1 {
		t.Fatal(err, f.Ended())
	}
	d, err := sql.Open("sqlite", output)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var have, want string
	for from, sum := range map[*sql.DB]*string{d: &have, s.db: &want} {
		if err := from.QueryRowContext(t.Context(), `SELECT group_concat(x) FROM t`).Scan(sum); err != nil {
			t.Fatal(err)
		}
	}
	if have != want {
		t.Errorf("%s, want %s", have, want)
	}
}

// TestFollowerOfWhatIsNotThere ends, or fails in time.
func TestFollowerOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	newest := s.write()
	f, err := s.replica.Follow(t.Context(), 2, filepath.Join(t.TempDir(), "followed.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(t.Context(), Position{2, newest}); err == nil || !f.Ended() {
		t.Error(err)
	}
	f, err = s.replica.Follow(t.Context(), 1, filepath.Join(t.TempDir(), "followed.db"))
	if err != nil {
		t.Fatal(err)
	}
	for f.gate.applied() == 0 {
		<-f.gate.moved
	}
	none, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Finish(none, Position{1, newest + 1}); !errors.Is(err, context.Canceled) || !f.Ended() {
		t.Error(err)
	}
	if err := f.Finish(t.Context(), Position{2, newest}); !errors.Is(err, errAhead) {
		t.Error(err)
	}
}

// TestServerThatWasStartedWithoutItsReplica goes on where it was, or nowhere.
func TestServerThatWasStartedWithoutItsReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		owner string // of the lease; "" is the server itself
		mine  uint64
		may   bool
	}{
		"its own":              {"", 2, true},
		"of a newer one":       {"", 1, false},
		"another's":            {"another", 2, false},
		"the first, and never": {"another", 0, false},
	} {
		r := begun(t, c.mine, Generation{Number: 1}, Generation{Number: 2})
		if c.owner != "" {
			r.lease.self.Owner = c.owner
			if err := r.lease.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		self := r.lease.self
		if c.owner != "" {
			self.Owner = "the server"
		}
		r.lease = newLease(r.objects, self, DefaultTerm, false)
		err := r.goOn(t.Context())
		taken := errors.Is(r.Check(), ErrTaken)
		if c.may != (err == nil) || taken == c.may || (err != nil && !errors.Is(err, ErrTaken)) {
			t.Errorf("%s: %v, %t", name, err, taken)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	r := begun(t, 0)
	r.lease = newLease(directory(t.TempDir()), r.lease.self, DefaultTerm, false)
	if err := r.goOn(t.Context()); err != nil || r.lease.generation() != 1 {
		t.Error("it may not be the first", err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
