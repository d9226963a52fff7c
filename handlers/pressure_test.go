package handlers_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"connvo/domain"
	"connvo/pressure"
	"connvo/ratelimit"
)

// Where no more fits, a request is refused and a line waits: what is taken in is
// stored.
func TestWhatDoesNotFitWaitsOrIsRefused(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	id := domain.MeetingID(idOf(meeting))
	in := ada.lines(meeting)
	in.send(chunkLine("one"))
	in.want("1 stored advised")
	gauge := s.API.Pressure()
	if err := gauge.Begin(id, pressure.MaxMeeting); err != nil {
		t.Fatal(err)
	}
	in.send(chunkLine("two"))
	for began := time.Now(); gauge.Figures().Refused == 0; runtime.Gosched() {
		if time.Since(began) > patience {
			t.Fatal("the line was never tried")
		}
	}
	a := grace.do("POST", meeting+"/transcripts", map[string]any{"chunks": []any{saying("refused", "")}})
	if a.Status != http.StatusTooManyRequests || a.code() != "rate_limited" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s %q", a.Status, a.code(), a.Header.Get("Retry-After"))
	}
	if got := grace.said(meeting); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the transcript is %q", got)
	}
	gauge.End(id, pressure.MaxMeeting-pressure.MaxMeeting/2, s.Clock.Now(), false)
	if a := in.want("2 stored advised"); a.Advise.Batch != 10 || a.Advise.EveryMs != 500 {
		t.Errorf("half full, the advice is %+v", a.Advise)
	}
	gauge.End(id, pressure.MaxMeeting/2, s.Clock.Now(), false)
	grace.speaks(meeting, saying("three", ""))
	if got := grace.said(meeting); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("the transcript is %q", got)
	}
	if f := gauge.Figures(); f.UnderWay != 0 || f.Refused < 2 || f.Rate != 0.3 || f.Meetings != 1 {
		t.Errorf("figures %+v", f)
	}
}

// A line that comes too often waits too; nothing of it is lost.
func TestLinesThatComeTooOftenWait(t *testing.T) {
	const burst, more = 200, 20
	s := startServer(t, false)
	limits, err := ratelimit.New(t.Context(), ratelimit.Config{DB: s.DB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = limits.Close(context.Background()) })
	s.API.Limits = limits
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	in := ada.lines(meeting)
	began := time.Now()
	go func() {
		for range burst + more {
			if _, err := in.body.Write([]byte(chunkLine("word"))); err != nil {
				return // which the answers tell
			}
		}
		_ = in.body.Close()
	}()
	for n := range burst + more {
		if a := in.next(); a.Line != int64(n+1) || a.Position == 0 {
			t.Fatalf("answer %v, want that of line %d", a, n+1)
		}
	}
	if took := time.Since(began); took < (more-1)*time.Second/50 {
		t.Errorf("%d lines took %v", burst+more, took)
	}
}
