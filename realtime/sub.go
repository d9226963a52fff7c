package realtime

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Answer is the answer of a query, encoded.
type Answer struct {
	Body []byte
	// Own is how many of the last bytes of Body are the caller's alone, such as
	// their role. They may rest on nothing but the decision about their rights.
	Own int
}

// Query is a live query whose whole answer is sent whenever it has changed.
type Query func(ctx context.Context) (Answer, error)

// Item is one item of a feed, encoded. Its data is shared and not changed.
type Item struct {
	Key      string // names it within the feed, also after a change
	Position int64  // of its last change
	Data     []byte
	Ends     string // the key of the Interim that it makes final, "" for none
	Once     bool   // nothing of that key is told any more
}

// Part is a part of a feed, ascending.
type Part = domain.Part[Item]

// Feed is a live query over an append-only collection, of which only what is
// new is sent.
type Feed struct {
	// Read returns a part of the feed.
	Read func(ctx context.Context, span domain.Span) (Part, error)
	// After is where to begin, nil for the newest page.
	After *int64
	// Limit is the size of the newest page.
	Limit int
	// Aside is what is told beside the items; nil for nothing.
	Aside *Aside
}

// Path is what a client follows. Exactly one of Query and Feed is set.
type Path struct {
	// Name is what the client calls it, on a connection that follows many.
	Name string
	// About is what is asked for, however Name spells it: for Opened and Refused.
	About string
	Query Query
	Feed  *Feed
	// Topic is the same for all who are answered the same, but for their own
	// part; "" for an answer that depends on the caller.
	Topic string
	// Every is the least time between two runs of the query, 0 for the pace of the
	// connection. Of an answer that comes from memory nothing tells when it changes,
	// so it is asked for that often.
	Every time.Duration
	// Rung says that Engine.Ring tells of the Topic when what the query takes from
	// memory has changed: it is asked for then, and when a commit concerns it.
	Rung bool
}

// polled reports whether the answer is asked for by the clock.
func (p *Path) polled() bool { return p.Every > 0 && !p.Rung }

// sub is one path on one connection. It is used by the connection's goroutine.
type sub struct {
	path   Path
	topic  *topic
	rights watched // what the decision about the caller's rights rests on

	ofTopic, ofRights reader

	hearing *hearing // nil where the path has no Aside

	lasting   bool  // the URL names it, so that a resume covers it
	asked     bool  // it was asked once
	opened    bool  // that it is followed was told to Opened or Added
	told      bool  // on a connection that follows many: a round has told its answer
	again     bool  // what the last run depends on is not watched
	cut       bool  // the last run left something for the next
	decidedAt int64 // the commit at which the caller's rights were decided last
	ranAt     int64 // everything up to it was sent, but for what was cut
	heard     int64 // and every ring of the topic up to this one
	nextRun   time.Time

	sum    digest // of what was sent last, without the caller's own part
	own    []byte
	cursor int64 // of a feed: everything up to it was sent
	paged  bool  // the newest page was sent, or is not wanted: cursor counts
}

// subscribe begins to follow the path for the connection with the bell.
func (e *Engine) subscribe(p Path, b *bell, lasting bool) *sub {
	s := &sub{path: p, topic: e.topic(p.Topic), lasting: lasting}
	if p.Feed != nil && p.Feed.After != nil {
		s.cursor, s.paged = *p.Feed.After, true
	}
	s.ofTopic.bell, s.ofRights.bell = b, b
	e.hub.join(&s.topic.watched, &s.ofTopic)
	e.hub.join(&s.rights, &s.ofRights)
	if p.Feed != nil && p.Feed.Aside != nil {
		s.hearing = e.listen(p.Feed.Aside.Name, b)
	}
	return s
}

// unsubscribe ends what subscribe began.
func (e *Engine) unsubscribe(s *sub) {
	e.hub.part(&s.topic.watched, &s.ofTopic)
	e.hub.part(&s.rights, &s.ofRights)
	if s.hearing != nil {
		e.unlisten(s.path.Feed.Aside.Name, s.hearing)
	}
	e.leaveTopic(s.topic)
}

// resume goes on from the position that the client has reached; where that is
// not known, from the beginning. A query's answer is always complete. A position
// that many paths share may lie before where the path itself is to begin.
func (s *sub) resume(position int64, known, shared bool) {
	if s.path.Feed == nil {
		return
	}
	after := s.path.Feed.After
	s.cursor, s.paged = 0, true
	s.asked = false // what was found for another position is not told
	switch {
	case known && shared && after != nil:
		s.cursor = max(position, *after)
	case known:
		s.cursor = position
	}
}

// undecided reports whether a commit may have changed the caller's rights.
func (s *sub) undecided() bool { return !s.asked || s.rights.dirtyAt.Load() > s.decidedAt }

// dirty reports whether there may be something to send that may be sent now.
func (s *sub) dirty(now time.Time) bool {
	return s.undecided() || (s.stale() && !now.Before(s.nextRun))
}

// stale reports whether there may be something to send, now or later.
func (s *sub) stale() bool {
	return s.behind() || s.path.polled() || (s.path.Rung && s.topic.rung.Load() > s.heard)
}

// behind reports whether a commit may have brought something to send.
func (s *sub) behind() bool {
	return s.undecided() || s.cut || s.again || s.topic.dirtyAt.Load() > s.ranAt
}

// update is what a turn has found for one path.
type update struct {
	sub    *sub
	commit int64 // what follows is as of it
	heard  int64 // and covers every ring of the topic up to this one
	ran    bool  // the database was asked
	deps   []db.Dependency

	body   []byte // of a query's answer, the part that is shared
	own    []byte
	sum    digest
	items  []Item // of a feed
	first  bool   // they are the newest page
	more   bool   // there are more than these
	looked int64  // where they are fewer than there may be: everything up to it was looked at
	gone   int64  // of what had a position up to it, something is deleted
	short  bool   // and had one beyond the position that these items follow
	err    error
}

// truncated reports whether the client must be told that something is missing; a
// part of no items tells it only when it is the last.
func (u *update) truncated() bool { return u.short && (len(u.items) > 0 || !u.more) }

// last is the position up to which the update brings everything there is.
func (u *update) last() (position int64) {
	position = u.looked
	for _, item := range u.items {
		position = max(position, item.Position)
	}
	if u.short && !u.more {
		position = max(position, u.gone)
	}
	return position
}

// changed reports whether the update brings anything that was not sent.
func (u *update) changed() bool {
	if u.err != nil {
		return true
	}
	if u.sub.path.Feed != nil {
		return len(u.items) > 0 || u.truncated()
	}
	return u.sum != u.sub.sum || !bytes.Equal(u.own, u.sub.own)
}

// take returns what is new as of the commit without asking for it again, and
// false where that must be done. Every commit up to the given one must have been
// compared; the caller's rights stand if none of them has made s undecided.
func (s *sub) take(commit int64) (u update, ok bool) {
	u = update{sub: s, commit: commit, own: s.own}
	switch {
	case s.undecided() || s.again || s.path.polled():
		return u, false
	case s.path.Feed == nil:
		u.body, u.sum, u.heard, ok = s.topic.answer(commit, s.sum)
		return u, ok
	case !s.paged:
		return u, false
	}
	u.items, ok = s.topic.beyond(commit, s.cursor)
	return u, ok && len(u.items) <= domain.MaxFeedPage
}

// ask runs the query in the transaction that ctx carries, with the caller's
// rights as they are in it.
func (s *sub) ask(ctx context.Context, commit int64) update {
	u := update{sub: s, commit: commit, ran: true, heard: s.topic.rung.Load()}
	u.deps, u.err = db.Record(ctx, func() (err error) {
		if s.path.Feed == nil {
			var a Answer
			a, err = s.path.Query(ctx)
			shared := len(a.Body) - a.Own
			u.body, u.own, u.sum = a.Body[:shared], a.Body[shared:], digestOf(a.Body[:shared])
			return err
		}
		span := domain.Span{Limit: s.path.Feed.Limit}
		if u.first = !s.paged; s.paged {
			span = domain.Span{After: &s.cursor, Limit: domain.MaxFeedPage}
		}
		part, err := s.path.Feed.Read(ctx, span)
		u.items, u.more, u.looked, u.gone, u.short = part.Items, part.More, part.Looked, part.Gone, span.Truncated(part.Gone)
		return err
	})
	return u
}

// learn notes what an update has read and what that depends on: the data for all
// who share it, the decision for this caller.
func (s *sub) learn(h *hub, u update) {
	var data, rights []db.Dependency
	for _, d := range u.deps {
		if d.Decides {
			rights = append(rights, d)
		} else {
			data = append(data, d)
		}
	}
	h.depend(&s.rights, rights, u.commit)
	u.endings()
	if s.path.polled() {
		s.asked, s.decidedAt = true, u.commit
		return // what else it has read is asked for by the clock
	}
	var watched bool
	switch {
	case s.path.Feed == nil:
		watched = s.topic.learnAnswer(h, data, u)
	case u.first:
		watched = s.topic.learnItems(h, data, u.commit, u.commit, Part{})
	default:
		watched = s.topic.learnItems(h, data, u.commit, s.cursor, Part{Items: u.items, More: u.more, Looked: u.looked, Gone: u.gone})
	}
	s.asked, s.again, s.decidedAt = true, !watched, u.commit
}

// advance notes that the update is about to be sent.
func (s *sub) advance(u update) {
	s.ranAt, s.heard, s.cut = u.commit, u.heard, u.more
	if s.path.Feed == nil {
		s.sum = u.sum
		if !bytes.Equal(s.own, u.own) {
			s.own = slices.Clone(u.own)
		}
		return
	}
	switch {
	case u.first:
		// The newest page shows the feed as it is at this commit; what comes after
		// it is what changes later, whether it is on the page or not.
		s.cursor, s.paged, s.cut = u.commit, true, false
	default:
		s.cursor = max(s.cursor, u.last())
	}
}

// fit leaves of a feed's items those up to the horizon and up to a number of
// bytes, but at least one.
func (u *update) fit(horizon int64, size int) {
	for i, item := range u.items {
		if item.Position > horizon || (i > 0 && size < len(item.Data)) {
			u.items, u.more, u.looked = u.items[:i], true, 0
			return
		}
		size -= len(item.Data)
	}
}

// event returns what is told of the update on a connection of its own.
func (u *update) event() event {
	if u.sub.path.Feed != nil {
		return event{name: "items", id: strconv.FormatInt(u.last(), 10), data: u.encode()}
	}
	return event{name: "snapshot", id: strconv.FormatInt(u.commit, 10), data: u.encode()}
}

// encode returns the body of the update.
func (u *update) encode() []byte {
	if u.sub.path.Feed == nil {
		if len(u.own) == 0 {
			return u.body
		}
		return slices.Concat(u.body, u.own)
	}
	items := make([][]byte, len(u.items))
	for i, item := range u.items {
		items[i] = item.Data
	}
	return encodeList(items, u.truncated())
}

// encodeList returns the body of a feed's event.
func encodeList(items [][]byte, truncated bool) []byte {
	size := len(`{"items":[],"truncated":true}`)
	for _, item := range items {
		size += len(item) + 1
	}
	body := append(make([]byte, 0, size), `{"items":[`...)
	for i, item := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, item...)
	}
	if truncated {
		return append(body, `],"truncated":true}`...)
	}
	return append(body, `]}`...)
}
