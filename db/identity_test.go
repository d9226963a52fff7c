package db_test

import (
	"path/filepath"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

// TestIdentityStaysWithTheFile, and a restored one jumps ahead of every number that
// was ever given out.
func TestIdentityStaysWithTheFile(t *testing.T) {
	o := db.Options{Path: filepath.Join(t.TempDir(), "connvo.db"), Schema: dbtest.Schema(t)}
	open := func() (*db.DB, db.Identity) {
		t.Helper()
		d, err := db.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		i, err := d.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d, i
	}
	d, first := open()
	if first.ID == "" || first.Restored != "" || first.Before != 0 {
		t.Errorf("%+v", first)
	}
	if err := d.MarkRestored(t.Context(), "1/7", 1000); err != nil {
		t.Fatal(err)
	}
	if err := d.MarkRestored(t.Context(), "2/8", 2000); err != nil { // its own is the newer one
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, second := open()
	defer func() { _ = d.Close() }()
	if second.ID != first.ID || second.Restored != "2/8" || second.Before != 1000+1<<32+1 || second.Last != 1000+1<<32+1+1<<32+1 {
		t.Errorf("%+v, and before %+v", second, first)
	}
	for n, known := range map[int64]bool{
		0: true, 1: false, 1000: false, 1000 + 1<<32: false, 1000 + 1<<32 + 1: true, 1000 + 1<<32 + 2: false, second.Last - 1: false, second.Last: true, second.Last + 1: false,
	} {
		if d.Known(n) != known {
			t.Errorf("%d is known: %t", n, !known)
		}
	}
	other, err := dbtest.Open(t).Identity(t.Context())
	if err != nil || other.ID == first.ID {
		t.Errorf("another has the id %s, %v", other.ID, err)
	}
}

// TestGuardRefusesRequestsAlone: jobs may make room.
func TestGuardRefusesRequestsAlone(t *testing.T) {
	d := dbtest.Open(t)
	put := func(tx *db.WriteTx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('key', 'value')`)
		return err
	}
	full := true
	d.Guard(func() error {
		if full {
			return domain.Fail(domain.Unavailable, "full")
		}
		return nil
	})
	before := d.Committed()
	if err := d.Write(t.Context(), put); domain.KindOf(err) != domain.Unavailable || d.Committed() != before {
		t.Errorf("%v, %d after %d", err, d.Committed(), before)
	}
	if err := d.WriteBackground(t.Context(), put); err != nil {
		t.Error(err)
	}
	full = false
	if err := d.Write(t.Context(), put); err != nil {
		t.Error(err)
	}
}
