package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHalfWrittenReplicaFile is never passed over for an older state: a restore and a
// start refuse in one line and make no file. What does not need it is restored.
func TestHalfWrittenReplicaFile(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	c := newCopied(t, "file://"+place)
	var moments []uint64
	var want map[string]string
	for i := range 3 {
		c.put("key", fmt.Sprint(i))
		c.sync()
		moments = append(moments, c.replica.Status().Transaction)
		if i == 1 {
			c.close()
			want = sums(t, c.command.DB)
			c.open()
		}
	}
	c.close()
	c.lose()
	newest := filepath.Join(place, "g1", "ltx", "0", fmt.Sprintf("%016x-%016x.ltx", moments[2], moments[2]))
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	for name, half := range map[string][]byte{
		"empty":        {},
		"a header":     whole[:50],
		"half":         whole[:len(whole)/2],
		"no end":       whole[:len(whole)-1],
		"no sum":       whole[:len(whole)-16],
		"another half": append(slices.Clone(whole[:len(whole)/2]), make([]byte, len(whole)-len(whole)/2)...),
	} {
		if err := os.WriteFile(newest, half, 0o600); err != nil {
			t.Fatal(err)
		}
		output := filepath.Join(t.TempDir(), "restored.db")
		r := &restoreCommand{place: c.command.place, DB: c.command.DB, Output: output}
		refused := map[string]error{"restore": r.Run(t.Context(), terminal{out: t.Output(), err: t.Output()})}
		d, _, err := c.command.open(t.Context(), slog.New(slog.DiscardHandler), nil)
		if err == nil {
			t.Fatal(errors.Join(errors.New(name+": it was opened"), d.Close()))
		}
		refused["serve"] = err
		for what, err := range refused {
			want := "replica file://" + place + ": restore: its file 0000/" + filepath.Base(newest) + " is half written, or damaged"
			if len(half) == len(whole) { // which shows when it is read only
				want = "replica file://" + place + ": restore: decode database: "
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		for _, path := range []string{output, c.command.DB} {
			if entries, err := filepath.Glob(path + "*"); err != nil || len(entries) > 0 {
				t.Errorf("%s: there is %v, %v", name, entries, err)
			}
		}
	}
	if err := os.Remove(newest); err != nil { // it was named by nothing else, as if it had never been stored
		t.Fatal(err)
	}
	if err := os.WriteFile(newest+".tmp", whole[:len(whole)/2], 0o600); err != nil { // an upload that was cut off
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "restored.db")
	r := &restoreCommand{place: c.command.place, DB: c.command.DB, TXID: moments[1], Output: output}
	if err := r.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err != nil {
		t.Fatal(err)
	}
	c.same(want, output)
	if _, err := os.Stat(c.command.DB); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
