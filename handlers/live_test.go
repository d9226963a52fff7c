package handlers_test

import "testing"

func TestReadyComesFirst(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	st := ada.follow("/v1/me?heartbeat=1")
	first := st.ready()
	var me struct{ DisplayName string }
	at := st.snapshot(&me)
	if first.ConnectionID == "" || first.Resumed || first.Commit != at || me.DisplayName != "ada" {
		t.Errorf("ready %+v, then %+v at %d", first, me, at)
	}
	commit := ada.plan("Plan")
	_ = commit
	st.quietUntil(s.DB.Committed())
	ada.must("PATCH", "/v1/me", `{"displayName":"Ada"}`)
	if st.snapshot(&me); me.DisplayName != "Ada" {
		t.Errorf("got %+v", me)
	}
}
