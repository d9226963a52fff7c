package notes_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"unicode/utf16"

	"connvo/domain/notes"
)

var (
	seeds    = flag.Int("seeds", 200, "how many simulations of notes to run")
	oneSeed  = flag.Uint64("seed", 0, "the one simulation of notes to run, if not 0")
	editors  = 20
	maxSteps = 2_500
)

// Twenty clients edit one document, each offline at times, over a network that
// delays, reorders, loses and repeats what they send and hear; they crash, and so
// does the server, which also takes revisions back and requests only from bases that
// are not too old. Once all have been heard, all have the same text.
func TestEverySeedConverges(t *testing.T) {
	t.Parallel()
	if *oneSeed != 0 {
		if _, err := simulate(*oneSeed, nil, t.Logf); err != nil {
			t.Fatal(err)
		}
		return
	}
	all := map[string]int{}
	for seed := range uint64(*seeds) {
		counts, err := simulate(seed+1, nil, func(string, ...any) {})
		if err != nil {
			t.Fatalf("go test ./domain/notes -run TestEverySeedConverges -v -seed=%d: %v", seed+1, err)
		}
		for what, n := range counts {
			all[what] += n
		}
	}
	t.Log(all)
	for _, what := range []string{"dropped", "emptied", "crash", "restart", "rollback", notes.ErrBase.Error()} {
		if *seeds >= 100 && all[what] < *seeds {
			t.Errorf("%q has happened %d times in %d simulations", what, all[what], *seeds)
		}
	}
}

type world struct {
	rng     *rand.Rand
	server  *server
	editors []*editor
	flying  []any // requests, answers and parts of the feed, which arrive in any order
	counts  map[string]int
}

// part is what an editor has asked the feed for.
type part struct {
	client    string
	after     int64
	revisions []notes.Revision
}

// simulate returns how often what has happened, with the Store of a desk unless that is
// nil. What panics is an error of its seed.
func simulate(seed uint64, k *desk, logf func(string, ...any)) (counts map[string]int, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v\n%s", v, debug.Stack())
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, server: newServer(func() int64 { return 1 + rng.Int64N(3) }), counts: map[string]int{}}
	w.server.far, w.server.desk = 1+rng.IntN(120), k
	for i := range editors {
		w.editors = append(w.editors, &editor{id: fmt.Sprint("client", i)})
	}
	for range maxSteps {
		if err := w.step(); err != nil {
			return nil, err
		}
		if k != nil && rng.IntN(600) == 0 {
			if err := w.compact(); err != nil {
				return nil, err
			}
		}
	}
	logf("%v, %d in flight, %d revisions", w.counts, len(w.flying), len(w.server.revisions))
	if err := w.settle(); err != nil {
		return nil, err
	}
	for _, e := range w.editors {
		w.counts["dropped"] += e.dropped
	}
	w.counts["emptied"] = w.server.emptied
	logf("settled: %v, %d revisions, %q", w.counts, len(w.server.revisions), w.server.text)
	if k != nil {
		if err := w.server.stored(); err != nil {
			return nil, err
		}
	}
	return w.counts, w.server.check()
}

func (w *world) step() error {
	e := w.editors[w.rng.IntN(len(w.editors))]
	switch n := w.rng.IntN(100); {
	case n < 15:
		return e.edit(w.anyChange(e.text))
	case n < 42 && !e.offline:
		w.send(e)
	case n < 52 && !e.offline:
		w.ask(e)
	case n < 92:
		return w.deliver()
	case n < 95:
		e.offline = w.rng.IntN(4) == 0
	case n < 97:
		w.counts["crash"]++
		e.crash()
	case n < 98:
		e.kept = e.clone()
	case n < 99:
		e.waiting = 0 // it gives up
	case w.rng.IntN(4) == 0 && len(w.server.revisions) > 0:
		w.counts["rollback"]++
		return w.server.rollback(1 + w.rng.IntN(min(5, len(w.server.revisions))))
	case w.rng.IntN(3) == 0:
		w.counts["restart"]++
		w.server.restart()
	}
	return nil
}

// anyChange is mostly what a person does: to type or to delete at one place.
func (w *world) anyChange(text string) notes.Delta {
	if w.rng.IntN(4) == 0 {
		return anyEdit(w.rng.IntN, text)
	}
	letters := []rune(text)
	at := w.rng.IntN(len(letters) + 1)
	d := notes.Delta{notes.Retain(len(utf16.Encode(letters[:at])))}
	if w.rng.IntN(5) > 1 || at == len(letters) {
		return append(d, notes.Insert(anyText(w.rng.IntN, 4)))
	}
	end := at + 1 + w.rng.IntN(min(4, len(letters)-at))
	return append(d, notes.Delete(len(utf16.Encode(letters[at:end]))))
}

func (w *world) send(e *editor) {
	if e.waiting != 0 {
		return
	}
	if r, some := e.request(1+w.rng.IntN(3), w.rng.IntN(3) == 0); some {
		w.fly(r)
	}
}

func (w *world) ask(e *editor) {
	if revisions, known := w.server.since(e.base, 1+w.rng.IntN(20)); known {
		w.fly(part{e.id, e.base, slices.Clone(revisions)})
	}
}

// fly sends something, which arrives once, or not at all, or more often.
func (w *world) fly(message any) {
	switch w.rng.IntN(10) {
	case 0:
		w.counts["lost"]++
	case 1:
		w.counts["doubled"]++
		w.flying = append(w.flying, message)
		fallthrough
	default:
		w.flying = append(w.flying, message)
	}
}

func (w *world) deliver() error {
	if len(w.flying) == 0 {
		return nil
	}
	i := w.rng.IntN(len(w.flying))
	message := w.flying[i]
	w.flying = slices.Delete(w.flying, i, i+1)
	switch m := message.(type) {
	case request:
		a := w.server.submit(m)
		w.counts["request"]++
		if a.err != nil {
			w.counts[a.err.Error()]++
		}
		w.fly(a)
	case answer:
		return w.named(m.client).hear(m)
	case part:
		if e := w.named(m.client); m.after <= e.base { // not from before a crash
			return e.receive(m.revisions)
		}
	}
	return nil
}

func (w *world) named(id string) *editor {
	return w.editors[slices.IndexFunc(w.editors, func(e *editor) bool { return e.id == id })]
}

// settle brings everybody back, until nothing is left to send or to read.
func (w *world) settle() error {
	for len(w.flying) > 0 {
		if err := w.deliver(); err != nil {
			return err
		}
	}
	for range 1_000 {
		settled := true
		for _, e := range w.editors {
			e.waiting = 0
			if revisions, known := w.server.since(e.base, 50); !known {
				return fmt.Errorf("%s is at %d, which is no version", e.id, e.base)
			} else if err := e.receive(revisions); err != nil {
				return err
			}
			if r, some := e.request(50, false); some {
				if err := e.hear(w.server.submit(r)); err != nil {
					return err
				}
			}
			settled = settled && len(e.sent)+len(e.unsent) == 0 && e.base == w.server.version()
		}
		if settled {
			return w.equal()
		}
	}
	return fmt.Errorf("the clients never settle")
}

func (w *world) equal() error {
	for _, e := range w.editors {
		if e.text != w.server.text.String() {
			return fmt.Errorf("%s has %q, the server %q", e.id, e.text, w.server.text)
		}
		if last := w.server.clients[e.id].Seq; last != e.seq {
			return fmt.Errorf("%s has sent %d edits, the server has %d of them", e.id, e.seq, last)
		}
	}
	return nil
}
