package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// far is a store that is far away: what is asked of it takes its time, gets lost on the
// way there or back, and arrives when nobody waits for it any more.
type far struct {
	*shared
	random *rand.Rand
	cut    *time.Time // until when nothing gets there, nor back
}

type shared struct {
	mu   sync.Mutex // guards the rest
	body []byte
	tag  int
	late sync.WaitGroup // what is under way
}

// after waits for up to most, and returns whether ctx has lasted.
func (s far) after(ctx context.Context, most time.Duration) bool {
	s.mu.Lock()
	wait := time.Duration(s.random.Int64N(int64(most)))
	s.mu.Unlock()
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s far) chance(percent int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(100) < percent
}

// most is how long a way takes at most: longer than a lease while the store is cut off,
// as it is now and then.
func (s far) most() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random.IntN(100) < 5 {
		*s.cut = time.Now().Add(time.Duration(s.random.Int64N(int64(3 * DefaultTerm))))
	}
	return max(time.Second/5, 3*time.Until(*s.cut))
}

func (s far) get(ctx context.Context, _ string) ([]byte, string, error) {
	if !s.after(ctx, s.most()) {
		return nil, "", ctx.Err()
	}
	s.mu.Lock()
	body, tag := s.body, s.tag
	s.mu.Unlock()
	if !s.after(ctx, s.most()) {
		return nil, "", ctx.Err()
	}
	if tag == 0 {
		return nil, "", fs.ErrNotExist
	}
	return body, fmt.Sprint(tag), nil
}

func (s far) put(context.Context, string, []byte) error { return errors.ErrUnsupported }

func (s far) swap(ctx context.Context, _ string, body []byte, tag string) (string, error) {
	arrived := make(chan string, 1)
	way := s.most()
	s.late.Go(func() {
		s.after(context.Background(), way)
		s.mu.Lock()
		defer s.mu.Unlock()
		if tag != fmt.Sprint(s.tag) && (tag != "" || s.tag != 0) {
			arrived <- ""
			return
		}
		s.tag++
		s.body = body
		arrived <- fmt.Sprint(s.tag)
	})
	var stored string
	select {
	case stored = <-arrived:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	switch {
	case s.chance(5):
		return "", errors.New("the answer is lost")
	case !s.after(ctx, s.most()):
		return "", ctx.Err()
	case stored == "":
		return "", errSwapped
	}
	return stored, nil
}

// contender takes the lease whenever it may, over and over.
type contender struct {
	mu    sync.Mutex // guards lease
	lease *lease
}

func (c *contender) contend(ctx context.Context, store objects, name string, random *rand.Rand) {
	rate := 0.95 + random.Float64()/10 // its clock is not the others'
	for ctx.Err() == nil {
		l := newLease(store, Holder{Owner: name}, DefaultTerm, true)
		began := time.Now()
		l.clock = func() time.Duration { return time.Duration(rate * float64(time.Since(began))) }
		c.mu.Lock()
		c.lease = l
		c.mu.Unlock()
		for ctx.Err() == nil {
			asking, cancel := context.WithTimeout(ctx, 5*time.Second)
			if l.look(asking) == nil && l.take(asking, 0) == nil {
				cancel()
				break
			}
			cancel()
			<-time.After(time.Second)
		}
		holding, stop := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(3*time.Minute))))
		l.keep(holding, func(error) {})
		stop()
		if random.IntN(2) == 0 { // else its process is killed
			releasing, cancel := context.WithTimeout(ctx, 5*time.Second)
			_ = l.release(releasing) // which may fail
			cancel()
		}
		c.mu.Lock()
		c.lease = nil
		c.mu.Unlock()
	}
}

// TestTwoNeverMayWrite whatever happens to what they ask of the store, and with clocks
// that do not run alike.
func TestTwoNeverMayWrite(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				object := &shared{}
				var running sync.WaitGroup
				all := make([]*contender, 3)
				for i := range all {
					all[i] = &contender{}
					random := rand.New(rand.NewPCG(seed, uint64(i)))
					running.Go(func() {
						all[i].contend(ctx, far{object, rand.New(rand.NewPCG(seed, uint64(10+i))), new(time.Time)}, fmt.Sprint("server ", i), random)
					})
				}
				turns, last := 0, -1
				for range 6_000 { // 50 minutes
					<-time.After(500 * time.Millisecond)
					may := -1
					for i, c := range all {
						c.mu.Lock()
						ok := c.lease != nil && c.lease.check() == nil
						c.mu.Unlock()
						if ok && may >= 0 {
							t.Fatalf("servers %d and %d may write", may, i)
						}
						if ok {
							may = i
						}
					}
					if may >= 0 && may != last {
						turns, last = turns+1, may
					}
				}
				cancel()
				running.Wait()
				object.late.Wait()
				if turns < 5 {
					t.Errorf("it changed hands %d times only", turns)
				}
			})
		})
	}
}

// TestEveryOwnerHasAGenerationOfItsOwn, unless it goes on where it was.
func TestEveryOwnerHasAGenerationOfItsOwn(t *testing.T) {
	store := directory(t.TempDir())
	for _, step := range []struct {
		owner string
		mine  uint64
		want  uint64
	}{{"a", 0, 1}, {"a", 1, 1}, {"b", 0, 2}, {"a", 1, 3}, {"a", 3, 3}, {"a", 2, 4}} {
		l := newLease(store, Holder{Owner: step.owner}, DefaultTerm, true)
		if err := errors.Join(l.look(t.Context()), l.take(t.Context(), step.mine)); err != nil {
			t.Fatal(err)
		}
		if n := l.generation(); n != step.want {
			t.Errorf("%+v: %d", step, n)
		}
		if err := l.release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeaseThatWasTaken is not renewed, given back or changed by who had it.
func TestLeaseThatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := directory(t.TempDir())
		a, b := newLease(store, Holder{Owner: "a"}, DefaultTerm, false), newLease(store, Holder{Owner: "b"}, DefaultTerm, true)
		a.clock, b.clock = sinceNow(), sinceNow() // the bubble's time
		if err := errors.Join(a.look(t.Context()), a.take(t.Context(), 0), a.renew(t.Context()), b.look(t.Context())); err != nil {
			t.Fatal(err)
		}
		for range 35 { // the last of them is when b may
			if err := b.take(t.Context(), 0); !errors.Is(err, ErrTaken) {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			if err := b.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(b.take(t.Context(), 0), b.check(), a.check()); err != nil {
			t.Fatal(err) // a has asked nobody yet, and is not strict
		}
		for name, do := range map[string]func(context.Context) error{"renew": a.renew, "release": a.release} {
			if err := do(t.Context()); !errors.Is(err, ErrTaken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		<-a.gone
		if err := a.check(); !errors.Is(err, ErrTaken) {
			t.Error(err)
		}
		<-time.After(DefaultTerm)
		if err := b.check(); !errors.Is(err, ErrLapsed) {
			t.Error(err)
		}
		if err := errors.Join(b.renew(t.Context()), b.check()); err != nil {
			t.Error(err)
		}
	})
}
