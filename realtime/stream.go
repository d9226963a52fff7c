package realtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"connvo/domain"
)

// Request is a live GET.
type Request struct {
	Actor domain.Actor
	// Paths is what is followed: one path, or several on a Multiplexed connection.
	Paths []Path
	// Multiplexed connections are told in rounds and may change what they follow.
	Multiplexed bool
	// LastEventID is what the client has reached, nil when it comes anew.
	LastEventID *string
	// Heartbeat is how many seconds pass between heartbeats; 0 for
	// DefaultHeartbeat.
	Heartbeat int
	// Renew returns when the actor's token ends, after it was renewed; nil where it
	// cannot be, and the stream ends with the token. It is called before the end,
	// again when it could not be done, and ends with its context.
	Renew func(ctx context.Context) (time.Time, error)
	// Opened is called once the stream is about to begin, with what it has read by
	// then, and may refuse it.
	Opened func(follows []Path) error
	// Added is called with paths that a Multiplexed connection reads for the first
	// time later, before they are told; an error ends the stream.
	Added func(added []Path) error
	// Refused is called with each path that a Multiplexed connection was asked to
	// follow and never could; nil where nobody wants to know.
	Refused func(p Path, err error)
}

// Serve answers with a stream that lasts until the client goes, its right or
// its token ends, or the engine drains.
//
// An error is returned before anything was written, and only for what is wrong
// for good; the caller answers it as it would a plain GET. What passes is told
// in the stream itself, so that an EventSource comes again.
func (e *Engine) Serve(ctx context.Context, w http.ResponseWriter, r Request) error {
	s := &stream{
		engine: e, id: e.connectionID(), actor: r.Actor, multiplexed: r.Multiplexed, opened: e.db.Now(),
		bell: newBell(), out: w, control: http.NewResponseController(w), heartbeat: DefaultHeartbeat,
		names: map[string]struct{}{}, added: r.Added, refused: r.Refused,
	}
	s.renewer = renewer{renew: r.Renew, at: aheadOf(r.Actor.Expires, s.opened)}
	if r.Heartbeat > 0 {
		s.heartbeat = time.Duration(r.Heartbeat) * e.second
	}
	err := e.admit(s)
	if err == nil {
		defer e.leave(s)
		err = e.arrive(ctx)
	}
	if err == nil {
		defer s.close()
		s.open(r.Paths)
		err = s.begin(ctx, r)
	}
	if err != nil {
		if e.Refuse(ctx, w, err) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.renewer.wait()
	defer cancel()
	s.run(ctx)
	return nil
}

// connectionID returns the id of a new connection. It is known in its region alone,
// which it therefore names.
func (e *Engine) connectionID() string {
	if e.region == "" {
		return rand.Text()
	}
	return e.region + "_" + rand.Text()
}

// Refuse answers a live GET that err keeps from beginning. What passes is told
// in a stream, so that an EventSource comes again; else nothing is written and
// it returns false.
func (e *Engine) Refuse(ctx context.Context, w http.ResponseWriter, err error) bool {
	p := e.problem(ctx, err)
	if !p.Passes {
		return false
	}
	s := &stream{engine: e, out: w, control: http.NewResponseController(w)}
	s.header()
	s.end(p)
	return true
}

// stream is one connection. Beyond mu it is used by the request's goroutine only.
type stream struct {
	engine      *Engine
	id          string
	actor       domain.Actor
	multiplexed bool
	opened      time.Time
	figures     figures

	mu     sync.Mutex          // guards the rest of this block
	names  map[string]struct{} // of the paths, of those to come too
	wanted change              // that is not made yet
	closed bool                // nothing can be followed any more

	bell      *bell
	url       []string // the names of the URL's paths
	began     bool     // Opened was told
	upTo      int64    // the last id that was told
	subs      []*sub
	added     func([]Path) error
	refused   func(Path, error)
	standing  watched // what the decision rests on whether the caller may be served at all
	ofStands  reader
	settled   bool // that decision was made once
	settledAt int64
	passed    int // how many events with items went before an interim one that waits

	renewer   renewer
	out       http.ResponseWriter
	control   *http.ResponseController
	heartbeat time.Duration
	nextSend  time.Time // not before it, unless it is urgent
	heartAt   time.Time
}

// open begins to follow the paths of the URL.
func (s *stream) open(paths []Path) {
	s.ofStands.bell = s.bell
	s.engine.hub.join(&s.standing, &s.ofStands)
	for _, p := range paths {
		s.url = append(s.url, p.Name)
		s.subs = append(s.subs, s.engine.subscribe(p, s.bell, true))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		s.names[p.Name] = struct{}{}
	}
}

// close forgets everything that is followed.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, sub := range s.subs {
		s.engine.unsubscribe(sub)
	}
	s.engine.hub.part(&s.standing, &s.ofStands)
}

// begin looks for the first time and sends ready and what there is.
func (s *stream) begin(ctx context.Context, r Request) error {
	resumed := false
	if r.LastEventID != nil {
		position, known := ParsePosition(*r.LastEventID)
		resumed = known && s.engine.db.Known(position)
		for _, sub := range s.subs {
			sub.resume(position, resumed, s.multiplexed)
		}
	}
	t, err := s.look(ctx)
	if err == nil && resumed && slices.ContainsFunc(t.updates, func(u update) bool { return u.short }) {
		// What the client holds of a feed is not what is left of it.
		resumed = false
		for _, sub := range s.subs {
			sub.resume(0, false, s.multiplexed)
		}
		t, err = s.look(ctx)
	}
	if err != nil {
		return err
	}
	events, err := s.events(ctx, t)
	if err != nil {
		return err
	}
	if err := s.opens(t, r.Opened); err != nil {
		return err
	}
	ready, err := json.Marshal(readyBody{ConnectionID: s.id, Resumed: resumed, Commit: t.commit})
	if err != nil {
		return err
	}
	first := event{name: "ready", data: ready}
	if len(events) == 0 {
		// Nothing else has an id yet, and a client that has none could not say,
		// after a break, from where to go on.
		first.id = strconv.FormatInt(t.commit, 10)
	}
	s.header()
	s.figures.told(t.commit, 0, time.Now()) // before it is, so that nobody who has read it looks too early
	s.send(append([]event{first}, events...)...)
	return nil
}

type readyBody struct {
	ConnectionID string `json:"connectionId"`
	Resumed      bool   `json:"resumed"`
	Commit       int64  `json:"commit"`
}

type heartbeatBody struct {
	At     string `json:"at"`
	Commit int64  `json:"commit"`
}

// events returns what is told of a turn. An error ends the stream; on a
// connection that follows many paths, what is wrong with one for good ends that
// path alone.
func (s *stream) events(ctx context.Context, t turn) ([]event, error) {
	if !s.multiplexed {
		return s.single(t)
	}
	problems := map[*sub][]byte{}
	var added []*sub
	for _, u := range t.updates {
		if u.err == nil {
			added = append(added, u.sub)
			continue
		}
		p := s.engine.problem(ctx, u.err)
		if p.Passes && p.Status != http.StatusInternalServerError {
			return nil, u.err // a path that always fails must not end the others for ever
		}
		problems[u.sub] = p.Body
		if !u.sub.told && s.refused != nil {
			s.refused(u.sub.path, u.err)
		}
		s.drop(u.sub)
	}
	if err := s.begun(added); err != nil {
		return nil, err
	}
	return s.round(t, problems), nil
}

// run sends what is new until the stream ends.
func (s *stream) run(ctx context.Context) {
	now := time.Now()
	s.heartAt, s.nextSend = now.Add(s.heartbeat), now.Add(pace)
	timer := time.NewTimer(s.heartbeat)
	defer timer.Stop()
	for s.step(ctx, timer) {
	}
}

// step sends what is due, then waits for the next thing to do. It returns false
// when the stream has ended.
func (s *stream) step(ctx context.Context, timer *time.Timer) bool {
	now := time.Now()
	if err := s.entitled(ctx); err != nil {
		if ctx.Err() == nil {
			s.end(s.engine.problem(ctx, err))
		}
		return false
	}
	s.change()
	beating := !now.Before(s.heartAt)
	considered := s.engine.hub.processed.Load() // before asking whether anything is new
	since := s.bell.since.Load()
	d := s.dirtiness(now)
	if d == clean {
		s.bell.since.CompareAndSwap(since, 0) // the last turn has served it
	}
	if d > clean && (beating || d > dirty || !now.Before(s.nextSend)) && !s.update(ctx) {
		return false
	}
	// What was left over is not considered yet, and follows at once.
	if beating && s.dirtiness(now) != hasMore && !s.beat(s.consideredUpTo(considered), now) {
		return false
	}
	timer.Reset(s.untilNext(time.Now()))
	select {
	case <-ctx.Done():
		return false
	case <-s.engine.draining:
		s.end(s.engine.problem(ctx, errDraining))
		return false
	case a := <-s.renewer.answers:
		s.renewed(a)
	case <-s.bell.rung:
	case <-timer.C:
	}
	return true
}

// update sends what is new.
func (s *stream) update(ctx context.Context) bool {
	since := s.bell.since.Swap(0)
	t, err := s.look(ctx)
	var events []event
	if err == nil {
		events, err = s.events(ctx, t)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.end(s.engine.problem(ctx, err))
		}
		return false
	}
	if !t.ran && len(t.updates) > 0 {
		s.engine.shared.Add(1)
		s.figures.shared.Add(1)
	}
	if len(events) > 0 {
		s.nextSend = nextTurn(s.nextSend, time.Now())
		if !s.send(events...) {
			return false
		}
	}
	now := time.Now()
	s.figures.told(t.commit, since, now)
	if since > 0 && len(events) > 0 && s.engine.delivered != nil {
		s.engine.delivered(now.Sub(time.Unix(0, since)))
	}
	return true
}

// count notes that the database was asked.
func (s *stream) count(u *update) {
	if u.sub.path.polled() {
		return // it is asked by the clock, and would count itself
	}
	rerun := u.sub.asked && u.err == nil
	s.engine.runs.add(rerun, rerun && !u.changed())
	s.figures.runs.add(rerun, rerun && !u.changed())
}
