package realtime

import (
	"cmp"
	"context"
	"slices"
	"time"

	"connvo/db"
)

// maxTurnBytes bounds what one turn of a connection sends, but for one item of
// each feed and one answer: what is left follows at once.
const maxTurnBytes = 1 << 20

// turn is what a connection finds when it looks for what is new.
type turn struct {
	commit  int64 // the state in which it looked
	updates []update
	ran     bool // the database was asked
	beside  []whisper
}

// look returns what is new on all paths, as of one commit: what others have read
// already, else what the database says in one read transaction.
func (s *stream) look(ctx context.Context) (turn, error) {
	if err := s.expired(); err != nil {
		return turn{}, err
	}
	beside := s.whispers(time.Now())
	t, err := s.find(ctx)
	t.beside = beside
	return t, err
}

// find is look for what is numbered.
func (s *stream) find(ctx context.Context) (turn, error) {
	if t, ok := s.takeAll(); ok {
		return t, nil
	}
	// As many ask at once as there are connections to the database; the others
	// find afterwards what these have read.
	select {
	case s.engine.gate <- struct{}{}:
		defer func() { <-s.engine.gate }()
	case <-ctx.Done():
		return turn{}, ctx.Err()
	}
	if err := s.expired(); err != nil { // while it waited
		return turn{}, err
	}
	if t, ok := s.takeAll(); ok {
		return t, nil
	}
	return s.askAll(ctx)
}

// takeAll looks at what other connections have read. It returns false where that
// does not suffice, or is more than one turn sends.
func (s *stream) takeAll() (t turn, ok bool) {
	t.commit = s.engine.hub.processed.Load() // before asking whether anything concerns a right
	now, size := time.Now(), 0
	for _, sub := range s.subs {
		if !sub.dirty(now) {
			continue
		}
		u, ok := sub.take(t.commit)
		if !ok || size > maxTurnBytes {
			return turn{}, false
		}
		size += u.size()
		t.updates = append(t.updates, u)
	}
	if s.unsettled() || slices.ContainsFunc(s.subs, (*sub).undecided) {
		return turn{}, false
	}
	for _, u := range t.updates {
		u.sub.nextRun = now.Add(u.sub.path.Every)
	}
	return t, true
}

// askAll runs what is dirty in one read transaction, with the caller's rights as
// they are in it.
func (s *stream) askAll(ctx context.Context) (turn, error) {
	t := turn{ran: true}
	var standing []db.Dependency
	settles := s.unsettled()
	_, err := s.engine.db.Observe(ctx, func(ctx context.Context, commit int64) (err error) {
		t.commit = commit
		if settles && s.engine.standing != nil {
			if standing, err = db.Record(ctx, func() error { return s.engine.standing(ctx, s.actor) }); err != nil {
				return err
			}
		}
		if s.multiplexed {
			// What is not dirty now is as it was at this commit.
			if err := s.engine.hub.await(ctx, commit); err != nil {
				return err
			}
		}
		t.updates = s.askDirty(ctx, commit)
		return nil
	})
	if err != nil {
		return t, err
	}
	if settles {
		s.engine.hub.depend(&s.standing, standing, t.commit)
		s.settled, s.settledAt = true, t.commit
	}
	for _, u := range t.updates {
		if u.ran && u.err == nil {
			u.sub.learn(s.engine.hub, u)
		}
	}
	return t, nil
}

// askDirty returns the updates of the paths that are dirty: first the feeds that
// go on from a position, then the others as long as they fit.
func (s *stream) askDirty(ctx context.Context, commit int64) (all []update) {
	now := time.Now()
	dirty := make([]*sub, 0, len(s.subs))
	for _, sub := range s.subs {
		if sub.dirty(now) {
			dirty = append(dirty, sub)
		}
	}
	slices.SortStableFunc(dirty, func(a, b *sub) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ranAt, b.ranAt)) // who waited longest goes first
	})
	size := 0
	for _, sub := range dirty {
		if rank(sub) > 0 && size > maxTurnBytes {
			sub.cut = true // its turn is the next one
			continue
		}
		u, taken := update{}, false
		if s.multiplexed {
			u, taken = sub.take(commit)
		}
		if !taken {
			u = sub.ask(ctx, commit)
			s.count(&u)
		}
		if sub.path.Feed != nil && !u.first {
			u.fit(u.commit, min(maxTurnBytes/len(dirty), maxTurnBytes-size))
		}
		size += u.size()
		all = append(all, u)
		sub.nextRun = now.Add(sub.path.Every)
	}
	return all
}

// rank orders the paths of a turn: a feed that goes on from a position has to be
// in it, since its number is part of what the turn's number promises.
func rank(s *sub) int {
	if s.path.Feed != nil && s.paged && s.lasting {
		return 0
	}
	return 1
}

func (u *update) size() int {
	n := len(u.body) + len(u.own)
	for _, item := range u.items {
		n += len(item.Data)
	}
	return n
}

// unsettled reports whether a commit may have ended the caller's session or
// deactivated them.
func (s *stream) unsettled() bool { return !s.settled || s.standing.dirtyAt.Load() > s.settledAt }
