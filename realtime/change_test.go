package realtime

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"connvo/domain"
)

// What is asked for while the client takes nothing waits without growing, and
// the stream follows what was asked for last.
func TestChangesThatWaitAreBounded(t *testing.T) {
	e, _ := newEngine(t)
	s := &stream{engine: e, id: "id", multiplexed: true, bell: newBell(), names: map[string]struct{}{}}
	e.streams[s.id] = s
	s.open(nil)
	defer s.close()
	some := func() (names []string) {
		for range rand.N(50) {
			names = append(names, fmt.Sprint(rand.N(2*MaxPaths)))
		}
		return names
	}
	for i := range 5000 {
		add := []Path{}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(some()))) {
			add = append(add, Path{Name: name})
		}
		err := e.Change(domain.Actor{}, s.id, add, some())
		if err != nil && domain.KindOf(err) != domain.Invalid {
			t.Fatal(err)
		}
		if n := len(s.names); n > MaxPaths || len(s.wanted.add) > MaxPaths || len(s.wanted.remove) > MaxPaths {
			t.Fatalf("%d paths, of which %d are to come, %d to go", n, len(s.wanted.add), len(s.wanted.remove))
		}
		if i%10 > 0 {
			continue
		}
		s.change()
		if len(s.subs) > 0 {
			s.drop(s.subs[0])
		}
		var follows []string
		for _, sub := range s.subs {
			follows = append(follows, sub.path.Name)
		}
		slices.Sort(follows)
		if wanted := slices.Sorted(maps.Keys(s.names)); !slices.Equal(follows, wanted) {
			t.Fatalf("follows\n%v, wanted\n%v", follows, wanted)
		}
	}
}

// openOf is a connection that follows the names, as an engine has it.
func openOf(t *testing.T, e *Engine, user domain.UserID, multiplexed bool, names ...string) *stream {
	t.Helper()
	s := &stream{
		engine: e, id: fmt.Sprint("connection", len(e.streams)), actor: domain.Actor{User: user}, multiplexed: multiplexed,
		bell: newBell(), names: map[string]struct{}{},
	}
	if err := e.admit(s); err != nil {
		t.Fatal(err)
	}
	s.open(pathsOf(names...))
	return s
}

func pathsOf(names ...string) (paths []Path) {
	for _, name := range names {
		paths = append(paths, Path{Name: name, Query: func(context.Context) (Answer, error) { return Answer{}, nil }})
	}
	return paths
}

func numbered(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint("/", i))
	}
	return names
}

// follows are the names of what is followed, after the changes are made; both
// what is known by name and what is followed must say it.
func (s *stream) follows(t *testing.T) []string {
	t.Helper()
	s.change()
	var all []string
	for _, sub := range s.subs {
		all = append(all, sub.path.Name)
	}
	slices.Sort(all)
	for _, name := range all {
		if _, known := s.names[name]; !known {
			t.Errorf("%s is followed, but not known", name)
		}
	}
	if len(s.names) != len(all) {
		t.Errorf("%d names are known, %d paths are followed", len(s.names), len(all))
	}
	return all
}

func TestChange(t *testing.T) {
	hundred := numbered(0, MaxPaths)
	for name, test := range map[string]struct {
		open, add, remove []string
		want              []string // nil when it is refused and nothing changes
	}{
		"more":                                {open: []string{"/a"}, add: []string{"/b", "/c"}, want: []string{"/a", "/b", "/c"}},
		"fewer":                               {open: []string{"/a", "/b"}, remove: []string{"/a"}, want: []string{"/b"}},
		"one for another":                     {open: []string{"/a"}, add: []string{"/b"}, remove: []string{"/a"}, want: []string{"/b"}},
		"what is followed already":            {open: []string{"/a"}, add: []string{"/a"}, want: []string{"/a"}},
		"what is not followed is not missed":  {open: []string{"/a"}, remove: []string{"/b"}, want: []string{"/a"}},
		"one anew":                            {open: []string{"/a"}, add: []string{"/a"}, remove: []string{"/a"}, want: []string{"/a"}},
		"the last that fits":                  {open: hundred[1:], add: hundred[:1], want: hundred},
		"one too many":                        {open: hundred, add: []string{"/a"}},
		"one in place of one":                 {open: hundred, add: []string{"/100"}, remove: []string{"/0"}, want: numbered(1, MaxPaths+1)},
		"two in place of one":                 {open: hundred, add: []string{"/a", "/b"}, remove: []string{"/0"}},
		"two in place of one that goes twice": {open: hundred, add: []string{"/a", "/b"}, remove: []string{"/0", "/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := stillEngine()
			s := openOf(t, e, "ann", true, test.open...)
			err := e.Change(s.actor, s.id, pathsOf(test.add...), test.remove)
			want := test.want
			if want == nil {
				want = test.open
			}
			want = slices.Sorted(slices.Values(want))
			if got := s.follows(t); !slices.Equal(got, want) || domain.KindOf(err) == domain.Invalid != (test.want == nil) {
				t.Errorf("follows %d paths, want %d: %v", len(got), len(want), err)
			}
		})
	}
}

func TestChangeIsRefused(t *testing.T) {
	e := stillEngine()
	s, single := openOf(t, e, "ann", true, "/a"), openOf(t, e, "ann", false, "/a")
	for name, test := range map[string]struct {
		who        domain.UserID
		connection string
		kind       domain.Kind
	}{
		"of another user":       {"bob", s.id, domain.NotFound},
		"that is not open":      {"ann", "nowhere", domain.NotFound},
		"that follows one path": {"ann", single.id, domain.NotFound},
	} {
		err := e.Change(domain.Actor{User: test.who}, test.connection, pathsOf("/b"), []string{"/a"})
		if domain.KindOf(err) != test.kind {
			t.Errorf("a connection %s: %v", name, err)
		}
	}
	if got := s.follows(t); !slices.Equal(got, []string{"/a"}) {
		t.Errorf("after what was refused it follows %v", got)
	}
	if err := e.Change(s.actor, s.id, nil, []string{"/a"}); err != nil {
		t.Errorf("to follow less: %v", err)
	}
	e.leave(s)
	if err := e.Change(s.actor, s.id, pathsOf("/b"), nil); domain.KindOf(err) != domain.NotFound {
		t.Errorf("of a connection that has ended: %v", err)
	}
}

// Changes wake the connection, and are made in order.
func TestChangesAreMadeInOrder(t *testing.T) {
	e := stillEngine()
	s := openOf(t, e, "ann", true)
	for _, c := range []change{{add: pathsOf("/a", "/b")}, {remove: []string{"/a"}}, {add: pathsOf("/a")}, {remove: []string{"/b"}}} {
		if err := e.Change(s.actor, s.id, c.add, c.remove); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.bell.rung) != 1 || s.bell.since.Load() != 0 {
		t.Error("the connection was not woken, or for a commit")
	}
	if got := s.follows(t); !slices.Equal(got, []string{"/a"}) {
		t.Errorf("it follows %v", got)
	}
	if s.subs[0].lasting {
		t.Error("a resume covers what was added")
	}
}

// A path that ends by its problem goes away; the client may ask for it again.
func TestAPathThatEndedMayBeAskedForAgain(t *testing.T) {
	e := stillEngine()
	s := openOf(t, e, "ann", true, "/a", "/b")
	s.drop(s.subs[0])
	if got := s.follows(t); !slices.Equal(got, []string{"/b"}) {
		t.Fatalf("it follows %v", got)
	}
	if err := e.Change(s.actor, s.id, pathsOf("/a"), nil); err != nil {
		t.Fatal(err)
	}
	if got := s.follows(t); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("it follows %v", got)
	}
	// Asked for anew before the connection knows that it has ended.
	if err := e.Change(s.actor, s.id, pathsOf("/a"), []string{"/a"}); err != nil {
		t.Fatal(err)
	}
	s.drop(s.subs[slices.IndexFunc(s.subs, func(sub *sub) bool { return sub.path.Name == "/a" })])
	if got := s.follows(t); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("it follows %v", got)
	}
}
