package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"connvo/db"
)

var kills = flag.Int("kills", 20, "how often TestKilledServerLosesNothing kills a server")

// The bounds of a round of kills.
const (
	roundWrites = 60 // that are acknowledged at most before the server is killed
	volumeEvery = 5  // rounds until the volume goes with the server
)

// killed writes from several clients at once, some of whom wait for the replica, until
// the server is killed after so many acknowledged writes, and returns what was
// acknowledged to each kind.
func (d *drill) killed(round, after int) (here, replicated []string) {
	var mu sync.Mutex // guards here, replicated
	var clients sync.WaitGroup
	for client := range 6 {
		waits := client%2 == 0
		clients.Go(func() {
			for i := 0; ; i++ {
				title := fmt.Sprintf("%d/%d/%d", round, client, i)
				status, applied := d.plan(title, waits)
				if status != http.StatusCreated {
					return // it is gone
				}
				mu.Lock()
				if applied {
					replicated = append(replicated, title)
				} else {
					here = append(here, title)
				}
				if len(here)+len(replicated) == after {
					_ = d.process.Process.Kill()
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	d.kill()
	return here, replicated
}

// TestKilledServerLosesNothing that it has acknowledged, however often it is killed
// while it is written to; where its volume goes with it, nothing that the replica was
// waited for. No write is there twice.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	d := newDrill(t, newS3(t).url(s3Bucket))
	promised := map[string]bool{}
	d.start("--new")
	for round := range *kills {
		loses := round%volumeEvery == volumeEvery-1
		if loses { // whoever waits for the replica waits for everything before, too
			d.planned(fmt.Sprint(round), true)
			promised[fmt.Sprint(round)] = true
		}
		here, replicated := d.killed(round, 1+rand.IntN(roundWrites))
		if loses {
			d.lose()
			here = nil
		}
		for _, title := range append(here, replicated...) {
			promised[title] = true
		}
		d.start()
		if round%100 == 99 || round == *kills-1 {
			d.keeps(promised)
		}
	}
	d.end()
	found, err := db.Check(t.Context(), d.file(), schema)
	if err != nil || len(found) > 0 {
		t.Error(found, err)
	}
	t.Logf("%d kills, %d writes were promised", *kills, len(promised))
}

// planned is plan, which must succeed.
func (d *drill) planned(title string, replicated bool) {
	d.t.Helper()
	if status, applied := d.plan(title, replicated); status != http.StatusCreated || applied != replicated {
		d.t.Errorf("%s: %d, replicated %t", title, status, applied)
	}
}

// keeps complains of each promised title that is not there, or there more than once.
func (d *drill) keeps(promised map[string]bool) {
	d.t.Helper()
	kept := d.titles()
	for title := range promised {
		if kept[title] != 1 {
			d.t.Errorf("%q was acknowledged and is there %d times", title, kept[title])
		}
	}
}
