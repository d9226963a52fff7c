// Package presence is who is in a meeting right now, as far as memory knows.
package presence

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"

	"connvo/domain"
)

const (
	// TTL is how long somebody is here after they have said so. Clients say it
	// every 10 s, so that one that is lost does not matter.
	TTL = 30 * time.Second
	// renewal is when it is told that somebody will be here for longer: when less
	// is left of what was told. Ten people who say every 10 s that they are still
	// here are one change in 10 s then, rather than ten.
	renewal = TTL / 2
	// MaxPerMeeting is as many as a meeting has members.
	MaxPerMeeting = 1000
	// MaxInAll bounds the memory: some 20 MB.
	MaxInAll = 50_000
)

// Cursor is a place in the notes of a meeting, in UTF-16 code units.
type Cursor struct {
	Version int64 // of the notes that it is about
	Anchor  int64 // where the selection began
	Head    int64 // where it ends; the same as Anchor where nothing is selected
}

// State is what somebody is doing.
type State struct {
	Typing bool
	Cursor *Cursor // nil for none; it is shared and not changed
}

// Sign is that somebody is here.
type Sign struct {
	User  domain.UserID
	Visit time.Time // when the visit began that it is of: who comes again gives another
	State State
	// Expires is until when they are here at least. The sign itself ends TTL after it
	// was given last, which may be later.
	Expires time.Time
}

// Board keeps the signs of all meetings. Where nobody is it holds nothing, and no
// timer goes on. It decides about no right. Its methods are safe for concurrent
// use.
type Board struct {
	now     func() time.Time
	pace    time.Duration
	changed func(domain.MeetingID)

	mu     sync.Mutex // guards the rest
	rooms  map[domain.MeetingID]*room
	order  list.List   // of *entry: the sign that was given first stands first, and ends first
	expiry *time.Timer // for the first of order; nil while there is none
	closed bool
}

// entry is a sign and where it was given.
type entry struct {
	meeting domain.MeetingID
	Sign
	ends time.Time // not before Sign.Expires
}

// room is what is known of one meeting.
type room struct {
	signs  map[domain.UserID]*list.Element // in Board.order
	toldAt time.Time                       // when changed was called last
	late   *time.Timer                     // calls it for what has happened since; nil while nothing has
}

// NewBoard returns a board on which nobody is. changed is called after what In
// returns for a meeting has changed: at once, but while somebody is there not
// sooner than pace after the call before, and then once for all that has happened
// since. It may call In.
func NewBoard(now func() time.Time, pace time.Duration, changed func(domain.MeetingID)) *Board {
	return &Board{now: now, pace: pace, changed: changed, rooms: map[domain.MeetingID]*room{}}
}

// Close stops the timers. What is put afterwards is told to nobody.
func (b *Board) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.expiry != nil {
		b.expiry.Stop()
	}
	for _, r := range b.rooms {
		if r.late != nil {
			r.late.Stop()
		}
	}
}

// Put notes that the user is in the meeting for the next TTL, since when, and what
// they are doing; it replaces what they have said before.
//
// Errors: Unavailable when MaxPerMeeting or MaxInAll are here already.
func (b *Board) Put(m domain.MeetingID, user domain.UserID, visit time.Time, s State) error {
	now := b.now()
	b.mu.Lock()
	told := b.expire(now)
	changed, err := b.put(now, m, Sign{User: user, Visit: visit, State: s, Expires: now.Add(TTL)})
	if changed && b.note(m, now) {
		told = append(told, m)
	}
	b.mu.Unlock()
	b.tell(told)
	return err
}

// put stores a sign, and reports whether that changes what In returns. b.mu is
// held.
func (b *Board) put(now time.Time, m domain.MeetingID, s Sign) (changed bool, err error) {
	r, known := b.rooms[m]
	if known && r.signs[s.User] != nil {
		at := r.signs[s.User]
		b.order.MoveToBack(at)
		e := at.Value.(*entry)
		e.ends = s.Expires
		if s.Visit.Equal(e.Visit) && s.State.equal(e.State) {
			return r.renew(now, e), nil
		}
		e.Sign = s
		return true, nil
	}
	switch {
	case known && len(r.signs) >= MaxPerMeeting:
		return false, domain.Fail(domain.Unavailable, "as many people are in the meeting as can be shown; try again in half a minute")
	case b.order.Len() >= MaxInAll:
		return false, domain.Fail(domain.Unavailable, "as many people are in meetings as the server can show; try again in half a minute")
	}
	if !known {
		r = &room{signs: map[domain.UserID]*list.Element{}}
		b.rooms[m] = r
	}
	r.signs[s.User] = b.order.PushBack(&entry{m, s, s.Expires})
	b.arm(now)
	return true, nil
}

// equal reports whether somebody is doing the same.
func (s State) equal(o State) bool {
	if s.Cursor == nil || o.Cursor == nil {
		return s == o
	}
	return s.Typing == o.Typing && *s.Cursor == *o.Cursor
}

// renew tells until when all in the room are here, if that is due for e, and
// reports whether it was.
func (r *room) renew(now time.Time, e *entry) bool {
	if e.Expires.Sub(now) > renewal {
		return false
	}
	for _, at := range r.signs {
		all := at.Value.(*entry)
		all.Expires = all.ends
	}
	return true
}

// In returns who is in the meeting, by user.
func (b *Board) In(m domain.MeetingID) []Sign {
	now := b.now()
	b.mu.Lock()
	told := b.expire(now)
	var signs []Sign
	if r, known := b.rooms[m]; known {
		signs = make([]Sign, 0, len(r.signs))
		for _, at := range r.signs {
			signs = append(signs, at.Value.(*entry).Sign)
		}
	}
	b.mu.Unlock()
	b.tell(told)
	slices.SortFunc(signs, func(a, b Sign) int { return strings.Compare(string(a.User), string(b.User)) })
	return signs
}

// Len returns how many people are here, each counted in each meeting.
func (b *Board) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.order.Len()
}

// expire forgets the signs that have ended, and returns the meetings to tell of
// it. b.mu is held.
func (b *Board) expire(now time.Time) (told []domain.MeetingID) {
	for first := b.order.Front(); first != nil; first = b.order.Front() {
		// One that would last longer than any was given before the clock was set
		// back.
		sign := first.Value.(*entry)
		if left := sign.ends.Sub(now); left > 0 && left <= TTL {
			break
		}
		b.order.Remove(first)
		delete(b.rooms[sign.meeting].signs, sign.User)
		if b.note(sign.meeting, now) {
			told = append(told, sign.meeting)
		}
	}
	return told
}

// arm waits for the end of the first sign, where there is one. b.mu is held.
func (b *Board) arm(now time.Time) {
	first := b.order.Front()
	if b.expiry != nil || first == nil || b.closed {
		return
	}
	b.expiry = time.AfterFunc(first.Value.(*entry).ends.Sub(now), func() {
		now := b.now()
		b.mu.Lock()
		b.expiry = nil
		told := b.expire(now)
		b.arm(now)
		b.mu.Unlock()
		b.tell(told)
	})
}

// note notes that something has happened in the meeting, and reports whether it
// is to be told at once. b.mu is held.
func (b *Board) note(m domain.MeetingID, now time.Time) bool {
	r := b.rooms[m]
	if r.late != nil || b.closed {
		return false
	}
	// A clock that was set back does not make it wait longer.
	if wait := min(b.pace, r.toldAt.Add(b.pace).Sub(now)); wait > 0 {
		r.late = time.AfterFunc(wait, func() { b.catchUp(m) })
		return false
	}
	b.wasTold(m, now)
	return true
}

// catchUp tells what had to wait.
func (b *Board) catchUp(m domain.MeetingID) {
	now := b.now()
	b.mu.Lock()
	b.rooms[m].late = nil
	b.wasTold(m, now)
	closed := b.closed
	b.mu.Unlock()
	if !closed {
		b.changed(m)
	}
}

// wasTold notes that the meeting is about to be told, and forgets one where
// nobody is. b.mu is held.
func (b *Board) wasTold(m domain.MeetingID, now time.Time) {
	r := b.rooms[m]
	if r.toldAt = now; len(r.signs) == 0 {
		delete(b.rooms, m)
	}
}

// tell is called without b.mu, since changed may come back.
func (b *Board) tell(meetings []domain.MeetingID) {
	for _, m := range meetings {
		b.changed(m)
	}
}
