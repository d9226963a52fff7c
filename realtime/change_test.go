package realtime

import (
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
		err := e.Change(domain.Actor{}, s.id, add, some(), func() error { return nil })
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
