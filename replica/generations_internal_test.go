package replica

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// begun is a replica of the generations whose lease is held, with a database file that
// was copied to mine.
func begun(t *testing.T, mine uint64, generations ...Generation) *Replica {
	t.Helper()
	place, path := t.TempDir(), filepath.Join(t.TempDir(), "connvo.db")
	target, err := ParseTarget("file://" + place)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(target, path, slog.New(slog.DiscardHandler), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.owned.Generation = mine
	if err := r.lease.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.lease.seen.Generations = generations
	if err := r.lease.write(t.Context(), r.lease.seen); err != nil {
		t.Fatal(err)
	}
	return r
}

// hold makes files of a generation, which need hold nothing to be counted.
func (r *Replica) hold(t *testing.T, generation uint64, names ...string) {
	t.Helper()
	dir := filepath.Join(r.target.directory, directoryOf(generation), "ltx", "0")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name+"-"+name+".ltx"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	first  = "0000000000000001"
	second = "0000000000000002"
)

// TestFileAndItsReplica fit, or the file was superseded, or it is refused.
func TestFileAndItsReplica(t *testing.T) {
	chain := []Generation{{Number: 1}, {Number: 2, From: Position{1, 2}, Commit: 20}, {Number: 3, From: Position{2, 1}, Commit: 30}, {Number: 4}}
	for _, c := range []struct {
		name     string
		mine     uint64
		held     []uint64 // the generations that hold two transactions
		restored Position
		want     Fit
		refused  string
	}{
		{name: "nothing is held", mine: 0},
		{name: "of no generation", mine: 0, held: []uint64{1}, refused: "it has gone further (transaction 2)"},
		{name: "an old copy", mine: 1, held: []uint64{1}, refused: "it has gone further (transaction 2)"},
		{name: "restored from the newest", restored: Position{3, 2}, held: []uint64{1, 3}, want: Fit{By: Position{3, 2}}},
		{name: "restored from an older one", restored: Position{1, 2}, held: []uint64{1, 3}, refused: "it has gone further"},
		{name: "ours holds nothing yet", mine: 3, held: []uint64{1, 2}, want: Fit{By: Position{2, 2}}},
		{name: "superseded by the next", mine: 1, held: []uint64{1, 2}, want: Fit{Superseded: true, By: Position{2, 2}, Commit: 20, Known: true}},
		{name: "superseded by a later one", mine: 1, held: []uint64{1, 2, 3}, want: Fit{Superseded: true, By: Position{3, 2}, Commit: 20, Known: true}},
		{name: "superseded by one that does not say from where", mine: 2, held: []uint64{1, 2, 4}, want: Fit{Superseded: true, By: Position{4, 2}}},
	} {
		r := begun(t, c.mine, chain...)
		for _, g := range c.held {
			r.hold(t, g, first, second)
		}
		f, err := r.Fit(t.Context(), c.restored)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %s", c.name, err, c.refused)
			}
			continue
		}
		if err != nil || f != c.want {
			t.Errorf("%s: %+v %v, want %+v", c.name, f, err, c.want)
		}
	}
}

// TestGenerationPastItsTimeIsDeleted, file by file, and nothing of others.
func TestGenerationPastItsTimeIsDeleted(t *testing.T) {
	began := time.Now()
	r := begun(t, 2, Generation{Number: 1}, Generation{Number: 2, BeganAt: began, From: Position{1, 2}})
	r.hold(t, 1, first, second)
	r.hold(t, 2, first)
	for _, c := range []struct {
		now  time.Time
		held []uint64 // the newest transaction of each generation that is known
	}{
		{began.Add(snapshotsKept - time.Second), []uint64{2, 1}},
		{began.Add(snapshotsKept), []uint64{0, 1}},
		{began.Add(snapshotsKept), []uint64{1}},
		{began.Add(10 * snapshotsKept), []uint64{1}},
	} {
		if err := r.expire(t.Context(), c.now); err != nil {
			t.Fatal(err)
		}
		all, err := r.generations(t.Context())
		if err != nil || len(all) != len(c.held) {
			t.Fatalf("%v, %v, want %v", all, err, c.held)
		}
		for i, g := range all {
			client, err := r.of(g.Number)
			if err != nil {
				t.Fatal(err)
			}
			if newest, err := r.newestOf(t.Context(), client, 0); err != nil || newest != c.held[i] {
				t.Errorf("generation %d holds up to %d, %v, want %d", g.Number, newest, err, c.held[i])
			}
		}
	}
}

// TestOwnerIsOfOneFile on one machine.
func TestOwnerIsOfOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connvo.db")
	read := func(replica, machine string) owned {
		t.Helper()
		o, err := readOwned(path, replica, machine)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	written := read("file:///a", "m1")
	written.Generation = 7
	if err := written.write(path); err != nil {
		t.Fatal(err)
	}
	if o := read("file:///a", "m1"); o.Owner == written.Owner {
		t.Error("the file is gone, and its owner is not")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := read("file:///a", "m1"); o != written {
		t.Errorf("%+v, want %+v", o, written)
	}
	if o := read("file:///b", "m1"); o.Owner != written.Owner || o.Generation != 0 {
		t.Errorf("to another replica: %+v", o)
	}
	if o := read("file:///a", "m2"); o.Owner == written.Owner || o.Generation != 7 {
		t.Errorf("on another machine: %+v", o)
	}
	if err := os.WriteFile(ownedPath(path), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readOwned(path, "file:///a", "m1"); err == nil {
		t.Error("what cannot be read is passed over")
	}
}

// TestReplicaWithoutItsLease is refused: what of it is the newest cannot be told.
func TestReplicaWithoutItsLease(t *testing.T) {
	r := begun(t, 1, Generation{Number: 1})
	r.hold(t, 1, first)
	if err := r.mark(t.Context(), marker{Database: "one"}); err != nil {
		t.Fatal(err)
	}
	if _, newest, err := r.Held(t.Context()); err != nil || newest != (Position{1, 1}) {
		t.Error(newest, err)
	}
	if err := os.Remove(filepath.Join(r.target.directory, leaseName)); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context) error{
		"held":  func(ctx context.Context) error { _, _, err := r.Held(ctx); return err },
		"whose": func(ctx context.Context) error { return r.Whose(ctx, "one") },
	} {
		if err := ask(t.Context()); err == nil || !strings.Contains(err.Error(), "its lease.json is missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
