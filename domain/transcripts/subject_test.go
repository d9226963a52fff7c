package transcripts_test

import (
	"slices"
	"testing"
	"time"

	"connvo/domain/events"
	"connvo/domain/transcripts"
)

func TestTopicsAndTheirShiftAreInTheState(t *testing.T) {
	r := newRoom(t)
	r.settler = transcripts.NewSettler(r.db, transcripts.Subject(events.NewLog(nil)))
	offset := time.Duration(0)
	shifts := func() int64 {
		return r.number(`SELECT count(*) FROM events WHERE meeting_id = ?1 AND type = ?2 AND actor_id = '' AND subject_id = ''`, r.id, events.TopicShifted)
	}
	talk := func(minutes int, said ...string) {
		for range minutes * 6 {
			for _, s := range said {
				d := says(s, offset)
				d.Language = "en"
				r.append(d)
				offset += time.Second
			}
			r.settle()
			r.now = r.now.Add(10 * time.Second)
		}
	}
	talk(4, "the launch budget is small", "marketing wants a bigger launch budget")
	if s := r.state(); !slices.Contains(s.Topics, "launch budget") || !s.ShiftedAt.IsZero() || shifts() != 0 {
		t.Fatalf("%q, shifted at %v, %d events", s.Topics, s.ShiftedAt, shifts())
	}
	talk(1, "um", "okay right")
	if s := r.state(); !slices.Contains(s.Topics, "launch budget") || shifts() != 0 {
		t.Fatalf("small talk: %q, %d events", s.Topics, shifts())
	}
	talk(4, "our holidays begin with sailing lessons", "sailing lessons in the holidays")
	s := r.state()
	if !slices.Contains(s.Topics, "sailing lessons") || slices.Contains(s.Topics, "launch budget") {
		t.Errorf("%q", s.Topics)
	}
	if s.ShiftedAt.IsZero() || shifts() != 1 {
		t.Errorf("shifted at %v, %d events", s.ShiftedAt, shifts())
	}
	talk(4, "the launch budget is small", "marketing wants a bigger launch budget")
	if got := r.state(); shifts() != 2 || !got.ShiftedAt.After(s.ShiftedAt) {
		t.Errorf("shifted at %v, %d events", got.ShiftedAt, shifts())
	}
}
