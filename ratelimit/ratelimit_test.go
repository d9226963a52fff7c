package ratelimit_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a database and limits that can be started again on it.
type fixture struct {
	*testing.T
	path   string
	db     *db.DB
	now    time.Time
	limits *ratelimit.Limits
}

// open returns limits that store only when they are closed.
func open(t *testing.T) *fixture {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "connvo.db"), now: time.UnixMilli(1_700_000_000_000)}
	f.db = dbtest.Open(t, func(o *db.Options) { o.Path = f.path })
	f.start(time.Hour)
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) start(every time.Duration) {
	f.Helper()
	var err error
	f.limits, err = ratelimit.New(f.Context(), ratelimit.Config{
		DB: f.db, Now: func() time.Time { return f.now }, Log: slog.New(slog.DiscardHandler), StoreEvery: every,
	})
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) stop() {
	f.Helper()
	if f.limits == nil {
		return
	}
	if err := f.limits.Close(context.Background()); err != nil {
		f.Error(err)
	}
	f.limits = nil
}

// restart is what a deployment does.
func (f *fixture) restart() {
	f.Helper()
	f.stop()
	f.start(time.Hour)
}

// takes takes until it is refused, and returns how often it was allowed.
func (f *fixture) takes(p ratelimit.Policy, who string) (n int) {
	for f.limits.Take(p, who).Allowed {
		if n++; n > 10_000 {
			f.Fatal("there is no limit")
		}
	}
	return n
}

func (f *fixture) rows() (n int64) {
	f.Helper()
	err := f.db.Read(f.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, `SELECT count(*) FROM rate_limits`)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return n
}

// lastFull is when the last of the stored buckets is full, in milliseconds since the epoch.
func (f *fixture) lastFull() (at int64) {
	f.Helper()
	err := f.db.Read(f.Context(), func(tx db.Reader) (err error) {
		at, err = db.One(tx, db.Int, `SELECT coalesce(max(full_at), 0) FROM rate_limits`)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return at
}

func TestManyAreTakenTogetherOrNone(t *testing.T) {
	f := open(t)
	for _, c := range []struct {
		n, tokens int
		allowed   bool
		next      time.Duration
	}{
		{150, 50, true, 20 * time.Millisecond},
		{51, 50, false, 20 * time.Millisecond},
		{80, 50, false, 30 * 20 * time.Millisecond},
		{50, 0, true, 20 * time.Millisecond},
		{200, 0, false, 4 * time.Second},
	} {
		if left := f.limits.TakeMany(ratelimit.Chunks, "a", c.n); left.Allowed != c.allowed || left.Tokens != c.tokens || left.Next != c.next {
			t.Errorf("%d: %+v", c.n, left)
		}
	}
}

func TestBurstThenEvenly(t *testing.T) {
	for _, c := range []struct {
		policy ratelimit.Policy
		burst  int
		each   time.Duration
	}{
		{ratelimit.API, 1000, 60 * time.Millisecond},
		{ratelimit.Messages, 20, 200 * time.Millisecond},
		{ratelimit.Chunks, 200, 20 * time.Millisecond},
		{ratelimit.MeetingChunks, 200, 10 * time.Millisecond},
		{ratelimit.Meetings, 20, 3 * time.Second},
		{ratelimit.Search, 100, 600 * time.Millisecond},
		{ratelimit.Strangers, 60, time.Second},
		{ratelimit.SignIn, 10, 6 * time.Second},
		{ratelimit.Session, 60, time.Second},
	} {
		f := open(t)
		if n := f.takes(c.policy, "a"); n != c.burst {
			t.Errorf("policy %d: %d at once, want %d", c.policy, n, c.burst)
		}
		if left := f.limits.Take(c.policy, "a"); left.Allowed || left.Tokens != 0 || left.Next != c.each {
			t.Errorf("policy %d: %+v, want the next in %v", c.policy, left, c.each)
		}
		f.now = f.now.Add(c.each - 1)
		if left := f.limits.Take(c.policy, "a"); left.Allowed || left.Next != 1 {
			t.Errorf("policy %d: %+v a nanosecond early", c.policy, left)
		}
		f.now = f.now.Add(1)
		if n := f.takes(c.policy, "a"); n != 1 {
			t.Errorf("policy %d: %d after %v, want 1", c.policy, n, c.each)
		}
		f.now = f.now.Add(5 * c.each)
		if n := f.takes(c.policy, "a"); n != 5 {
			t.Errorf("policy %d: %d, want 5", c.policy, n)
		}
		f.now = f.now.Add(time.Hour)
		if n := f.takes(c.policy, "a"); n != c.burst {
			t.Errorf("policy %d: %d an hour later, want %d", c.policy, n, c.burst)
		}
		if n := f.takes(c.policy, "b"); n != c.burst {
			t.Errorf("policy %d: %d for somebody else", c.policy, n)
		}
		f.stop()
	}
}

func TestPoliciesAreApart(t *testing.T) {
	f := open(t)
	f.takes(ratelimit.Messages, "a")
	if !f.limits.Take(ratelimit.API, "a").Allowed {
		t.Error("who may send no message may do nothing")
	}
	for range 5000 {
		if !f.limits.Take(ratelimit.None, "a").Allowed {
			t.Fatal("what has no policy is limited")
		}
	}
}

// TestClockThatWasSetBack: what was taken later than now is not waited for.
func TestClockThatWasSetBack(t *testing.T) {
	f := open(t)
	f.takes(ratelimit.Meetings, "a")
	f.now = f.now.Add(-time.Hour)
	if left := f.limits.Take(ratelimit.Meetings, "a"); left.Allowed || left.Next != 3*time.Second {
		t.Errorf("%+v", left)
	}
	f.now = f.now.Add(time.Minute)
	if n := f.takes(ratelimit.Meetings, "a"); n != 20 {
		t.Errorf("%d a window later", n)
	}
}

func TestRestartKeepsADrainedBucket(t *testing.T) {
	f := open(t)
	f.takes(ratelimit.Meetings, "drained")
	for range 9 {
		f.limits.Take(ratelimit.Meetings, "half")
	}
	f.takes(ratelimit.SignIn, "2001:db8::/64")
	f.restart()
	if n := f.rows(); n != 2 {
		t.Errorf("%d rows, want those below half", n)
	}
	if left := f.limits.Take(ratelimit.Meetings, "drained"); left.Allowed {
		t.Error("a restart has filled a user's bucket")
	}
	if left := f.limits.Take(ratelimit.SignIn, "2001:db8::/64"); left.Allowed {
		t.Error("a restart has filled an address's bucket")
	}
	if n := f.takes(ratelimit.Meetings, "half"); n != 20 {
		t.Errorf("%d, want 20 for who had most of it left", n)
	}
	f.stop()
	f.now = f.now.Add(30 * time.Second) // it fills while nothing runs
	f.start(time.Hour)
	if n := f.takes(ratelimit.Meetings, "drained"); n != 10 {
		t.Errorf("%d half a minute later, want 10", n)
	}
	f.now = f.now.Add(time.Hour)
	f.takes(ratelimit.Messages, "later")
	f.restart()
	if n := f.rows(); n != 1 {
		t.Errorf("%d rows an hour later, want the new one", n)
	}
}

// TestKillForgivesLittle: what runs stores now and then, and nothing twice.
func TestKillForgivesLittle(t *testing.T) {
	f := open(t)
	f.stop()
	f.start(time.Millisecond)
	f.takes(ratelimit.Meetings, "a")
	for full := f.now.Add(time.Minute).UnixMilli(); f.lastFull() < full; runtime.Gosched() { // also the last of twenty
		if t.Context().Err() != nil {
			t.Fatal("not all is stored")
		}
	}
	if err := f.db.Write(t.Context(), func(*db.WriteTx) error { return nil }); err != nil { // what was stored is counted then
		t.Fatal(err)
	}
	killed, commits := f.limits, f.db.Stats().Commits
	f.start(time.Hour) // as another process would
	if f.limits.Take(ratelimit.Meetings, "a").Allowed {
		t.Error("a kill forgives")
	}
	if err := killed.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := f.db.Stats().Commits - commits; n != 0 {
		t.Errorf("%d commits with nothing new", n)
	}
}

func TestManyAddressesTakeBoundedMemoryAndResetNobody(t *testing.T) {
	f := open(t)
	f.takes(ratelimit.Messages, "usr_1")
	f.takes(ratelimit.SignIn, "198.51.100.7")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range 1_000_000 {
		f.limits.Take(ratelimit.Strangers, fmt.Sprintf("2001:db8:%x:%x::/64", n>>16, n&0xffff))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("a million addresses take %d MB", grown>>20)
	} else {
		t.Logf("a million addresses take %.1f MB", float64(grown)/(1<<20))
	}
	if f.limits.Take(ratelimit.Messages, "usr_1").Allowed || f.limits.Take(ratelimit.SignIn, "198.51.100.7").Allowed {
		t.Error("others' addresses have filled a bucket")
	}
	if !f.limits.Take(ratelimit.Messages, "usr_2").Allowed {
		t.Error("strangers keep a user out")
	}
	if n := f.takes(ratelimit.SignIn, "198.51.100.8"); n != 10 {
		t.Errorf("%d, want a newcomer to have a bucket", n)
	}
}

// TestNoRoomForNewcomers: where every bucket is low, newcomers share one.
func TestNoRoomForNewcomers(t *testing.T) {
	f := open(t)
	for n := range 180_000 {
		who := fmt.Sprint(n)
		for range 6 {
			f.limits.Take(ratelimit.SignIn, who)
		}
	}
	allowed := 0
	for n := range 20_000 {
		if f.limits.Take(ratelimit.SignIn, fmt.Sprint("new", n)).Allowed {
			allowed++
		}
	}
	if allowed > 64*20 {
		t.Errorf("%d newcomers are let in", allowed)
	}
	f.now = f.now.Add(time.Hour)
	if n := f.takes(ratelimit.SignIn, "newcomer"); n != 10 {
		t.Errorf("%d when it is over", n)
	}
}

func TestNetworkOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":                     "192.0.2.1",
		"::ffff:192.0.2.1":              "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":          "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff:ffff:ffff:1": "2001:db8:1:2::/64",
		"2001:db8:1:3::1":               "2001:db8:1:3::/64",
		"fe80::1%eth0":                  "fe80::/64",
		"nonsense":                      "nonsense",
	} {
		if got := ratelimit.Network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestFields(t *testing.T) {
	f := open(t)
	if got, want := ratelimit.Announce(ratelimit.API, ratelimit.Messages), `"api";q=1000;w=60, "messages";q=20;w=4`; got != want {
		t.Errorf("RateLimit-Policy: %s, want %s", got, want)
	}
	var limits []byte
	for _, p := range []ratelimit.Policy{ratelimit.API, ratelimit.Messages} {
		limits = f.limits.Take(p, "a").Append(limits)
	}
	if got, want := string(limits), `"api";r=999;t=1, "messages";r=19;t=1`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
	f.takes(ratelimit.Meetings, "a")
	f.now = f.now.Add(900 * time.Millisecond)
	if got, want := string(f.limits.Take(ratelimit.Meetings, "a").Append(nil)), `"meetings";r=0;t=3`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
}

func TestManyAtOnceGetNoMoreThanTheBurst(t *testing.T) {
	f := open(t)
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 100 {
				if f.limits.Take(ratelimit.API, "a").Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 1000 {
		t.Errorf("%d, want 1000", n)
	}
}
