package presence_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"connvo/domain"
	"connvo/presence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// board is a board and what it has told of, with when since it began.
type board struct {
	*presence.Board
	t     *testing.T
	began time.Time
	ahead atomic.Int64 // nanoseconds by which the clock was set

	mu   sync.Mutex // guards told
	told []string
}

// onBoard runs the test with a board whose clock is the test's own.
func onBoard(t *testing.T, test func(b *board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &board{t: t, began: time.Now()}
		b.Board = presence.NewBoard(b.now, time.Second, func(m domain.MeetingID) {
			who := b.who(m) // changed may come back
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, fmt.Sprint(m, " ", time.Since(b.began), ": ", who))
		})
		test(b)
	})
}

func (b *board) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// who returns the users in the meeting.
func (b *board) who(m domain.MeetingID) string {
	var users []string
	for _, s := range b.In(m) {
		users = append(users, string(s.User))
	}
	return strings.Join(users, " ")
}

// put puts signs of the users.
func (b *board) put(m domain.MeetingID, users ...domain.UserID) {
	b.t.Helper()
	for _, u := range users {
		if err := b.Put(m, u, time.Time{}, presence.State{}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wait lets time pass.
func (b *board) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// since returns what was told since the last time.
func (b *board) since() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.told
	b.told = nil
	return told
}

// expect compares what was told since the last time.
func (b *board) expect(want ...string) {
	b.t.Helper()
	if got := strings.Join(b.since(), "\n"); got != strings.Join(want, "\n") {
		b.t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTheNewestStateCounts(t *testing.T) {
	onBoard(t, func(b *board) {
		cursor := &presence.Cursor{Version: 7, Anchor: 1, Head: 2}
		for _, s := range []presence.State{{Typing: true}, {}, {Typing: true, Cursor: cursor}} {
			if err := b.Put("m", "ada", time.Time{}, s); err != nil {
				t.Fatal(err)
			}
		}
		b.wait(10 * time.Second)
		if err := b.Put("m", "ada", time.Time{}, presence.State{Cursor: cursor}); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		signs := b.In("m")
		if len(signs) != 1 || signs[0] != (presence.Sign{User: "ada", State: presence.State{Cursor: cursor}, Expires: now.Add(presence.TTL)}) {
			t.Errorf("%+v", signs)
		}
		if b.Len() != 1 || len(b.In("other")) != 0 {
			t.Errorf("%d are here, %d elsewhere", b.Len(), len(b.In("other")))
		}
	})
}

func TestTheFirstChangeIsToldAtOnceAndTheOthersOnceASecond(t *testing.T) {
	onBoard(t, func(b *board) {
		b.put("m", "ada")
		b.put("n", "ada")
		b.expect("m 0s: ada", "n 0s: ada")
		b.wait(100 * time.Millisecond)
		b.put("m", "bob", "cyd")
		b.put("m", "bob")
		b.expect()
		b.wait(899 * time.Millisecond)
		b.expect()
		b.wait(time.Millisecond)
		b.expect("m 1s: ada bob cyd")
		b.put("m", "dan")
		b.wait(5 * time.Second)
		b.expect("m 2s: ada bob cyd dan")
		b.put("m", "eve")
		b.expect("m 6s: ada bob cyd dan eve")
	})
}

func TestASignLastsThirtySecondsFromTheLast(t *testing.T) {
	onBoard(t, func(b *board) {
		b.put("m", "ada", "bob")
		b.wait(10 * time.Second)
		b.put("m", "ada")
		b.wait(20*time.Second - time.Nanosecond)
		if who := b.who("m"); who != "ada bob" {
			t.Errorf("after nearly 30 s: %s", who)
		}
		b.since()
		b.wait(time.Nanosecond)
		b.expect("m 30s: ada")
		b.wait(10*time.Second - time.Nanosecond)
		b.expect()
		b.wait(time.Nanosecond)
		b.expect("m 40s: ")
	})
}

// What ends within a second of one another is told at once.
func TestManyThatEndAreToldOnceASecond(t *testing.T) {
	onBoard(t, func(b *board) {
		for i := range 10 {
			b.put("m", domain.UserID(fmt.Sprint("user", i)))
			b.wait(100 * time.Millisecond)
		}
		b.wait(20 * time.Second)
		b.since()
		b.wait(20 * time.Second)
		b.expect("m 30s: user1 user2 user3 user4 user5 user6 user7 user8 user9", "m 31s: ")
	})
}

// A clock that jumps ahead of the timers, as after a machine has slept, ends the
// signs for the next who looks, and everybody is told; one that is set back does
// not let them last for ever.
func TestSignsEndWhateverTheClockDoes(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		onBoard(t, func(b *board) {
			b.put("m", "ada")
			b.put("n", "bob")
			b.since()
			b.ahead.Store(int64(jump))
			if who := b.who("m"); who != "" || b.Len() != 0 {
				t.Errorf("%v: %s are here, %d in all", jump, who, b.Len())
			}
			b.wait(time.Second)
			if told := b.since(); len(told) != 2 {
				t.Errorf("%v: told %v", jump, told)
			}
			b.put("m", "ada")
			b.wait(presence.TTL)
			if b.Len() != 0 {
				t.Errorf("%v: %d stay", jump, b.Len())
			}
		})
	}
}

func TestBoundOfAMeeting(t *testing.T) {
	onBoard(t, func(b *board) {
		for i := range presence.MaxPerMeeting {
			b.put("m", domain.UserID(fmt.Sprint("user", i)))
		}
		if err := b.Put("m", "one more", time.Time{}, presence.State{}); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("one more: %v", err)
		}
		b.put("m", "user0") // who is here may stay
		b.put("n", "one more")
		b.wait(presence.TTL)
		b.put("m", "one more")
	})
}

func TestBoundOfAll(t *testing.T) {
	onBoard(t, func(b *board) {
		for i := range presence.MaxInAll {
			b.put(domain.MeetingID(fmt.Sprint("meeting", i%100)), domain.UserID(fmt.Sprint("user", i)))
		}
		for _, m := range []domain.MeetingID{"m", "meeting0"} {
			if err := b.Put(m, "one more", time.Time{}, presence.State{}); domain.KindOf(err) != domain.Unavailable {
				t.Errorf("one more in %s: %v", m, err)
			}
		}
		b.put("meeting0", "user0")
		b.wait(presence.TTL + time.Second)
		if b.Len() != 0 {
			t.Errorf("%d are left", b.Len())
		}
		b.since()
		b.wait(time.Hour)
		b.expect()
	})
}

func TestNothingIsToldAfterTheEnd(t *testing.T) {
	onBoard(t, func(b *board) {
		b.put("m", "ada")
		b.put("m", "bob")
		b.expect("m 0s: ada")
		b.Close()
		b.put("m", "cyd")
		b.wait(time.Hour)
		b.expect()
	})
}

// Who renews what they have said is here for longer, but it is told once for all
// in the room, when half of what was told is over.
func TestRenewalsAreToldTogether(t *testing.T) {
	onBoard(t, func(b *board) {
		expires := func() (all []time.Duration) {
			for _, s := range b.In("m") {
				all = append(all, s.Expires.Sub(b.began))
			}
			return all
		}
		b.put("m", "ada")
		b.wait(2 * time.Second)
		b.put("m", "bob")
		b.since()
		for range 9 { // 11 s after the first
			b.wait(time.Second)
			b.put("m", "ada", "bob")
		}
		b.expect()
		if got := expires(); !slices.Equal(got, []time.Duration{30 * time.Second, 32 * time.Second}) {
			t.Errorf("told that they end after %v", got)
		}
		b.wait(4 * time.Second) // 15 s after the first
		b.put("m", "ada")
		b.expect("m 15s: ada bob")
		if got := expires(); !slices.Equal(got, []time.Duration{45 * time.Second, 41 * time.Second}) {
			t.Errorf("told that they end after %v", got)
		}
		b.wait(26*time.Second - time.Nanosecond)
		b.expect()
		b.wait(time.Nanosecond)
		b.expect("m 41s: ada")
	})
}

func TestAnotherVisitIsTold(t *testing.T) {
	onBoard(t, func(b *board) {
		b.put("m", "ada")
		b.wait(2 * time.Second)
		visit := time.Now()
		for range 2 {
			if err := b.Put("m", "ada", visit, presence.State{}); err != nil {
				t.Fatal(err)
			}
			b.wait(2 * time.Second)
		}
		b.expect("m 0s: ada", "m 2s: ada")
		if signs := b.In("m"); len(signs) != 1 || !signs[0].Visit.Equal(visit) {
			t.Errorf("%+v", signs)
		}
	})
}
