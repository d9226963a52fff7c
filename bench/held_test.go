package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestFiguresToHoldAreGathered(t *testing.T) {
	var first, second result
	first.Scenario, second.Scenario = "one", "two"
	first.add("p95", 20, "ms", below(25).of(sloQuery))
	first.add("aside", 1, "", below(2))
	second.add("p99", 70, "ms", below(60).of(sloQuery))
	second.add("RSS", 40, "KB", atMost(48).of(sloIdle))
	second.note("nothing of %d", 7)
	var out strings.Builder
	if err := (report{Results: []result{first, second}}).print(&out); err != nil {
		t.Fatal(err)
	}
	_, held, _ := strings.Cut(out.String(), "FIGURE TO HOLD")
	var lines []string
	for line := range strings.Lines(held) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"SCENARIO MEASURED VALUE TARGET",
		sloQuery + " one p95 20.0 ms < 25 met",
		sloQuery + " two p99 70.0 ms < 60 MISSED",
		sloIdle + " two RSS 40.0 KB ≤ 48 met",
		"NOTE on two: nothing of 7",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	out.Reset()
	if err := (report{Results: []result{{Scenario: "one"}}}).print(&out); err != nil || strings.Contains(out.String(), "HOLD") {
		t.Errorf("%v, without figures to hold:\n%s", err, out.String())
	}
}

func TestEveryScenarioHasItsCommand(t *testing.T) {
	var o options
	for _, s := range o.All.scenarios() {
		command, _, _ := strings.Cut(s.name(), " ")
		chosen := o.chosen(command)
		if len(chosen) != 1 || !strings.HasPrefix(chosen[0].name(), command) {
			t.Errorf("%s is no command", command)
		}
		if v, ok := s.(interface{ Validate() error }); !ok || v.Validate() != nil {
			t.Errorf("%s in all is out of its bounds", s.name())
		}
	}
}

func TestQueuesOfAPort(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0100007F:1F90 0100007F:C000 01 0000ABCD:00000000 00:00000000 00000000
   2: 0100007F:1F90 0100007F:C001 04 00000001:00000000 00:00000000 00000000
   3: 0100007F:C000 0100007F:1F90 01 00000000:00001234 00:00000000 00000000
`
	if got := queuesOf(table, "8080"); !maps.Equal(got, map[string]string{"C000": "0000ABCD"}) {
		t.Errorf("%v", got)
	}
}

func TestLivePath(t *testing.T) {
	const want = "/v1/live?q=%2Fv1%2Fme&q=%2Fv1%2Fmeetings%2Fx%2Fmessages%3Fafter%3D0"
	if got := livePath([]string{"/v1/me", "/v1/meetings/x/messages?after=0"}); got != want {
		t.Error(got)
	}
}
