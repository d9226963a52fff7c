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
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/pressure"
	"connvo/realtime"
)

// The bounds of requests that stay open and send chunks, a line each.
const (
	// MaxIntakesPerUser is the meetings that one bot listens to at a time.
	MaxIntakesPerUser = 100
	// MaxIntakes is one for each of the meetings that a small machine holds, and as
	// many again.
	MaxIntakes = 2000
	// maxUnanswered is how many lines are read and not answered; reading pauses then,
	// as it does at maxUnansweredBytes of them.
	maxUnanswered      = transcripts.MaxChunks
	maxUnansweredBytes = 256 << 10
	// DefaultLineTimeout ends a request that sends no line; an empty one will do.
	DefaultLineTimeout = 60 * time.Second
	// retryFull is how soon what does not fit is tried again, and maxRetries how often
	// what the database cannot take is.
	retryFull  = 50 * time.Millisecond
	maxRetries = 100
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
	Line     int64    `json:"line,omitempty"`
	Position int64    `json:"position,omitempty"`
	Advise   *advice  `json:"advise,omitempty"`
	Problem  *problem `json:"problem,omitempty"`
}

// advice is how much to send at once, and how often.
type advice struct {
	Batch   int   `json:"batch"`
	EveryMs int64 `json:"everyMs"`
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
	err := s.intakes.begin(c.who.User)
	if err == nil {
		defer s.intakes.end(c.who.User)
		g := realtime.Guarded{Actor: c.who, May: func(ctx context.Context) error { return s.Transcripts.May(ctx, c.who, in.meeting) }}
		if c.renew != nil {
			g.Renew = c.renew.Renew
		}
		err = s.engine.Guard(r.Context(), g, in.serve)
	}
	if err != nil {
		w.Header().Set("Connection", "close") // rather than read what is refused
		s.refuse(w, r, err)
	}
}

// intakes counts the requests that stay open and send lines.
type intakes struct {
	mu  sync.Mutex // guards the rest
	of  map[domain.UserID]int
	all int
}

// begin counts one of the user's, or refuses it.
func (i *intakes) begin(user domain.UserID) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.of[user] >= MaxIntakesPerUser:
		return domain.Fail(domain.RateLimited, "a user may send lines in %d requests at once", MaxIntakesPerUser)
	case i.all >= MaxIntakes:
		return domain.Fail(domain.Unavailable, "the server takes lines of as many requests as it can")
	}
	i.of[user]++
	i.all++
	return nil
}

// end ends what begin began.
func (i *intakes) end(user domain.UserID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.of[user]--; i.of[user] == 0 {
		delete(i.of, user)
	}
	i.all--
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
		in.body.end()
		for range in.lines { // so that read ends
		}
		<-read
	}()
	for first := range in.lines {
		if !in.take(ctx, in.waiting(first)) {
			return
		}
	}
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
		// LIMITS
		l.read = in.s.DB.Now()
		unanswered.lines, unanswered.bytes = unanswered.lines+1, unanswered.bytes+l.bytes
		in.lines <- l // there is room, since it counts
	}
}

// errNoJSON is what a line is refused with that is not JSON: the sender and the
// server do not agree where lines end.
var errNoJSON = errors.New("not JSON")

// chunkSchema is what a chunk must be, in the OpenAPI document.
const chunkSchema = "#/components/schemas/ChunkDraft"

// parseLine reads a chunk. An error is errNoJSON, or what is wrong with it.
func (s *Server) parseLine(text []byte, err error) (d transcripts.Draft, wrong error) {
	if err != nil {
		return d, newProblem(http.StatusRequestEntityTooLarge, err.Error())
	}
	var any any
	if !utf8.Valid(text) || json.Unmarshal(text, &any) != nil {
		return d, errNoJSON
	}
	result := huma.ValidateResult{}
	registry := s.api.OpenAPI().Components.Schemas
	huma.Validate(registry, registry.SchemaFromRef(chunkSchema), huma.NewPathBuffer([]byte("line"), 4), huma.ModeWriteToServer, any, &result)
	if len(result.Errors) > 0 {
		p := newProblem(http.StatusUnprocessableEntity, "validation failed")
		for _, err := range result.Errors {
			if detail, found := errors.AsType[*huma.ErrorDetail](err); found {
				p.Errors = append(p.Errors, fieldError{Location: detail.Location, Message: detail.Message})
			}
		}
		return d, p
	}
	var sent chunkDraft
	if err := json.Unmarshal(text, &sent); err != nil {
		return d, newProblem(http.StatusUnprocessableEntity, "the line is no chunk")
	}
	d = sent.draft()
	return d, inLine(d.Check())
}

// inLine returns err with its field as a place in a line.
func inLine(err error) error {
	e, found := errors.AsType[*domain.Error](err)
	if !found || e.Field == "" {
		return err
	}
	placed := *e
	placed.Field = "line." + strings.TrimPrefix(e.Field, "body.chunks[0].")
	return &placed
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

// store stores what is right of the lines, and returns the answers of all up to an
// error that ends the request.
func (in *intake) store(ctx context.Context, group []line) ([]lineAnswer, error) {
	good := make([]line, 0, len(group))
	for _, l := range group {
		if l.wrong == nil {
			good = append(good, l)
		}
	}
	positions, err := in.append(ctx, good)
	if err != nil && len(group) > 1 && !endsIntake(err) {
		return in.storeEach(ctx, group)
	}
	var answers []lineAnswer
	stored := 0
	for _, l := range group {
		a := lineAnswer{Line: l.number}
		switch {
		case l.wrong != nil:
			a.Problem = in.s.problem(in.r.Context(), l.wrong)
		case err != nil && endsIntake(err):
			return answers, err
		case err != nil:
			a.Problem = in.s.problem(in.r.Context(), inLine(err))
		default:
			if a.Position = positions[stored]; a.Position != 0 {
				a.Advise = adviceOf(in.s.pressure.Advise(in.meeting))
			}
			stored++
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// storeEach is store where one of the lines cannot be stored: each by itself.
func (in *intake) storeEach(ctx context.Context, group []line) (answers []lineAnswer, err error) {
	for _, l := range group {
		a, err := in.store(ctx, []line{l})
		answers = append(answers, a...)
		if err != nil {
			return answers, err
		}
	}
	return answers, nil
}

// endsIntake reports whether an error is about the request rather than a line.
func endsIntake(err error) bool {
	kind := domain.KindOf(err)
	return kind != domain.Invalid && kind != domain.Conflict
}

// append stores the drafts and shows what is not final. Where they do not fit, or
// the database cannot take them now, it waits: reading pauses meanwhile.
func (in *intake) append(ctx context.Context, lines []line) (positions []int64, err error) {
	if len(lines) == 0 {
		return nil, nil
	}
	drafts := make([]transcripts.Draft, len(lines))
	for i, l := range lines {
		drafts[i] = l.draft
	}
	for tries := 0; tries < maxRetries; {
		positions, err = in.tryAppend(drafts, lines[0].read)
		kind := domain.KindOf(err)
		if err == nil || (kind != domain.Unavailable && kind != domain.RateLimited) {
			break
		}
		if kind == domain.Unavailable || ctx.Err() != nil {
			tries++
		}
		time.Sleep(retryFull)
	}
	return positions, err
}

// tryAppend stores the drafts in one transaction. What was read is stored also
// when the server is about to stop.
func (in *intake) tryAppend(drafts []transcripts.Draft, since time.Time) (positions []int64, err error) {
	if err := in.s.pressure.Begin(in.meeting, len(drafts)); err != nil {
		return nil, err
	}
	defer func() { in.s.pressure.End(in.meeting, len(drafts), since, err == nil) }()
	ctx := in.r.Context()
	var stored transcripts.Appended
	err = in.s.DB.Write(ctx, func(tx *db.WriteTx) (err error) {
		if err := users.RequireStanding(tx, in.who); err != nil {
			return err
		}
		stored, err = in.s.Transcripts.Append(db.Join(ctx, tx), in.who, in.meeting, drafts)
		return err
	})
	if err != nil {
		return nil, err
	}
	in.s.showInterim(in.r.Context(), in.meeting, stored.Interim)
	return stored.Positions, nil
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
