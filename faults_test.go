package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// faulty stands before an S3 server and does to requests what hosts of buckets do on a
// bad day.
type faulty struct {
	behind *httputil.ReverseProxy
	server *httptest.Server

	mu    sync.Mutex // guards the next two
	fault func(w http.ResponseWriter, r *http.Request) (answered bool)
	asked map[string]int // requests by method
}

func newFaulty(t *testing.T, s *s3Server) *faulty {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 20}
	f := &faulty{asked: map[string]int{}, behind: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) { // the name of the host is signed, and stays
			r.SetURL(&url.URL{Scheme: "http", Host: s.address})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	f.server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
		transport.CloseIdleConnections()
	})
	return f
}

// ServeHTTP passes a request on, unless the fault has answered it.
func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.fault
	f.asked[r.Method]++
	f.mu.Unlock()
	if fault == nil || !fault(w, r) {
		f.behind.ServeHTTP(w, r)
	}
}

// now has what follows answered so; nil heals.
func (f *faulty) now(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	f.fault = fault
	f.mu.Unlock()
}

func (f *faulty) url() string { return "s3://" + s3Bucket + "/connvo?endpoint=" + f.server.URL }

// slowly passes requests on after a while.
func slowly(_ http.ResponseWriter, r *http.Request) bool {
	select {
	case <-time.After(300 * time.Millisecond):
	case <-r.Context().Done():
	}
	return false
}

// answers refuses everything with a status and a code.
func answers(status int, code string) func(w http.ResponseWriter, _ *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>no</Message></Error>`, code)
		return true
	}
}

// silent does not answer until the client has given up, or the connection is cut.
func silent(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the client has
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// halfway takes what is stored and does not say so.
func halfway(f *faulty) func(w http.ResponseWriter, r *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		f.behind.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// TestReplicaInTrouble keeps nobody from writing. Who waits for it is told, so is the
// log, and what was acknowledged meanwhile is in it once it is well.
func TestReplicaInTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(f *faulty) func(w http.ResponseWriter, r *http.Request) bool
		said  string // why it is behind
		slow  bool   // that is all
	}{
		"slow":     {func(*faulty) func(http.ResponseWriter, *http.Request) bool { return slowly }, "", true},
		"failing":  {func(*faulty) func(http.ResponseWriter, *http.Request) bool { return answers(500, "InternalError") }, "the replica cannot be reached", false},
		"refusing": {func(*faulty) func(http.ResponseWriter, *http.Request) bool { return answers(403, "AccessDenied") }, `the credentials do not allow it \(AccessDenied\)`, false},
		"silent":   {func(*faulty) func(http.ResponseWriter, *http.Request) bool { return silent }, "", false},
		"cut off":  {halfway, "the replica cannot be reached", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t, newS3(t))
			d := newDrill(t, f.url())
			d.start("--new")
			d.planned("before", true)
			f.now(c.fault(f))
			d.planned("meanwhile", false)
			if c.slow {
				d.planned("slowly", true)
			} else {
				if status, applied := d.plan("asked meanwhile", true); status != http.StatusServiceUnavailable || !applied {
					t.Errorf("%d, applied %t", status, applied)
				}
			}
			if c.said != "" {
				d.said.await(t, `"level":"ERROR","msg":"the replica is behind".*`+c.said)
			}
			f.now(nil)
			if name == "silent" {
				f.server.CloseClientConnections() // as whatever is between does at last
			}
			d.eventually("afterwards")
			d.kill()
			d.lose()
			d.start()
			promised := map[string]bool{"before": true, "meanwhile": true, "afterwards": true}
			if c.slow {
				promised["slowly"] = true
			} else {
				promised["asked meanwhile"] = true
			}
			d.keeps(promised)
			d.end()
		})
	}
}

// eventually plans a meeting, and waits until the replica holds it.
func (d *drill) eventually(title string) {
	d.t.Helper()
	began := time.Now()
	d.planned(title, false)
	for i := 0; ; i++ {
		status, applied := d.plan(fmt.Sprint(title, " ", i), true)
		if status == http.StatusCreated && applied {
			return
		}
		if status != http.StatusServiceUnavailable || time.Since(began) > patience {
			d.t.Fatalf("%d, applied %t", status, applied)
		}
	}
}
