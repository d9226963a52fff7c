package realtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"connvo/domain"
)

// Request is one live GET. Exactly one of Query and Feed is set.
type Request struct {
	Actor domain.Actor
	Query Query
	Feed  *Feed
	// LastEventID is what the client has reached, nil when it comes anew.
	LastEventID *string
	// Heartbeat is how many seconds pass between heartbeats; 0 for
	// DefaultHeartbeat.
	Heartbeat int
}

// Serve answers with a stream that lasts until the client goes, its right or
// its token ends, or the engine drains.
//
// An error is returned before anything was written, and only for what is wrong
// for good; the caller answers it as it would a plain GET. What passes is told
// in the stream itself, so that an EventSource comes again.
func (e *Engine) Serve(ctx context.Context, w http.ResponseWriter, r Request) error {
	s := &stream{
		engine: e, path: newPath(), actor: r.Actor, source: sourceOf(r),
		out: w, control: http.NewResponseController(w), heartbeat: DefaultHeartbeat,
	}
	if r.Heartbeat > 0 {
		s.heartbeat = time.Duration(r.Heartbeat) * e.second
	}
	err := e.admit(r.Actor.User)
	if err == nil {
		defer e.leave(r.Actor.User)
		defer e.hub.forget(s.path)
		err = s.begin(ctx, r.LastEventID)
	}
	if err == nil && r.Feed != nil {
		s.tail = e.join(r.Feed.Name, s.ranAt)
		defer e.part(r.Feed.Name)
	}
	if err != nil {
		if e.Refuse(ctx, w, err) {
			return nil
		}
		return err
	}
	s.run(ctx)
	return nil
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

func sourceOf(r Request) source {
	if r.Feed != nil {
		return newFeedSource(*r.Feed)
	}
	return &querySource{query: r.Query}
}

// stream is one connection. It is used by the request's goroutine only.
type stream struct {
	engine    *Engine
	path      *path
	actor     domain.Actor
	source    source
	tail      *tail // of the feed that it follows, nil otherwise
	out       http.ResponseWriter
	control   *http.ResponseController
	heartbeat time.Duration

	buffer   []byte
	ranAt    int64     // the commit of the last run
	cut      bool      // the last run left something for the next
	nextSend time.Time // not before it, unless it is urgent
	heartAt  time.Time
}

// begin runs the query for the first time and sends ready and what it answers.
func (s *stream) begin(ctx context.Context, lastEventID *string) error {
	resumed := false
	events, commit, err := s.compute(ctx, func(commit int64) {
		if lastEventID != nil {
			position, known := ParsePosition(*lastEventID)
			resumed = s.source.resume(position, known && position <= commit)
		}
	})
	if err != nil {
		return err
	}
	ready, err := json.Marshal(readyBody{ConnectionID: rand.Text(), Resumed: resumed, Commit: commit})
	if err != nil {
		return err
	}
	first := event{name: "ready", data: ready}
	if len(events) == 0 {
		// Nothing else has an id yet, and a client that has none could not say,
		// after a break, from where to go on.
		first.id = strconv.FormatInt(commit, 10)
	}
	s.header()
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

// compute runs the query in one read transaction, with the caller's rights as
// they are in it, and notes what it depends on. before, when set, is told the
// commit first.
func (s *stream) compute(ctx context.Context, before func(commit int64)) (events []event, commit int64, err error) {
	s.engine.runs.Add(1)
	snapshot, err := s.engine.db.Observe(ctx, func(ctx context.Context, at int64) (err error) {
		commit = at
		if before != nil {
			before(at)
		}
		events, s.cut, err = s.source.next(ctx, at)
		return err
	})
	if err != nil {
		return nil, commit, err
	}
	s.ranAt = commit
	s.engine.hub.depend(s.path, snapshot.Deps, commit)
	return events, commit, nil
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
	if !s.actor.Expires.IsZero() && !s.engine.db.Now().Before(s.actor.Expires) {
		s.end(s.engine.problem(ctx, domain.Fail(domain.Unauthenticated, "the token has expired")))
		return false
	}
	beating := !now.Before(s.heartAt)
	considered := s.engine.hub.processed.Load() // before asking whether anything is new
	if s.dirty() {
		if (beating || s.cut || !now.Before(s.nextSend) || s.path.urgent.Load()) && !s.update(ctx) {
			return false
		}
		if s.cut {
			return true
		}
		considered = s.ranAt // what has been marked since is not considered yet
	}
	if beating && !s.beat(max(considered, s.ranAt)) {
		return false
	}
	timer.Reset(s.untilNext(time.Now()))
	select {
	case <-ctx.Done():
		return false
	case <-s.engine.draining:
		s.end(s.engine.problem(ctx, errDraining))
		return false
	case <-s.path.wake:
	case <-timer.C:
	}
	return true
}

// dirty reports whether something may have changed since the last run, or was
// left over by it.
func (s *stream) dirty() bool { return s.cut || s.path.dirtyAt.Load() > s.ranAt }

// untilNext returns how long to wait if nothing is marked meanwhile.
func (s *stream) untilNext(now time.Time) time.Duration {
	next := s.heartAt
	if s.dirty() && s.nextSend.Before(next) {
		next = s.nextSend
	}
	wait := next.Sub(now)
	if !s.actor.Expires.IsZero() {
		wait = min(wait, s.actor.Expires.Sub(s.engine.db.Now()))
	}
	return max(wait, time.Millisecond)
}

// update sends what is new: what another stream of the feed has read already,
// else what the query answers now.
func (s *stream) update(ctx context.Context) bool {
	events, ok := s.share(ctx)
	var err error
	if !ok {
		s.path.urgent.Store(false)
		events, _, err = s.compute(ctx, nil)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.end(s.engine.problem(ctx, err))
		}
		return false
	}
	if len(events) == 0 {
		s.engine.unchanged.Add(1)
		return true
	}
	s.nextSend = nextTurn(s.nextSend, time.Now())
	return s.send(events...)
}

// nextTurn returns when the next event may be sent after one that was due at due
// and is sent now. A stream that always has something new keeps its beat: what
// waking up took is not added to every turn.
func nextTurn(due, now time.Time) time.Time {
	if late := now.Sub(due); late < 0 || late > pace {
		due = now
	}
	return due.Add(pace)
}

// share returns what is new in a feed without asking for it again, and false
// where that must be done: the stream is too far behind, or a commit may have
// changed the caller's rights.
//
// The decision of the last run holds as of a commit when every commit up to it
// has been compared and none of them concerned the decision.
func (s *stream) share(ctx context.Context) ([]event, bool) {
	feed, followed := s.source.(*feedSource)
	if !followed || s.cut || s.tail == nil || feed.cursor == nil || s.path.urgent.Load() {
		return nil, false
	}
	items, upTo, ok := s.tail.since(ctx, *feed.cursor, s.path.dirtyAt.Load(), func(ctx context.Context, after int64) (items []Item, more bool, commit int64, err error) {
		_, err = s.engine.db.Observe(ctx, func(ctx context.Context, at int64) (err error) {
			commit = at
			items, more, err = feed.feed.Read(ctx, domain.Span{After: &after, Limit: domain.MaxFeedPage})
			return err
		})
		return items, more, commit, err
	})
	compared := s.engine.hub.processed.Load() // before asking whether the rights are what they were
	if !ok || len(items) > domain.MaxFeedPage || compared < upTo || s.path.urgent.Load() {
		return nil, false
	}
	s.ranAt = upTo
	s.engine.shared.Add(1)
	return feed.advance(items), true
}

// beat tells that everything up to commit has been considered.
func (s *stream) beat(commit int64) bool {
	s.heartAt = time.Now().Add(s.heartbeat)
	body, err := json.Marshal(heartbeatBody{At: s.engine.db.Now().Format(domain.TimeFormat), Commit: commit})
	if err != nil {
		return false
	}
	return s.send(event{name: "heartbeat", data: body})
}

// header begins the answer.
func (s *stream) header() {
	h := s.out.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Content-Encoding", "none") // proxies that compress would hold events back
	s.out.WriteHeader(http.StatusOK)
}

// end sends the problem that ends the stream.
func (s *stream) end(p Problem) {
	e := event{name: "problem", data: p.Body}
	if p.Passes {
		e.retry = s.engine.retry()
	}
	s.send(e)
}

// send writes the events, all or none, and reports whether the client took them.
func (s *stream) send(events ...event) bool {
	s.buffer = s.buffer[:0]
	for _, e := range events {
		var err error
		if s.buffer, err = appendEvent(s.buffer, e); err != nil {
			s.engine.log.Error("event", "name", e.name, "error", err)
			return false
		}
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer without deadlines blocks no one else
	_, err := s.out.Write(s.buffer)
	if err == nil {
		err = s.control.Flush()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.engine.log.Info("stream ended", "code", "slow_consumer", "user", s.actor.User)
	}
	if cap(s.buffer) > keptBuffer {
		s.buffer = nil
	}
	return err == nil
}

// keptBuffer is what an idle stream keeps of its buffer.
const keptBuffer = 1 << 10
