package handlers

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"connvo/auth"
	"connvo/domain"
	"connvo/realtime"
)

// The bounds of tickets.
const (
	// ticketTime is what a page needs to open the stream that it has just asked
	// a ticket for.
	ticketTime = 30 * time.Second
	// maxTicketsPerUser is every stream that a user may have, at once.
	maxTicketsPerUser = 100
	// maxTickets bounds the memory that they take.
	maxTickets = 20_000
	// ticketLength is that of rand.Text.
	ticketLength = 26
)

// ticket lets one stream begin, for the caller who asked for it.
type ticket struct {
	id      string
	who     domain.Actor
	target  [sha256.Size]byte // of the stream: targetOf
	expires time.Time
}

// tickets are those that are not used yet. They are safe for concurrent use, and
// end with the process: who has one then takes a new one.
type tickets struct {
	now func() time.Time

	mu     sync.Mutex // guards the rest
	byID   map[string]*ticket
	byUser map[domain.UserID]int
	queue  []*ticket // in the order in which they expire
}

func newTickets(now func() time.Time) *tickets {
	return &tickets{now: now, byID: map[string]*ticket{}, byUser: map[domain.UserID]int{}}
}

// issue returns a ticket for the target. Errors: RateLimited and Unavailable at
// the bounds.
func (t *tickets) issue(who domain.Actor, target [sha256.Size]byte) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	switch {
	case t.byUser[who.User] >= maxTicketsPerUser:
		return "", domain.Fail(domain.RateLimited, "a user may hold %d unused tickets; use them, or wait until they expire", maxTicketsPerUser)
	case len(t.queue) >= maxTickets:
		return "", domain.Fail(domain.Unavailable, "too many tickets are unused")
	}
	n := &ticket{id: rand.Text(), who: who, target: target, expires: t.now().Add(ticketTime)}
	t.byID[n.id] = n
	t.byUser[who.User]++
	t.queue = append(t.queue, n)
	return n.id, nil
}

// expire forgets the tickets whose time is over. t.mu is held.
func (t *tickets) expire() {
	now := t.now()
	n := 0
	for ; n < len(t.queue) && !t.queue[n].expires.After(now); n++ {
		t.forget(t.queue[n])
	}
	clear(t.queue[:n])
	t.queue = t.queue[n:]
}

func (t *tickets) forget(spent *ticket) {
	if _, found := t.byID[spent.id]; !found {
		return
	}
	delete(t.byID, spent.id)
	if t.byUser[spent.who.User]--; t.byUser[spent.who.User] == 0 {
		delete(t.byUser, spent.who.User)
	}
}

// errSpentTicket is answered 204, which ends an EventSource for good.
var errSpentTicket = errors.New("the ticket is spent")

// redeem returns for whom the ticket opens the target, once. A ticket that is not
// known was used or has expired; what never was one is refused, and so is one
// that has outlived its caller's token.
func (t *tickets) redeem(id string, target [sha256.Size]byte) (domain.Actor, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	n, found := t.byID[id]
	switch {
	case !found && len(id) != ticketLength:
		return domain.Actor{}, domain.Because(domain.Unauthenticated, auth.Malformed, "this is no ticket; POST /v1/stream-tickets gives one")
	case !found:
		return domain.Actor{}, errSpentTicket
	case n.target != target:
		return domain.Actor{}, domain.Because(domain.Forbidden, auth.Foreign, "the ticket is for another path")
	}
	t.forget(n)
	if !n.who.Expires.IsZero() && !t.now().Before(n.who.Expires) {
		return domain.Actor{}, domain.Because(domain.Unauthenticated, auth.Expired, "the token that the ticket was asked with has expired")
	}
	return n.who, nil
}

// ticketOf returns the ticket of the request, "" for none.
func ticketOf(r *http.Request) string { return r.URL.Query().Get("ticket") }

// targetOf is what a ticket is for: the digest of the path with the parameters
// that say what is followed.
func targetOf(u *url.URL) [sha256.Size]byte { return sha256.Sum256([]byte(topicName(u, false))) }

func (s *Server) createTicket(r *http.Request, c *call, in *ticketRequest) (ticketGrant, error) {
	u, err := parsePath(in.Body.Path)
	if err == nil {
		var p realtime.Path
		if p, err = s.rehearse(r, u); err == nil && p.Name == "" {
			err = newProblem(http.StatusNotAcceptable, "the path cannot be followed")
		}
	}
	if isTooMany(err) {
		return ticketGrant{}, err
	}
	if err != nil {
		return ticketGrant{}, newProblem(http.StatusUnprocessableEntity, "validation failed", fieldError{Location: "body.path", Message: sentence(err)})
	}
	if err := s.misdirectedTo(r, u); err != nil {
		return ticketGrant{}, err
	}
	id, err := s.tickets.issue(c.who, targetOf(u))
	return ticketGrant{Ticket: id, ExpiresIn: int64(ticketTime.Seconds())}, err
}
