package clients_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

// writers is so many clients that write one text.
type writers struct {
	seed, many, edits, offline int
	deletes                    bool
}

// write runs them against the server at origin. half is called each time that one
// of them has made half of its edits.
func (w writers) write(t *testing.T, who *person, origin, meeting string, half func()) {
	t.Helper()
	deletes := "no"
	if w.deletes {
		deletes = "yes"
	}
	said := node(t, []string{
		"URL=" + origin, "TOKEN=" + who.Token, "MEETING=" + strings.TrimPrefix(meeting, "/v1/meetings/"), fmt.Sprint("SEED=", w.seed),
		fmt.Sprint("WRITERS=", w.many), fmt.Sprint("EDITS=", w.edits), fmt.Sprint("OFFLINE=", w.offline), "DELETES=" + deletes,
	}, func(line string) {
		if line == "half" {
			half()
		}
	}, "writers.mjs")
	if !strings.Contains(said, "\nequal ") {
		t.Fatalf("seed %d: %s", w.seed, said)
	}
}

var oneSeed = flag.Int("seed", 0, "of what is by chance in the scripts, if not 0; when things come is by chance all the same")

// anySeed differs from run to run, unless it is told; a failure tells how.
func anySeed(t *testing.T) int {
	t.Helper()
	seed := *oneSeed
	if seed == 0 {
		seed = 1 + int(time.Now().UnixNano()%1_000_000)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: go test ./web/clients_test -count=1 -run '^%s$' -seed=%d", strings.ReplaceAll(t.Name(), "/", "$/^"), seed)
		}
	})
	return seed
}

// TestTypeScriptWritersOverCuts cuts all connections again and again, some of them
// within an answer.
func TestTypeScriptWritersOverCuts(t *testing.T) {
	t.Parallel()
	for _, deletes := range []bool{false, true} {
		t.Run(fmt.Sprint("deletes ", deletes), func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			ada, n, cuts := s.signIn("ada"), network(t, s), 0
			writers{seed: anySeed(t), many: 8, edits: 80, deletes: deletes}.write(t, ada, n.URL, ada.plan(), func() {
				if cuts++; cuts%2 == 0 {
					n.cut()
				} else {
					n.cutAfter(`"clientSeq":`)
				}
			})
		})
	}
}

// TestTypeScriptWritersOverKills kills the server while twenty write, of whom one
// comes with 10,000 edits made offline.
func TestTypeScriptWritersOverKills(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, halves := s.signIn("ada"), 0
	writers{seed: anySeed(t), many: 20, edits: 60, offline: 10_000}.write(t, ada, s.URL, ada.plan(), func() {
		if halves++; halves%8 == 1 {
			s.kill()
			s.start()
		}
	})
}

// TestTypeScriptNotes goes through what can happen to one open document.
func TestTypeScriptNotes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	t.Log(node(t, []string{"URL=" + s.URL, "TOKEN=" + ada.Token, "GUEST=" + grace.Token, "GUESTID=" + grace.ID}, nil, "notes.mjs"))
}
