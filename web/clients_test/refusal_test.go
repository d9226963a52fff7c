package clients_test

import (
	"context"
	"net/http"
	"testing"
)

// TestRefusalsEndAnEventSource refuses for good, at the first request and later.
// That nothing more is asked is known once a stream that broke after the refusal
// has come again, which takes as long for each.
func TestRefusalsEndAnEventSource(t *testing.T) {
	t.Parallel()
	everyEventSource(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada, grace, n := s.signIn("ada"), s.signIn("grace"), network(t, s)
		hidden := ada.plan()
		var left struct{ ID string }
		ada.must("POST", "/v1/meetings", map[string]any{"title": "T", "participants": []any{map[string]string{"userId": grace.ID, "role": "participant"}}}, &left)
		meeting := "/v1/meetings/" + left.ID
		ada.must("POST", meeting+"/start", nil, nil)
		grace.must("POST", meeting+"/join", nil, nil)

		c := open(t, n.URL, grace)
		later := c.follow(meeting + "/messages")
		later.ready(false)
		later.next("items") // what the server has said
		witness := c.follow("/v1/me?heartbeat=30")
		witness.ready(false)
		grace.must("POST", meeting+"/leave", nil, nil)
		later.problem("forbidden")
		later.closes() // at its second request
		asked := map[string]int{meeting + "/messages": 2}
		for _, path := range []string{hidden, meeting + "/messages?limit=1", "/v1/meetings?limit=none", "/v1/nothing"} {
			c.follow(path).closes()
			asked[path] = 1
		}
		open(t, n.URL, nil).follow("/v1/me?heartbeat=29").closes()
		asked["/v1/me?heartbeat=29"] = 1

		n.cut()
		witness.next("snapshot") // of before
		witness.ready(true)
		for path, want := range asked {
			if got := n.count(path); got != want {
				t.Errorf("%s was asked for %d times, want %d", path, got, want)
			}
		}
		if got := n.count("/v1/me?heartbeat=30"); got != 2 {
			t.Errorf("the witness has asked %d times", got)
		}
	})
}

// TestClientsComeAgainAfterWhatPasses has as many streams as one may have.
func TestClientsComeAgainAfterWhatPasses(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		const most = 100
		s := serve(t)
		ada, n := s.signIn("ada"), network(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range most {
			ada.hold(ctx, "/v1/me")
		}
		st := open(t, n.URL, ada).follow("/v1/me?heartbeat=30")
		st.problem("rate_limited")
		st.problem("rate_limited")
		cancel()
		for e := st.any(); e.Name != "ready"; e = st.any() {
			if e.Name != "error" || e.State != connecting {
				if e.Name != "problem" || problemCode(t, e) != "rate_limited" {
					t.Fatalf("%+v", e)
				}
			}
		}
		st.shows(ada.me())
	})
}

// hold opens a live GET and does not read it. It is open until ctx ends.
func (p *person) hold(ctx context.Context, path string) {
	p.s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.origin+path, nil)
	if err != nil {
		p.s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+p.Token)
	answer, err := p.client.Transport.RoundTrip(r) // which has no deadline, that would end it
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { _ = answer.Body.Close() })
}
