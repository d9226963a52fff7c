package handlers_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"connvo/domain"
)

// doubts has the server doubt, once, whether what is stored counts, when it has just
// stored a chunk: another may have the lease.
func (s *server) doubts() {
	var doubted atomic.Bool
	s.DB.Fence(func() error {
		if s.number(`SELECT count(*) FROM transcripts`) == 0 || doubted.Swap(true) {
			return nil
		}
		return domain.Fail(domain.Unavailable, "the lease could not be renewed in time")
	})
}

// A line that is stored and cannot be promised is not stored again: that it may be
// there is told with the end.
func TestALineInDoubtIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	in := ada.lines(meeting)
	s.doubts()
	in.send(chunkLine("one"))
	in.wantEnd("unavailable")
	if got := grace.said(meeting); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the transcript is %q", got)
	}
}

// What is not final of a request that was refused is not shown.
func TestWhatIsRefusedIsNotShown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	st := grace.follow(meeting + "/transcripts")
	st.ready()
	var away atomic.Bool
	s.DB.Fence(func() error {
		if away.Load() {
			return domain.Fail(domain.Unavailable, "the lease could not be renewed in time")
		}
		return nil
	})
	away.Store(true)
	if a := ada.do("POST", meeting+"/transcripts", map[string]any{"chunks": []any{saying("refused", `"interim":true,"utteranceId":"a",`)}}); a.code() != "unavailable" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	away.Store(false)
	ada.speaks(meeting, saying("taken", `"interim":true,"utteranceId":"b",`))
	if got := whispered(t, st.next("interim").Data); !slices.Equal(got, []string{"taken"}) {
		t.Errorf("told %q", got)
	}
}
