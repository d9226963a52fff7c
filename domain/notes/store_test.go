package notes_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/notes"
	"connvo/domain/users"
)

// desk is a meeting that has started, with its host at its notes.
type desk struct {
	t     testing.TB
	db    *db.DB
	notes *notes.Store
	meets *meetings.Store
	host  domain.Actor
	id    domain.MeetingID
	ahead time.Duration // of the clock
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	k := &desk{t: t}
	d, happened := dbtest.Open(t, func(o *db.Options) {
		o.Now = func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(k.ahead) }
	}), events.NewLog(nil)
	k.db, k.notes, k.meets = d, notes.NewStore(d, happened), meetings.NewStore(d, happened, "loc")
	k.host = k.person("ada")
	m, err := k.meets.Create(context.Background(), k.host, meetings.Draft{Title: "T"})
	k.must(err)
	k.id = m.ID
	_, err = k.meets.Start(context.Background(), k.host, k.id)
	k.must(err)
	return k
}

func (k *desk) person(name string) domain.Actor {
	k.t.Helper()
	account, err := users.NewStore(k.db).SignIn(context.Background(), users.Identity{Subject: name, Email: name + "@example.com", At: k.db.Now()})
	k.must(err)
	return domain.Actor{User: account.User}
}

func (k *desk) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// submit sends edits of the host.
func (k *desk) submit(client string, base, first int64, deltas ...notes.Delta) (notes.Accepted, error) {
	edits := make([]notes.Edit, len(deltas))
	for i, d := range deltas {
		edits[i] = notes.Edit{Seq: first + int64(i), Delta: d}
	}
	return k.notes.Submit(context.Background(), k.host, k.id, notes.Submission{Client: client, Base: base, Edits: edits})
}

func (k *desk) accepted(client string, base, first int64, deltas ...notes.Delta) notes.Accepted {
	k.t.Helper()
	a, err := k.submit(client, base, first, deltas...)
	k.must(err)
	return a
}

func (k *desk) get() notes.Note {
	k.t.Helper()
	n, err := k.notes.Get(context.Background(), k.host, k.id)
	k.must(err)
	return n
}

func (k *desk) since(after int64, limit int) []notes.Logged {
	k.t.Helper()
	part, err := k.notes.Feed(context.Background(), k.host, k.id, domain.Span{After: &after, Limit: limit})
	k.must(err)
	return part.Items
}

// member returns a member of the problem, or -1.
func member(err error, name string) int64 {
	if e, found := errors.AsType[*domain.Error](err); found {
		if n, found := e.Members[name]; found {
			return n
		}
	}
	return -1
}

// insert is an edit that puts text behind n units.
func insert(n int, text string) notes.Delta {
	return notes.Delta{notes.Retain(n), notes.Insert(text)}.Normalize()
}

func (k *desk) at(version int64) (notes.Note, error) {
	return k.notes.At(context.Background(), k.host, k.id, version)
}

// Every version is what the edits up to it make, whether it is near a snapshot or
// not, for a Store that has the text in memory and for one that has just started.
func TestEveryVersionIsWhatItsEditsMake(t *testing.T) {
	k := newDesk(t)
	rng, want, texts := rand.New(rand.NewPCG(1, 1)), "", map[int64]string{}
	base, seq := int64(0), int64(1)
	for range 40 {
		var deltas []notes.Delta
		for range 1 + rng.IntN(60) {
			d := anyEdit(rng.IntN, want).Normalize()
			if len(d) == 0 || len(want) > 3_000 {
				d = notes.Between(want, "fresh")
			}
			want = apply(t, want, d)
			deltas = append(deltas, d)
		}
		a := k.accepted("one", base, seq, deltas...)
		base, seq = a.Version, seq+int64(len(deltas))
		texts[base] = want
		if rng.IntN(5) == 0 {
			k.notes = notes.NewStore(k.db, events.NewLog(nil))
		}
		if n := k.get(); n.Content != want || n.Version != base || n.UpdatedBy != k.host.User {
			t.Fatalf("%+v, want %q", n, want)
		}
	}
	for version, want := range texts {
		if n, err := k.at(version); err != nil || n.Content != want || n.Version != version {
			t.Errorf("%+v %v, want %q", n, err, want)
		}
	}
	if k.number(`SELECT count(*) FROM note_snapshots`) < 5 {
		t.Error("no snapshots")
	}
	for _, version := range []int64{1, base + 1} {
		if _, err := k.at(version); domain.KindOf(err) != domain.NotFound {
			t.Errorf("%d: %v", version, err)
		}
	}
}

func (k *desk) number(query string, args ...any) (n int64) {
	k.t.Helper()
	k.must(k.db.Read(context.Background(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	}))
	return n
}

// A write that is undone after it has changed the text in memory leaves nothing of
// it: the next one begins from what is stored, under the same number or another.
func TestUndoneEditLeavesNoText(t *testing.T) {
	k := newDesk(t)
	a := k.accepted("one", 0, 1, insert(0, "a"))
	undone := errors.New("undone")
	for range 3 {
		err := k.db.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := k.notes.Submit(db.Join(t.Context(), tx), k.host, k.id, notes.Submission{Client: "one", Base: a.Version, Edits: []notes.Edit{{Seq: 2, Delta: insert(0, "lost")}}})
			return errors.Join(err, undone)
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
	}
	a = k.accepted("one", a.Version, 2, insert(1, "b"))
	var deltas []notes.Delta
	for range 70 {
		deltas = append(deltas, insert(0, "x"), notes.Delta{notes.Delete(1)})
	}
	k.accepted("more", a.Version, 1, deltas...)
	if n := k.get(); n.Content != "ab" || k.number(`SELECT count(*) FROM note_snapshots`) != 1 {
		t.Errorf("%q", n.Content)
	}
	// Refused after the first of its edits was applied.
	if _, err := k.submit("one", a.Version, 3, insert(0, "😀"), notes.Delta{notes.Retain(1), notes.Delete(1)}); domain.KindOf(err) != domain.Invalid {
		t.Error(err)
	}
	k.accepted("one", a.Version, 3, insert(2, "c"))
	k.accepted("two", 0, 1, insert(0, "d"))
	if n := k.get(); n.Content != "abcd" {
		t.Errorf("%q", n.Content)
	}
}

// Ten thousand edits made offline, sent from one base in twenty requests while
// another writes; who is further behind is told up to where to read.
func TestOfflineQueueIsSentFromOneBase(t *testing.T) {
	k := newDesk(t)
	const offline = 10_000
	base := k.accepted("other", 0, 1, insert(0, "end")).Version
	for seq := int64(1); seq <= offline; seq += notes.MaxEdits {
		var deltas []notes.Delta
		for i := range int64(notes.MaxEdits) {
			deltas = append(deltas, insert(int(seq+i-1), "x"))
		}
		k.accepted("queue", base, seq, deltas...)
		k.accepted("other", base, seq/notes.MaxEdits+2, insert(3+int(seq/notes.MaxEdits), "!"))
	}
	if n := k.get(); n.Content != strings.Repeat("x", offline)+"end"+strings.Repeat("!", 20) {
		t.Errorf("%d bytes: %s", len(n.Content), n.Content[offline:])
	}
	answers := k.accepted("queue", base, 1, insert(0, "x"), insert(1, "x"))
	if first, err := k.at(answers.Edits[1].Version); err != nil || first.Content != "xxend" {
		t.Errorf("%+v %v", first, err)
	}
	for seq := int64(offline + 1); seq <= offline+2_500; seq += notes.MaxEdits {
		var deltas []notes.Delta
		for i := range int64(notes.MaxEdits) {
			deltas = append(deltas, insert(int(seq+i-1), "x"))
		}
		a, err := k.submit("queue", base, seq, deltas...)
		if err == nil {
			continue
		}
		if got := member(err, "version"); got != k.get().Version || a.Version != 0 || seq < offline+1_000 {
			t.Fatalf("%d: %v, %d", seq, err, got)
		}
		return
	}
	t.Error("nobody was told to read")
}

// Who has read everything goes on, however much others have written since its last
// edit; who has not is told to read, and then goes on.
func TestWhoHasReadEverythingIsNotBehind(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	first := k.accepted("idle", 0, 1, insert(0, "a"))
	k.accepted("late", first.Version, 1, insert(1, "b"))
	var deltas []notes.Delta
	for range 220 { // 4 MiB
		deltas = append(deltas, insert(0, strings.Repeat("x", notes.MaxInsert)), notes.Delta{notes.Delete(notes.MaxInsert)})
	}
	last := k.accepted("other", first.Version, 1, deltas...)
	if _, err := k.submit("late", first.Version, 2, insert(2, "!")); member(err, "version") != last.Version {
		t.Errorf("with an own edit that it has not read: %v", err)
	}
	k.accepted("late", last.Version, 2, insert(2, "c"))
	k.accepted("idle", last.Version, 2, insert(2, "d"))
	k.accepted("idle", last.Version, 3, insert(3, "e"))
	if n := k.get(); n.Content != "abcde" {
		t.Errorf("%q", n.Content)
	}
}

// What is kept in memory changes nothing: a Store that has it and one that has just
// started answer the same, to clients that are behind, to what cannot be applied, and
// over rollbacks.
func TestWhatIsKeptInMemoryChangesNothing(t *testing.T) {
	t.Parallel()
	warm, cold := newDesk(t), newDesk(t)
	type client struct {
		id   string
		base int // of versions
		text string
		seq  int64
	}
	type pair struct{ warm, cold int64 }
	rng, versions, clients := rand.New(rand.NewPCG(2, 2)), []pair{{}}, []*client{}
	for step := range 600 {
		cold.notes = notes.NewStore(cold.db, events.NewLog(nil))
		if step%50 == 49 {
			to := versions[rng.IntN(len(versions))]
			a, err := warm.notes.Rollback(t.Context(), warm.host, warm.id, to.warm)
			b, err2 := cold.notes.Rollback(t.Context(), cold.host, cold.id, to.cold)
			if err != nil || err2 != nil || a.Content != b.Content {
				t.Fatalf("step %d: %+v %v, %+v %v", step, a, err, b, err2)
			}
			versions = append(versions, pair{a.Version, b.Version})
		}
		if len(clients) == 0 || rng.IntN(3) == 0 {
			base := max(0, len(versions)-1-rng.IntN(1+rng.IntN(1_000)))
			n, err := warm.at(versions[base].warm)
			if base > 0 {
				warm.must(err)
			}
			clients = append(clients, &client{id: fmt.Sprint("client-", step), base: base, text: n.Content})
		}
		c := clients[max(0, len(clients)-1-rng.IntN(5))]
		base, text, deltas := versions[c.base], c.text, []notes.Delta(nil)
		for range 1 + rng.IntN(3) {
			d := anyEdit(rng.IntN, text).Normalize()
			if len(text) > 3_000 {
				d = notes.Between(text, "fresh")
			}
			text, deltas = apply(t, text, d), append(deltas, d)
		}
		bad := rng.IntN(20) == 0
		if bad {
			deltas = append(deltas, insert(100_000, "x"))
		}
		a, err := warm.submit(c.id, base.warm, c.seq+1, deltas...)
		b, err2 := cold.submit(c.id, base.cold, c.seq+1, deltas...)
		if bad != (err != nil) || bad != (err2 != nil) || len(a.Edits) != len(b.Edits) {
			t.Fatalf("step %d: %v, %v", step, err, err2)
		}
		if bad {
			continue
		}
		for i := range a.Edits {
			if !a.Edits[i].Delta.Equal(b.Edits[i].Delta) {
				t.Fatalf("step %d: %s with, %s without", step, show(a.Edits[i].Delta), show(b.Edits[i].Delta))
			}
			versions = append(versions, pair{a.Edits[i].Version, b.Edits[i].Version})
		}
		c.text, c.seq = text, c.seq+int64(len(deltas))
	}
	if a, b := warm.get(), cold.get(); a.Content != b.Content || a.Content == "" {
		t.Errorf("%q with, %q without", a.Content, b.Content)
	}
}
