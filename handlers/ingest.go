package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/pressure"
	"connvo/ratelimit"
	"connvo/realtime"
)

// The bounds of a request that stays open and sends chunks, a line each.
const (
	// maxUnanswered is how many lines are read and not answered; reading pauses then,
	// as it does at maxUnansweredBytes of them.
	maxUnanswered      = transcripts.MaxChunks
	maxUnansweredBytes = 256 << 10
	// DefaultLineTimeout ends a request that sends no line; an empty one will do.
	DefaultLineTimeout = 60 * time.Second
	// lingerTime is how long net/http reads on what the client sends after the end of
	// the answer: a connection that is closed at once may take the end with it.
	lingerTime = 500 * time.Millisecond
)

// ndjson is the media type of chunks that come a line each.
const ndjson = "application/x-ndjson"

// takesLines reports whether the request sends chunks in lines.
func takesLines(r *http.Request, pattern string) bool {
	if pattern != "POST "+transcriptPath {
		return false
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == ndjson
}

// intake is a request that sends lines for as long as it stays open. read goes on
// in a goroutine of its own, the rest in the request's.
type intake struct {
	s       *Server
	r       *http.Request // whose context goes on when the client has gone
	who     domain.Actor
	meeting domain.MeetingID
	out     http.ResponseWriter
	control *http.ResponseController
	body    inlet

	lines    chan line     // read and not answered: at most maxUnanswered
	answered chan answered // for read: it has room for as many as are unanswered
	ended    error         // why there are no more lines, nil at the end of the body; valid once lines is closed
}

// answered is what was answered.
type answered struct{ lines, bytes int }

// line is one that was read.
type line struct {
	number int64
	bytes  int
	read   time.Time
	draft  transcripts.Draft
	wrong  error // what is wrong with it, or nil
}

// lineAnswer is what is answered to a line, and with a problem alone to the
// request.
type lineAnswer struct {
	Line     int64    `json:"line,omitempty" doc:"Which it was, from 1, empty ones counted; without it the problem ends the request."`
	Position int64    `json:"position,omitempty" doc:"Where it is in the transcript; left out of an interim one."`
	Advise   *advice  `json:"advise,omitempty" doc:"How to send what comes next."`
	Problem  *problem `json:"problem,omitempty" doc:"Nothing of it is stored."`
}

// advice is how much to send at once, and how often.
type advice struct {
	Batch   int   `json:"batch" doc:"Chunks at once."`
	EveryMs int64 `json:"everyMs" doc:"How far apart."`
}

func adviceOf(a pressure.Advice) *advice { return &advice{a.Batch, a.Every.Milliseconds()} }

// takeLines answers a request that sends chunks in lines, until it ends or may go
// on no more.
func (s *Server) takeLines(w http.ResponseWriter, r *http.Request, c *call) {
	meeting, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, meetingsPrefix), "/")
	in := &intake{
		s: s, r: r.WithContext(context.WithoutCancel(r.Context())), who: c.who, meeting: domain.MeetingID(meeting), out: w, control: http.NewResponseController(w),
		lines: make(chan line, maxUnanswered), answered: make(chan answered, maxUnanswered),
	}
	in.body.control = in.control
	err := s.misdirected(r)
	if err == nil {
		err = s.intakes.begin(c.who.User)
	}
	if err == nil {
		defer s.intakes.end(c.who.User)
		g := realtime.Guarded{Actor: c.who, May: func(ctx context.Context) error { return s.Transcripts.May(ctx, c.who, in.meeting) }}
		if c.renew != nil {
			g.Renew = c.renew.Renew
		}
		err = s.engine.Guard(r.Context(), g, in.serve)
	}
	if err != nil {
		if r.ProtoMajor == 1 { // that of HTTP/2 has other requests
			w.Header().Set("Connection", "close") // rather than read what is refused
		}
		s.refuse(w, r, err)
	}
}

// serve answers lines until there are no more, or ctx ends, which is told.
func (in *intake) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	_ = in.control.EnableFullDuplex() // HTTP/2 is anyway
	in.begin()
	read := make(chan struct{})
	stop := context.AfterFunc(ctx, in.body.end)
	defer stop()
	go func() {
		defer close(read)
		in.ended = in.read(ctx)
		close(in.lines)
	}()
	defer func() {
		cancel()
		select {
		case <-read:
			in.body.await(lingerTime)
		default:
			in.body.end()
			for range in.lines { // so that read ends
			}
			<-read
		}
	}()
	for first := range in.lines {
		if in.s.pressure.Busy() {
			db.Gather(ctx)
		}
		if !in.take(ctx, in.waiting(first)) {
			return
		}
	}
	<-read
	// A read that ends by its deadline ends the context of the request too, without
	// a cause of its own.
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		in.ended = cause
	}
	if in.ended != nil {
		in.end(in.ended)
	}
}

// begin sends the head of the answer.
func (in *intake) begin() {
	if in.r.Header.Get("Expect") != "" {
		in.out.WriteHeader(http.StatusContinue) // after the head of the answer it would not be sent any more
	}
	h := in.out.Header()
	h.Set("Content-Type", ndjson)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Content-Encoding", "none") // proxies that compress would hold answers back
	if in.r.ProtoMajor == 1 {
		h.Set("Connection", "close") // what is left of the body would have to be read first
	}
	in.out.WriteHeader(http.StatusOK)
	in.send(nil)
}

// read reads lines until there are no more, and returns why, nil at the end of the
// body. It ends soon after ctx has.
func (in *intake) read(ctx context.Context) error {
	lines := newLineReader(in.r.Body)
	var unanswered answered
	settle := func(a answered) {
		unanswered.lines, unanswered.bytes = unanswered.lines-a.lines, unanswered.bytes-a.bytes
	}
	for {
		for unanswered.lines >= maxUnanswered || unanswered.bytes >= maxUnansweredBytes {
			select {
			case a := <-in.answered:
				settle(a)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case a := <-in.answered:
			settle(a)
		default:
		}
		if !in.body.await(in.s.LineTimeout) {
			return context.Cause(ctx)
		}
		text, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			in.body.await(0) // else its deadline would end what is still to be answered
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return newProblem(http.StatusRequestTimeout, "no line came for "+in.s.LineTimeout.String()+"; an empty one keeps the request open")
		case err != nil && !errors.Is(err, errLongLine):
			return domain.Because(domain.Malformed, err, "the body stopped in the middle of a line, of which nothing is stored")
		case err == nil && len(strings.TrimSpace(string(text))) == 0:
			continue
		}
		l := line{number: lines.number, bytes: len(text)}
		if l.draft, l.wrong = in.s.parseLine(text, err); errors.Is(l.wrong, errNoJSON) {
			return domain.Fail(domain.Malformed, "line %d is not JSON; nothing of it or after it is stored", l.number)
		}
		if err := in.awaitLimits(ctx); err != nil {
			return err
		}
		l.read = in.s.DB.Now()
		unanswered.lines, unanswered.bytes = unanswered.lines+1, unanswered.bytes+l.bytes
		in.lines <- l // there is room, since it counts
	}
}

// waiting returns the line and those that have come since, as many as are stored
// together.
func (in *intake) waiting(first line) []line {
	group := []line{first}
	for len(group) < transcripts.MaxChunks {
		select {
		case l, more := <-in.lines:
			if !more {
				return group
			}
			group = append(group, l)
		default:
			return group
		}
	}
	return group
}

// take stores the lines and answers them. It returns false where the request must
// end.
func (in *intake) take(ctx context.Context, group []line) bool {
	answers, err := in.store(ctx, group)
	sum := answered{lines: len(group)}
	for _, l := range group {
		sum.bytes += l.bytes
	}
	if !in.answer(answers) {
		return false
	}
	in.answered <- sum // there is room for each line
	if err != nil {
		in.end(err)
	}
	return err == nil
}

// awaitLimits waits until the user may say one more thing in the meeting. Reading
// pauses meanwhile, so that nothing is refused.
func (in *intake) awaitLimits(ctx context.Context) error {
	if in.s.Limits == nil {
		return nil
	}
	for _, limit := range []struct {
		policy ratelimit.Policy
		of     string
	}{{ratelimit.Chunks, string(in.who.User)}, {ratelimit.MeetingChunks, string(in.meeting)}} {
		for {
			left := in.s.Limits.Take(limit.policy, limit.of)
			if left.Allowed {
				break
			}
			timer := time.NewTimer(left.Next)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// answer sends the answers, and reports whether the client took them.
func (in *intake) answer(answers []lineAnswer) bool {
	var b []byte
	for _, a := range answers {
		text, err := json.Marshal(a)
		if err != nil {
			in.s.Log.Error("answer of a line", "request", callOf(in.r.Context()).id, "error", err)
			return false
		}
		b = append(append(b, text...), '\n')
	}
	return in.send(b)
}

// send sends what is answered so far, and reports whether the client took it. A
// deadline that stayed would end the stream of HTTP/2 also when nothing is to be
// sent.
func (in *intake) send(b []byte) bool {
	_ = in.control.SetWriteDeadline(time.Now().Add(in.s.streamTimeout())) // a writer without deadlines blocks no one else
	defer func() { _ = in.control.SetWriteDeadline(time.Time{}) }()       // see above
	if _, err := in.out.Write(b); err != nil {
		return false
	}
	return in.control.Flush() == nil
}

// end sends the problem that ends the request.
func (in *intake) end(err error) {
	p := in.s.problem(in.r.Context(), err)
	in.s.noteRefusal(in.r, err, p)
	in.answer([]lineAnswer{{Problem: p}})
}

// streamTimeout ends a stream of answers that nobody takes.
func (s *Server) streamTimeout() time.Duration {
	if s.StreamTimeout == 0 {
		return realtime.DefaultWriteTimeout
	}
	return s.StreamTimeout
}
