package notes_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/notes"
)

const day = 24 * time.Hour

// compact does the job that waits for the meeting, if its time has come, and what
// it leaves to others; it returns when the next is due, 0 for never.
func (k *desk) compact() (due int64) {
	k.t.Helper()
	for {
		due = k.number(`SELECT coalesce(min(run_at), 0) FROM jobs WHERE kind = 'notes.compact'`)
		if due == 0 || due > k.db.Now().UnixMilli() {
			return due
		}
		k.must(k.db.Write(context.Background(), func(tx *db.WriteTx) error {
			if _, err := tx.Exec(`DELETE FROM jobs WHERE kind = 'notes.compact'`); err != nil {
				return err
			}
			return notes.Compact(tx, k.id)
		}))
	}
}

func TestOldEditsAreCompacted(t *testing.T) {
	k := newDesk(t)
	var versions []int64
	base, text := int64(0), ""
	for seq := int64(1); seq <= 1_200; seq++ {
		base = k.accepted("one", base, seq, insert(len(text), "x")).Version
		versions, text = append(versions, base), text+"x"
	}
	k.accepted("behind", versions[0], 1, notes.Delta{notes.Delete(1)})
	base, text = k.get().Version, text[1:]
	if due := k.compact(); due != k.db.Now().Add(notes.Lifetime).UnixMilli() {
		t.Fatalf("due at %d", due)
	}
	k.ahead = 60 * day
	k.accepted("behind", versions[0], 2, insert(0, "a"))
	late := k.accepted("two", base, 1, insert(0, "late "))
	k.ahead = notes.Lifetime
	if due := k.compact(); due != k.db.Now().Add(60*day).UnixMilli() {
		t.Errorf("due at %d", due)
	}
	if n := k.number(`SELECT count(*) FROM note_ops`); n != 2 {
		t.Errorf("%d edits are left", n)
	}
	if n := k.get(); n.Content != "late "+text+"a" {
		t.Errorf("%.20q", n.Content)
	}
	if n, err := k.at(base); err != nil || n.Content != text {
		t.Errorf("the last that is compacted: %d bytes, %v", len(n.Content), err)
	}
	if _, err := k.at(versions[0]); domain.KindOf(err) != domain.NotFound {
		t.Errorf("a version that is gone: %v", err)
	}
	for after, want := range map[int64]bool{versions[5]: true, 0: true, base: false} {
		span := domain.Span{After: &after, Limit: 10}
		part, err := k.notes.Feed(t.Context(), k.host, k.id, span)
		if err != nil || span.Truncated(part.Gone) != want {
			t.Errorf("after %d: gone up to %d, %v", after, part.Gone, err)
		}
	}
	// Who comes back from before reads on.
	for name, send := range map[string]func() error{
		"an old base": func() error { _, err := k.submit("one", versions[5], 1_201, insert(0, "y")); return err },
		"no base":     func() error { _, err := k.submit("new", 0, 1, insert(0, "y")); return err },
		"one behind":  func() error { _, err := k.submit("behind", base, 3, insert(0, "y")); return err },
	} {
		if err := send(); domain.KindOf(err) != domain.Conflict || member(err, "version") != late.Version {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What it sent is known, though its answers are not: it is not told of its base,
	// which would say that nothing was applied.
	for _, first := range []int64{1_199, 1_200} {
		_, err := k.submit("one", versions[1_197], first, insert(int(first)-1, "x"), insert(int(first), "x"))
		if domain.KindOf(err) != domain.Conflict || member(err, "expectedClientSeq") != 1_201 || member(err, "version") != -1 {
			t.Errorf("edits that are applied, from %d: %v", first, err)
		}
	}
	if _, err := k.submit("two", 0, 1, insert(0, "late "), insert(0, "w")); member(err, "expectedClientSeq") != 2 || member(err, "version") != -1 {
		t.Errorf("edits of which the first is applied, with no base: %v", err)
	}
	k.accepted("one", base, 1_201, insert(0, "y"))
	k.accepted("one", late.Version, 1_202, insert(0, "z"))
	k.accepted("two", late.Version, 2, insert(0, "w"))
	k.accepted("behind", late.Version, 3, insert(0, "b"))
	if n := k.get(); n.Content != "zwblate y"+text+"a" {
		t.Errorf("%.20q", n.Content)
	}
	// What nobody edits any more ends as a snapshot.
	k.ahead = 3 * notes.Lifetime
	want := k.get()
	if due := k.compact(); due != 0 {
		t.Errorf("due at %d", due)
	}
	if n := k.number(`SELECT count(*) FROM note_ops`); n != 0 || k.get() != want {
		t.Errorf("%d edits are left, %.20q", n, k.get().Content)
	}
	k.accepted("three", want.Version, 1, insert(0, "again "))
	if k.compact() == 0 {
		t.Error("nobody compacts what comes after it")
	}
}

func TestRollbackIsAnEditThatUndoes(t *testing.T) {
	k := newDesk(t)
	first := k.accepted("one", 0, 1, insert(0, "Grüße 😀"))
	second := k.accepted("one", first.Version, 2, notes.Delta{notes.Retain(6), notes.Delete(2), notes.Insert("😁😂")})
	n, err := k.notes.Rollback(t.Context(), k.host, k.id, first.Version)
	k.must(err)
	if n.Content != "Grüße 😀" || n.Version <= second.Version || k.get() != n {
		t.Errorf("%+v, %+v", n, k.get())
	}
	again, err := k.notes.Rollback(t.Context(), k.host, k.id, first.Version)
	if err != nil || again != n {
		t.Errorf("%+v %v", again, err)
	}
	// Who had not seen it: what was written stays.
	k.accepted("one", second.Version, 3, insert(10, "!"))
	if n := k.get(); n.Content != "Grüße 😀!" {
		t.Errorf("%q", n.Content)
	}
	_, err = k.notes.Rollback(t.Context(), k.host, k.id, 0)
	k.must(err)
	if n := k.get(); n.Content != "" {
		t.Errorf("%q", n.Content)
	}
	if _, err := k.notes.Rollback(t.Context(), k.host, k.id, second.Version+1_000); domain.KindOf(err) != domain.Invalid {
		t.Error(err)
	}
	guest := k.person("grace")
	if _, err := k.notes.Rollback(t.Context(), guest, k.id, 0); domain.KindOf(err) != domain.NotFound {
		t.Error(err)
	}
	if n := k.number(`SELECT count(*) FROM events WHERE type = 'notes.rolled_back'`); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestNotesAreForgottenWhole(t *testing.T) {
	k := newDesk(t)
	for client := range 150 {
		k.accepted(fmt.Sprint("c", client), 0, 1, insert(0, "x"))
	}
	_, err := k.meets.End(t.Context(), k.host, k.id)
	k.must(err)
	k.ahead = meetings.Remembered - time.Hour
	k.accepted("late", 0, 1, insert(0, "x"))
	k.ahead = meetings.Remembered
	if _, err := k.submit("late", 0, 2, insert(0, "x")); domain.KindOf(err) != domain.MeetingNotActive {
		t.Error(err)
	}
	if err := k.notes.Lock(t.Context(), k.host, k.id, true); domain.KindOf(err) != domain.MeetingNotActive {
		t.Error(err)
	}
	deleted := int64(0)
	for n := int64(1); n > 0; deleted += n {
		k.must(k.db.Write(t.Context(), func(tx *db.WriteTx) (err error) {
			n, err = notes.Forget(tx, k.id)
			return err
		}))
	}
	for _, table := range []string{`SELECT count(*) FROM notes`, `SELECT count(*) FROM note_ops`, `SELECT count(*) FROM note_snapshots`, `SELECT count(*) FROM note_clients`} {
		if n := k.number(table); n != 0 {
			t.Errorf("%s: %d", table, n)
		}
	}
	if n := k.get(); n != (notes.Note{}) || deleted < 303 {
		t.Errorf("%+v after %d", n, deleted)
	}
}

func TestBetweenMakesOneTextOfAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := anyText(drawn(t), 8), anyText(drawn(t), 8)
		if got := apply(t, from, notes.Between(from, to)); got != to {
			t.Fatalf("%q to %q by %s: %q", from, to, show(notes.Between(from, to)), got)
		}
	})
}

func TestPeoplesEditsAreCountedInPortions(t *testing.T) {
	k := newDesk(t)
	var base int64
	for seq := range int64(10) {
		base = k.accepted("one", base, seq+1, insert(0, "x")).Version
	}
	_, err := k.notes.Rollback(t.Context(), k.host, k.id, 0)
	k.must(err)
	k.must(k.db.Read(t.Context(), func(tx db.Reader) error {
		for _, limit := range []int64{1, 3, 11, 100} {
			total, after, more := int64(0), int64(0), true
			for more {
				edits, last, next, err := notes.Count(tx, k.id, after, base+1_000, limit)
				if err != nil {
					return err
				}
				total, after, more = total+edits, last, next
			}
			if total != 10 {
				t.Errorf("%d in portions of %d", total, limit)
			}
		}
		if edits, _, _, _ := notes.Count(tx, k.id, 0, base-1, 100); edits != 9 {
			t.Errorf("%d before the last", edits)
		}
		return nil
	}))
}
