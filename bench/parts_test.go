package main

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentiles(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	if got, want := summarize(hundred), (summary{100, 50, 95, 99, 100}); got != want {
		t.Errorf("1 to 100: %+v", got)
	}
	if got, want := summarize([]time.Duration{7}), (summary{1, 7, 7, 7, 7}); got != want {
		t.Errorf("one: %+v", got)
	}
	if got := summarize(nil); got != (summary{}) {
		t.Errorf("none: %+v", got)
	}
}

func TestSamplesAreBoundedAndKeepTheWorst(t *testing.T) {
	s := samples{limit: 100}
	s.add(time.Hour)
	for i := range 10_000 {
		s.add(time.Duration(i))
	}
	sum := merge([]samples{s, {}})
	if len(s.kept) != 100 || sum.count != 10_001 || sum.worst != time.Hour {
		t.Errorf("%d kept, %+v", len(s.kept), sum)
	}
	if sum.p50 < 2_000 || sum.p50 > 8_000 {
		t.Errorf("the median of 0 to 9999 is %d", sum.p50)
	}
}

func TestCompare(t *testing.T) {
	want := []item{{0, 10, "a"}, {2, 20, "c"}, {1, 30, "b"}}
	for name, c := range map[string]struct {
		got  []item
		want tally
	}{
		"exact":           {want, tally{}},
		"with a doubtful": {append(slices.Clone(want), item{3, 40, "d"}), tally{}},
		"nothing":         {nil, tally{lost: 3}},
		"one lost":        {want[1:], tally{lost: 1}},
		"resent":          {append(slices.Clone(want), want[2]), tally{doubled: 1, disordered: 1}},
		"stored twice":    {append(slices.Clone(want), item{1, 40, "x"}), tally{doubled: 1, changed: 1}},
		"three times":     {append(slices.Clone(want), item{3, 40, "d"}, item{3, 50, "e"}, item{3, 60, "f"}), tally{doubled: 1}},
		"swapped":         {[]item{want[0], want[2], want[1]}, tally{disordered: 1}},
		"moved":           {[]item{{0, 11, "a"}, want[1], want[2]}, tally{changed: 1}},
		"foreign":         {append(slices.Clone(want), item{-1, 40, "y"}), tally{strange: 1}},
		"another thing":   {[]item{want[0], {aside, 15, ""}, want[1], want[2]}, tally{}},
		"no place":        {[]item{{0, 11, "a"}, {2, 21, "c"}, {1, 31, "b"}}, tally{changed: 3}},
		"never sent":      {append(slices.Clone(want), item{4, 40, "y"}), tally{strange: 1}},
	} {
		if got := compare(5, want, []int{3}, c.got); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add("bench run 7 100")
	f.Add("bench run 7")
	m := mark{run: "run"}
	f.Fuzz(func(t *testing.T, content string) {
		n, sent := m.parse(content)
		if n < 0 {
			return
		}
		again := strings.TrimSuffix(strings.TrimPrefix(string(m.body(nil, n, sent, 0)), `{"content":"`), `"}`)
		if n2, sent2 := m.parse(again); n2 != n || sent2 != sent {
			t.Errorf("%q is %d %d, then %d %d", content, n, sent, n2, sent2)
		}
	})
}

func TestPaceLeavesNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		done := make([]time.Duration, 20)
		pace(t.Context(), 20, 10, 2, func(_, n int) {
			done[n] = time.Since(began)
			if n == 5 {
				time.Sleep(time.Second)
			}
		})
		for n, at := range done {
			if at != time.Duration(n)*100*time.Millisecond {
				t.Errorf("%d was done at %v", n, at)
			}
		}
	})
}

func TestFeedsOfPlacesThatAreNotPromised(t *testing.T) {
	promised := unplaced([]item{{0, 10, "a"}, {1, 20, "b"}})
	if got := compare(2, promised, nil, []item{{0, 11, "a"}, {aside, 12, ""}, {1, 21, "b"}}); got != (tally{}) {
		t.Errorf("events: %+v", got)
	}
	if got := compare(2, promised, nil, []item{{1, 11, "b"}, {aside, 11, ""}, {0, 21, "x"}}); got != (tally{disordered: 1, changed: 1}) {
		t.Errorf("events: %+v", got)
	}
}

func TestProcFiles(t *testing.T) {
	stat := "1234 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100"
	if d, err := parseStat([]byte(stat)); err != nil || d != 3*time.Second {
		t.Errorf("%v %v", d, err)
	}
	if _, err := parseStat([]byte("1 (x) S 1")); err == nil {
		t.Error("a short stat was accepted")
	}
	if n, err := parseResident("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"); err != nil || n != 2<<20 {
		t.Errorf("%v %v", n, err)
	}
	if _, err := parseResident("Name:\tx\n"); err == nil {
		t.Error("a status without VmRSS was accepted")
	}
	if d, err := parseBusy([]byte("cpu  100 20 30 4000 500 6 7 37 0 0\ncpu0 1 2\n")); err != nil || d != 2*time.Second {
		t.Errorf("%v %v", d, err)
	}
	if _, err := parseBusy([]byte("cpu 1 2\n")); err == nil {
		t.Error("a short stat was accepted")
	}
	if got := parseModel("processor\t: 0\nmodel name\t: Some CPU: 2\n"); got != "Some CPU: 2" {
		t.Errorf("%q", got)
	}
	mounts := "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tm xfs rw 0 0\n"
	if got := parseMounts(mounts, "/tmp/x"); got != "tmpfs" {
		t.Errorf("%q", got)
	}
}
