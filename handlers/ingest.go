package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/pressure"
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
	// lingerTime is how long what the client sends after the last answer is read on, and
	// lingerBytes how much of it, as by net/http: a connection that is closed while
	// something of it is unread may take the answer with it.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
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
	stop := context.AfterFunc(ctx, func() {
		if endOf(ctx) == nil {
			in.body.end(0)
		}
	})
	go func() {
		defer close(read)
		in.ended = in.read(ctx)
		close(in.lines)
		if ctx.Err() != nil {
			_, _ = io.CopyN(io.Discard, in.r.Body, lingerBytes) // until there is no more, or its time is over
		}
	}()
	taken := in.answerLines(ctx)
	stop() // from here on reading ends in its own time
	cancel()
	select {
	case <-read:
		in.body.await(lingerTime)
	default:
		wait := lingerTime
		if !taken || in.r.ProtoMajor > 1 { // HTTP/2 tells the end by itself
			wait = 0
		}
		in.body.end(wait)
		for range in.lines { // so that read ends
		}
		<-read
	}
}

// answerLines stores and answers lines until there are no more, or ctx ends, and tells
// why. It returns false where the client does not take the answers.
func (in *intake) answerLines(ctx context.Context) (taken bool) {
	for {
		first, more := in.next(ctx)
		if !more {
			break
		}
		if in.s.pressure.Busy() {
			db.Gather(ctx)
		}
		if taken, goesOn := in.take(ctx, in.waiting(first)); !goesOn {
			return taken
		}
	}
	err := endOf(ctx)
	if err == nil {
		err = in.ended
	}
	return err == nil || in.end(err)
}

// next returns the next line, and false when there are no more: none will come, or ctx
// has ended and none waits.
func (in *intake) next(ctx context.Context) (l line, more bool) {
	told := ctx.Done()
	if ctx.Err() != nil && endOf(ctx) == nil {
		told = nil // reading is about to end, and knows why
	}
	select {
	case l, more = <-in.lines:
		return l, more
	case <-told:
	}
	if endOf(ctx) == nil {
		l, more = <-in.lines
		return l, more
	}
	select {
	case l, more = <-in.lines:
	default:
	}
	return l, more
}

// endOf returns why the request must end, nil where it may go on, or the client has
// gone: a read that ends by its deadline ends the context too, without a cause of its own.
func endOf(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
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

// take stores the lines and answers them. It reports whether the client took the
// answers, and whether the request goes on.
func (in *intake) take(ctx context.Context, group []line) (taken, goesOn bool) {
	answers, err := in.store(ctx, group)
	sum := answered{lines: len(group)}
	for _, l := range group {
		sum.bytes += l.bytes
	}
	if !in.answer(answers) {
		return false, false
	}
	in.answered <- sum // there is room for each line
	if err != nil {
		return in.end(err), false
	}
	return true, true
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

// end sends the problem that ends the request, and reports whether the client took it.
func (in *intake) end(err error) (taken bool) {
	p := in.s.problem(in.r.Context(), err)
	in.s.noteRefusal(in.r, err, p)
	return in.answer([]lineAnswer{{Problem: p}})
}

// streamTimeout ends a stream of answers that nobody takes.
func (s *Server) streamTimeout() time.Duration {
	if s.StreamTimeout == 0 {
		return realtime.DefaultWriteTimeout
	}
	return s.StreamTimeout
}
