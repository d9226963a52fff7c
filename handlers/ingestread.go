package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/ratelimit"
)

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
		case err == nil && ctx.Err() != nil:
			return context.Cause(ctx)
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
