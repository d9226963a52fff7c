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

// change is what a client wants to follow, and no longer to follow, since the
// stream has looked for it: MaxPaths of each at most.
type change struct {
	add    []Path
	remove []string // names of what the stream follows; it goes before the rest comes
}

// drop takes the path out of what is to come, and reports whether it was there.
func (c *change) drop(name string) bool {
	before := len(c.add)
	c.add = slices.DeleteFunc(c.add, func(p Path) bool { return p.Name == name })
	return len(c.add) < before
}

// Change lets the open multiplexed connection of the actor follow more paths,
// for as long as it lasts, and fewer. What is followed already stays as it is,
// and what is not followed is not missed. Rights are decided when what is added is
// read: Request.Added and Request.Refused are told.
//
// Errors: NotFound where the actor has no such connection open; Invalid when it
// would follow more than MaxPaths.
func (e *Engine) Change(who domain.Actor, connection string, add []Path, remove []string) error {
	e.mu.Lock()
	s, found := e.streams[connection]
	e.mu.Unlock()
	if !found || !s.multiplexed || s.actor.User != who.User {
		return errNoConnection
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errNoConnection
	}
	gone := map[string]struct{}{}
	for _, name := range remove {
		if _, follows := s.names[name]; follows {
			gone[name] = struct{}{}
		}
	}
	add = slices.DeleteFunc(slices.Clone(add), func(p Path) bool {
		_, follows := s.names[p.Name]
		_, goes := gone[p.Name]
		return follows && !goes
	})
	if total := len(s.names) - len(gone) + len(add); total > MaxPaths {
		return domain.FailField("body.subscribe", "a connection follows at most %d paths; this would make it %d", MaxPaths, total)
	}
	for name := range gone {
		delete(s.names, name)
		if !s.wanted.drop(name) {
			s.wanted.remove = append(s.wanted.remove, name)
		}
	}
	for _, p := range add {
		s.names[p.Name] = struct{}{}
	}
	s.wanted.add = append(s.wanted.add, add...)
	s.bell.wake()
	return nil
}

var errNoConnection = domain.Fail(domain.NotFound, "there is no such connection; it is the connectionId of your own stream of /v1/live, while that is open")

// change makes the changes that were asked for. A path of the URL that was ended
// and is asked for again counts for the number to resume from, as before.
func (s *stream) change() {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = change{}
	s.mu.Unlock()
	for _, name := range wanted.remove {
		if i := slices.IndexFunc(s.subs, func(sub *sub) bool { return sub.path.Name == name }); i >= 0 {
			s.remove(i)
		}
	}
	for _, p := range wanted.add {
		s.subs = append(s.subs, s.engine.subscribe(p, s.bell, slices.Contains(s.url, p.Name)))
	}
}

// drop ends one path of the connection.
func (s *stream) drop(sub *sub) {
	s.mu.Lock()
	if !slices.ContainsFunc(s.wanted.add, func(p Path) bool { return p.Name == sub.path.Name }) {
		delete(s.names, sub.path.Name) // else it is to begin anew
	}
	s.mu.Unlock()
	s.remove(slices.Index(s.subs, sub))
}

func (s *stream) remove(i int) {
	s.engine.unsubscribe(s.subs[i])
	s.subs = slices.Delete(s.subs, i, i+1)
}
