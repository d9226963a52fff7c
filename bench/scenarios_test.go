package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

const together = 8 // scenarios at once: most of their time they wait

// small are all scenarios, done in moments.
func small() []scenario {
	return []scenario{
		creates{Messages: 700, InFlight: 20, Users: 5, Meetings: 3},
		creates{Messages: 100, InFlight: 20, Users: 5, Meetings: 3, Key: true},
		lone{Messages: 50},
		fanout{Streams: 6, Rate: 100, Duration: 200 * time.Millisecond},
		reads{Callers: 4, Writes: 50, Duration: 200 * time.Millisecond, Users: 3, Meetings: 2},
		reads{Callers: 4, Rate: 200, Writes: 50, Duration: 200 * time.Millisecond, Users: 3, Meetings: 2},
		idle{Streams: 60, Hold: 100 * time.Millisecond},
		meetings{few},
		live{few},
		spoken,
		meetings{busy{Meetings: 2, Rate: 20, Duration: 200 * time.Millisecond, Chunks: 200, Users: 5}},
		crowdedRoom,
		returningFew,
		returning{Streams: 40, Meetings: 5, Rate: 100, Eager: true},
		stormOfFew,
		someLeave,
		oneStuck,
		visitors,
		someHere,
		someWrite,
	}
}

var (
	spoken       = transcript{Meetings: 3, Rate: 100, Batch: 10, Streams: 2, Duration: 300 * time.Millisecond, Users: 4}
	returningFew = returning{Streams: 40, Meetings: 5, Rate: 100}
	visitors     = churn{Rate: 150, Duration: 700 * time.Millisecond, Hold: time.Second, Posts: 500}
	oneStuck     = slow{Streams: 3, Stuck: 2, Rate: 500, Size: 4000, Before: 100 * time.Millisecond, Duration: 8 * time.Second}
	someHere     = presence{People: 6, Meetings: 2, Every: 200 * time.Millisecond, Cursor: true, Duration: 3 * time.Second}
	someWrite    = notes{Editors: 6, Rate: 50, Duration: 500 * time.Millisecond}
	someLeave    = revoke{Streams: 10, Each: 2, Rate: 100, Duration: 400 * time.Millisecond}
	stormOfFew   = storm{Streams: 40, Meetings: 5, Rate: 100, Times: 2}
)

var crowdedRoom = participants{People: 4, Each: 3, Commits: 4, Rate: 50}

// few are meetings in which everything goes on.
var few = busy{Meetings: 4, Rate: 20, Duration: 300 * time.Millisecond, Gets: 100, Writes: 50, Users: 5}

func TestScenariosAreCleanAgainstAFaultlessServer(t *testing.T) {
	all := small()
	each(together, len(all), func(_, i int) { clean(t, all[i]) })
}

func clean(t *testing.T, s scenario) {
	t.Helper()
	res, err := s.measure(t.Context(), newFake(t, ""))
	if err != nil {
		t.Errorf("%s: %v", s.name(), err)
	}
	if len(res.Faults) > 0 {
		t.Errorf("%s: faults %q", s.name(), res.Faults)
	}
	if len(res.Figures) == 0 || res.Figures[0].Value <= 0 {
		t.Errorf("%s: figures %v", s.name(), res.Figures)
	}
}

func TestScenariosFindFlaws(t *testing.T) {
	posts := creates{Messages: 100, InFlight: 5, Users: 2, Meetings: 2}
	shortly := oneStuck
	shortly.Duration = 3 * time.Second
	fan := fanout{Streams: 3, Rate: 200, Duration: 100 * time.Millisecond}
	all := []struct {
		flaw, want string
		s          scenario
	}{
		{"lose", "lost", posts},
		{"double", "doubled", posts},
		{"refuse", "14 posts failed, the first: status 429 rate_limited: Too many", posts},
		{"lose", "lost", lone{Messages: 20}},
		{"double on streams", "deliveries on 3 of 3 streams: 9 doubled, 9 out of order", fan},
		{"end", "3 streams ended early, the first: stream ended", fan},
		{"lose on streams", "lost", meetings{few}},
		{"double on streams", "doubled", meetings{few}},
		{"swap on streams", "out of order", meetings{few}},
		{"lose", "lost", meetings{few}},
		{"stale", "streams do not end on the answer of a GET", meetings{few}},
		{"end", "20 streams ended early", meetings{few}},
		{"lose on streams", "lost", live{few}},
		{"lose", "/transcripts: ", spoken},
		{"double on streams", "doubled", spoken},
		{"swap on streams", "out of order", spoken},
		{"double on streams", "doubled", live{few}},
		{"swap on streams", "out of order", live{few}},
		{"stale", "streams do not end on the answer of a GET", live{few}},
		{"stale", "48 of 48 snapshots did not come", crowdedRoom},
		{"stale", "12 of 12 streams do not end on the answer of a GET", crowdedRoom},
		{"skip on resume", "lost", returningFew},
		{"repeat on resume", "doubled", returningFew},
		{"forget", "40 streams were not resumed", returningFew},
		{"no retry", "0 of 40 streams were told of the shutdown", returningFew},
		{"lose on streams", "lost", returningFew},
		{"skip on resume", "lost", stormOfFew},
		{"repeat on resume", "doubled", stormOfFew},
		{"swap on streams", "out of order", stormOfFew},
		{"forget", "40 streams were not resumed", stormOfFew},
		{"deaf", "10 streams went on after their reader had left", someLeave},
		{"deaf", "items came that were posted after their reader had left", someLeave},
		{"leak", "10 items came that were posted after their reader had left", someLeave},
		{"lose on streams", "lost", someLeave},
		{"end", "10 ends, which should say forbidden, failed", someLeave},
		{"patient", "2 of 2 streams that are never read were not ended", shortly},
		{"lose on streams", "lost", oneStuck},
		{"lose on streams", "lost", visitors},
		{"double on streams", "doubled", visitors},
		{"end", "visits failed, the first: stream ended", visitors},
		{"end", "8 streams ended early", live{few}},
		{"hasty", "6 streams were told more often than once a second", someHere},
		{"shy", "6 streams do not show everybody who is here", presence{People: 6, Meetings: 2, Every: time.Second, Duration: time.Second}},
		{"stale", "6 streams do not end on the answer of a GET", someHere},
		{"end", "6 streams of presence failed", someHere},
		{"lose on streams", "streams of edits failed", someWrite},
		{"double on streams", "streams of edits failed", someWrite},
		{"swap on streams", "streams of edits failed", someWrite},
		{"end", "6 streams of edits failed", someWrite},
		{"shift", "streams of edits failed", someWrite},
		{"stale", "6 editors have another text than a GET answers", someWrite},
		{"end", "idle streams failed", idle{Streams: 5, Hold: 100 * time.Millisecond}},
	}
	each(together, len(all), func(_, i int) {
		c := all[i]
		res, err := c.s.measure(t.Context(), newFake(t, c.flaw))
		if err != nil {
			t.Errorf("%s with flaw %q: %v", c.s.name(), c.flaw, err)
		}
		if !strings.Contains(strings.Join(res.Faults, "\n"), c.want) {
			t.Errorf("%s with flaw %q: faults %q", c.s.name(), c.flaw, res.Faults)
		}
	})
}

// The fake is in this process, whose descriptors are looked at: nothing else may go on.
func TestDescriptorsLeftAreFound(t *testing.T) {
	few := churn{Rate: 150, Duration: 300 * time.Millisecond, Hold: 100 * time.Millisecond, Posts: 10}
	for flaw, met := range map[string]bool{"": true, "hoard": false} {
		target := newFake(t, flaw)
		target.pid = os.Getpid()
		res, err := few.measure(t.Context(), target)
		leak := strings.Contains(strings.Join(res.Faults, "\n"), "descriptors are left of 45 connections")
		if err != nil || leak == met {
			t.Errorf("flaw %q: %v, faults %q", flaw, err, res.Faults)
		}
		for _, f := range res.Figures {
			if f.Name == "descriptors left" && *f.Met != met {
				t.Errorf("flaw %q: %v descriptors left", flaw, f.Value)
			}
		}
	}
}

func TestWhatAServerDoesNotOfferIsNoted(t *testing.T) {
	for _, c := range []struct {
		s    scenario
		note string
	}{
		{fanout{Streams: 3, Rate: 100, Duration: 100 * time.Millisecond}, "/v1/admin/streams is not offered"},
		{meetings{few}, "/state is not offered"},
		{live{few}, "/v1/live is not offered"},
		{returningFew, "needs one of its own"},
	} {
		old := newFake(t, "old")
		old.power = nil
		res, err := c.s.measure(t.Context(), old)
		if err != nil || len(res.Faults) > 0 || !strings.Contains(strings.Join(res.Notes, "\n"), c.note) {
			t.Errorf("%s: %v, notes %q, faults %q", c.s.name(), err, res.Notes, res.Faults)
		}
	}
	talking := few
	talking.Chunks = 100
	if _, err := (meetings{talking}).measure(t.Context(), newFake(t, "old")); err == nil || !strings.Contains(err.Error(), "leave --chunks out") {
		t.Errorf("chunks: %v", err)
	}
}

func TestCancelledScenarioEndsAtOnce(t *testing.T) {
	why := errors.New("enough")
	long := few
	long.Duration = time.Minute
	for _, s := range []scenario{
		creates{Messages: 200_000, InFlight: 20, Users: 5, Meetings: 3},
		fanout{Streams: 6, Rate: 10, Duration: time.Minute},
		reads{Callers: 4, Writes: 50, Duration: time.Minute, Users: 3, Meetings: 2},
		idle{Streams: 60, Hold: time.Minute},
		meetings{long},
		live{long},
		participants{People: 4, Each: 3, Commits: 1000, Rate: 1},
		revoke{Streams: 10, Each: 2, Rate: 100, Duration: time.Minute},
		slow{Streams: 3, Stuck: 2, Rate: 5, Size: 10, Before: time.Minute, Duration: time.Minute},
		slow{Streams: 3, Stuck: 2, Rate: 5, Size: 10, Before: time.Millisecond, Duration: time.Minute},
		storm{Streams: 40, Meetings: 5, Rate: 100, Times: 20},
		returningFew,
		churn{Rate: 100, Duration: time.Minute, Hold: time.Minute, Posts: 10},
		presence{People: 6, Meetings: 2, Every: time.Second, Duration: time.Minute},
		notes{Editors: 6, Rate: 1, Duration: time.Minute},
	} {
		target := newFake(t, "")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, why)
		began := time.Now()
		if _, err := s.measure(ctx, target); !errors.Is(err, why) {
			t.Errorf("%s: %v", s.name(), err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s took %v to end", s.name(), took)
		}
		cancel()
	}
}

func TestRunReportsAndFailsOnFaults(t *testing.T) {
	file := t.TempDir() + "/out.json"
	var out, progress strings.Builder
	args := []string{"--url", "http://" + newFake(t, "").addr, "--json", file, "lone", "-n", "5"}
	if err := run(args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"answer p50", "< 2", "met"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	raw := readFile(t, file)
	for _, want := range []string{`"scenario": "lone"`, `"target": "\u003c 2"`, `"cores"`, `"command"`} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %s in\n%s", want, raw)
		}
	}
	args = []string{"--url", "http://" + newFake(t, "lose").addr, "lone", "-n", "20"}
	if err := run(args, &out, &progress); err == nil || !strings.Contains(err.Error(), "fault") {
		t.Errorf("with faults: %v", err)
	}
}

func TestRunRefusesBadOptions(t *testing.T) {
	for _, args := range [][]string{
		{"creates", "-n", "0"},
		{"creates", "--users", "101"},
		{"fanout", "--rate", "NaN"},
		{"fanout", "-s", "10000", "-r", "1000", "-d", "600s"},
		{"--pid", "1", "lone"},
		{"--url", "https://example.com", "lone"},
		{"nothing"},
	} {
		var out strings.Builder
		if err := run(args, &out, &out); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
