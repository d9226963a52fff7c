package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// atOnce sends the requests together and returns how often each status came.
func (s *server) atOnce(requests ...*http.Request) map[int]int {
	s.t.Helper()
	statuses := make(chan int, len(requests))
	var wg sync.WaitGroup
	for _, r := range requests {
		wg.Go(func() {
			a, err := s.send(r)
			if err != nil {
				s.t.Error(err)
			}
			statuses <- a.Status
		})
	}
	wg.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	return counts
}

// invite makes the others members of the meeting.
func (p *person) invite(meeting, role string, others ...*person) {
	p.s.t.Helper()
	for _, one := range others {
		p.must("POST", meeting+"/participants", map[string]any{"userId": one.ID, "role": role})
	}
}

func TestOfTwoHundredAtOnceAHundredFindRoom(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Crowd")
	ada.must("PATCH", meeting, `{"maxParticipants":100}`)
	ada.must("POST", meeting+"/start", nil)
	ada.must("POST", meeting+"/leave", nil)
	joins := make([]*http.Request, 200)
	for i := range joins {
		guest := s.signIn(fmt.Sprint("guest", i))
		ada.invite(meeting, "participant", guest)
		joins[i] = guest.request(t.Context(), "POST", meeting+"/join", nil)
	}
	if got := s.atOnce(joins...); got[http.StatusOK] != 100 || got[http.StatusConflict] != 100 {
		t.Errorf("answered %v", got)
	}
	if n := s.number(`SELECT count(*) FROM participants WHERE status = 'joined'`); n != 100 {
		t.Errorf("%d are in the meeting", n)
	}
	if a := ada.do("POST", meeting+"/join", nil); a.code() != "conflict" {
		t.Errorf("the host: %d %s", a.Status, a.Body)
	}
}

func TestTwoTransfersAtOnceMakeOneHost(t *testing.T) {
	s := newServer(t)
	ada, grace, linus := s.signIn("ada"), s.signIn("grace"), s.signIn("linus")
	for range 10 {
		meeting := ada.plan("Given", grace, "cohost", linus, "observer")
		got := s.atOnce(
			ada.request(t.Context(), "POST", meeting+"/transfer", map[string]any{"userId": grace.ID}),
			ada.request(t.Context(), "POST", meeting+"/transfer", map[string]any{"userId": linus.ID}),
			ada.request(t.Context(), "DELETE", meeting+"/participants/"+string(ada.ID), nil),
		)
		// The third is refused, whether it finds a host or a cohost in her.
		if got[http.StatusOK] != 1 || got[http.StatusNoContent] != 0 || got[http.StatusForbidden]+got[http.StatusConflict] != 2 {
			t.Errorf("answered %v", got)
		}
		if n := s.number(`SELECT count(*) FROM participants WHERE meeting_id = ? AND role = 'host'`, idOf(meeting)); n != 1 {
			t.Errorf("%d hosts", n)
		}
	}
}

func TestCohostsAtOnceCannotRemoveEachOther(t *testing.T) {
	s := newServer(t)
	ada, grace, linus := s.signIn("ada"), s.signIn("grace"), s.signIn("linus")
	meeting := ada.plan("Ours", grace, "cohost", linus, "cohost")
	remove := func(by, whom *person) *http.Request {
		return by.request(t.Context(), "DELETE", meeting+"/participants/"+string(whom.ID), nil)
	}
	if got := s.atOnce(remove(grace, linus), remove(linus, grace)); got[http.StatusForbidden] != 2 {
		t.Errorf("answered %v", got)
	}
	// What the host does at the same time counts as if before or after it.
	got := s.atOnce(remove(ada, grace), remove(ada, grace), remove(grace, linus), remove(linus, grace))
	if got[http.StatusNoContent] != 1 || s.number(`SELECT count(*) FROM participants`) != 2 {
		t.Errorf("answered %v", got)
	}
}

func TestOneRequestInvitesAHundred(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	invited := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`{"email":"guest-%d@example.org","role":"observer"}`, i)
		}
		return `{"title":"Plan","participants":[` + strings.Join(all, ",") + `]}`
	}
	if a := ada.do("POST", "/v1/meetings", invited(101)); a.Status != http.StatusUnprocessableEntity || s.number(`SELECT count(*) FROM invitations`) != 0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	meeting := ada.must("POST", "/v1/meetings", invited(100)).Header.Get("Location")
	var list struct{ Items []any }
	ada.must("GET", meeting+"/participants", nil).into(t, &list)
	if len(list.Items) != 101 {
		t.Errorf("%d participants", len(list.Items))
	}
}

// The first sign-in claims a place exactly once, however many requests it is
// made of.
func TestPlaceIsClaimedOnce(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/participants", `{"email":"grace@example.com","role":"cohost"}`)
	requests := make([]*http.Request, 20)
	for i := range requests {
		requests[i] = s.nobody().request(t.Context(), "POST", "/dev/token", `{"email":"grace@example.com"}`)
	}
	if got := s.atOnce(requests...); got[http.StatusOK] != len(requests) {
		t.Errorf("answered %v", got)
	}
	if n := s.number(`SELECT count(*) FROM events WHERE type = 'participants.claimed'`); n != 1 {
		t.Errorf("%d events", n)
	}
	s.signIn("grace").must("PATCH", meeting, `{"title":"Ours"}`)
}
