package realtime

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	"connvo/domain"
)

// beat tells that everything up to commit has been considered.
func (s *stream) beat(commit int64, now time.Time) bool {
	s.heartAt = time.Now().Add(s.heartbeat)
	for _, sub := range s.subs {
		sub.topic.tidy(now)
		if sub.hearing != nil {
			sub.hearing.to.tidy(now)
		}
	}
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
	buffer := s.engine.buffers.Get().(*[]byte)
	b := (*buffer)[:0]
	for _, e := range events {
		var err error
		if b, err = appendEvent(b, e); err != nil {
			s.engine.log.Error("event", "name", e.name, "error", err)
			return false
		}
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.engine.writeTimeout)) // a writer without deadlines blocks no one else
	_, err := s.out.Write(b)
	if err == nil {
		err = s.control.Flush()
	}
	if cap(b) <= maxKeptBuffer {
		*buffer = b
		s.engine.buffers.Put(buffer)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.engine.log.Info("stream ended", "code", "slow_consumer", "user", s.actor.User)
	}
	return err == nil
}

// maxKeptBuffer is what one event takes as a rule; what had to be larger is not
// kept for the next.
const maxKeptBuffer = 64 << 10
