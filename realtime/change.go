package realtime

import (
	"slices"

	"connvo/domain"
)

// The bounds of connections that follow many paths.
const (
	// MaxPaths is what one page of an application follows at once.
	MaxPaths = 100
	// MaxMultiplexedPerUser is the tabs and devices of one person, one such
	// connection each.
	MaxMultiplexedPerUser = 20
)

// change is what a client asked to follow, and no longer to follow.
type change struct {
	add    []Path
	remove []string // names
}

// Change lets the open multiplexed connection of the actor follow more paths,
// for as long as it lasts, and fewer. What is followed already stays as it is,
// and what is not followed is not missed. opened is called before anything is
// followed, and may refuse it.
//
// Errors: NotFound where the actor has no such connection open; Invalid when it
// would follow more than MaxPaths.
func (e *Engine) Change(who domain.Actor, connection string, add []Path, remove []string, opened func() error) error {
	e.mu.Lock()
	s, found := e.streams[connection]
	e.mu.Unlock()
	if !found || !s.multiplexed || s.actor.User != who.User {
		return domain.Fail(domain.NotFound, "there is no such connection; it is the connectionId of your own stream of /v1/live, while that is open")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := change{remove: remove}
	for _, p := range add {
		_, follows := s.names[p.Name]
		if !follows || slices.Contains(remove, p.Name) {
			c.add = append(c.add, p)
		}
	}
	total := len(s.names) + len(c.add)
	for _, name := range remove {
		if _, follows := s.names[name]; follows {
			total--
		}
	}
	if total > MaxPaths {
		return domain.FailField("body.subscribe", "a connection follows at most %d paths; this would make it %d", MaxPaths, total)
	}
	if len(c.add) > 0 {
		if err := opened(); err != nil {
			return err
		}
	}
	for _, name := range remove {
		delete(s.names, name)
	}
	for _, p := range c.add {
		s.names[p.Name] = struct{}{}
	}
	s.changes = append(s.changes, c)
	s.bell.wake()
	return nil
}

// change makes the changes that were asked for.
func (s *stream) change() {
	s.mu.Lock()
	changes := s.changes
	s.changes = nil
	s.mu.Unlock()
	for _, c := range changes {
		for _, name := range c.remove {
			if i := slices.IndexFunc(s.subs, func(sub *sub) bool { return sub.path.Name == name }); i >= 0 {
				s.remove(i)
			}
		}
		for _, p := range c.add {
			s.subs = append(s.subs, s.engine.subscribe(p, s.bell, false))
		}
	}
}

// drop ends one path of the connection.
func (s *stream) drop(sub *sub) {
	s.mu.Lock()
	delete(s.names, sub.path.Name)
	s.mu.Unlock()
	s.remove(slices.Index(s.subs, sub))
}

func (s *stream) remove(i int) {
	s.engine.unsubscribe(s.subs[i])
	s.subs = slices.Delete(s.subs, i, i+1)
}
