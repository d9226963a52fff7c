package handlers

import (
	"net/http"
	"strings"
	"sync/atomic"

	"connvo/domain"
)

// Owner is the server that answers in the place of a standby.
type Owner struct {
	Machine string // on Fly, else ""
	URL     string // where people reach it, "" where that is not known
}

// Standby answers every request while another server owns the database: it sends the
// caller there. Own sets the owner at any time; nil is for nobody, whom a caller is to
// wait for.
type Standby struct {
	fly bool
	own atomic.Pointer[Owner]
}

// NewStandby returns a standby that is behind Fly's proxy, or not. There is no owner.
func NewStandby(fly bool) *Standby { return &Standby{fly: fly} }

// Own says who owns the database now, nil for nobody.
func (s *Standby) Own(o *Owner) { s.own.Store(o) }

// ServeHTTP answers. Fly's proxy sends the request to the owner, so that the machine is
// as ready as the owner is. Elsewhere a balancer had better not choose it.
func (s *Standby) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
		return
	case "/readyz":
		status := http.StatusServiceUnavailable
		if s.fly {
			status = http.StatusOK
		}
		writeJSON(w, status, []byte(`{"status":"standby"}`))
		return
	}
	owner, h := s.own.Load(), w.Header()
	h.Set("Cache-Control", "no-store")
	// A request that the proxy brings back has found nobody there, and cannot go again.
	came := r.Header.Get("Fly-Replay-Failed") != ""
	switch {
	case owner != nil && s.fly && owner.Machine != "" && !came:
		h.Set("Fly-Replay", "instance="+owner.Machine+replayFields)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case owner != nil && !s.fly && owner.URL != "":
		h.Set("Location", strings.TrimRight(owner.URL, "/")+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case wantsStream(r):
		// An EventSource comes again after a stream only.
		h.Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("retry: 1000\n\n")) // the client may be gone
	default:
		problemOf(domain.Fail(domain.Unavailable, "this server stands by, and another one takes over")).write(w)
	}
}
