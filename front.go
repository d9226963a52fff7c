package main

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// front is the HTTP server, which may answer as a standby before it does as the owner of
// the database.
type front struct {
	listener net.Listener
	server   *http.Server
	handler  atomic.Pointer[http.Handler]
	stopped  chan error // why it has, unless it was told to
	serving  sync.WaitGroup
}

func newFront(l net.Listener, log *slog.Logger) *front {
	f := &front{listener: l, stopped: make(chan error, 1)}
	f.server = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return f
}

// answer has h answer from now on; first says that nothing did before. It is called by
// one goroutine.
func (f *front) answer(h http.Handler) (first bool) {
	if first = f.handler.Swap(&h) == nil; first {
		f.serving.Go(func() { f.stopped <- f.server.Serve(f.listener) })
	}
	return first
}

// ServeHTTP has the newest handler answer.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

// close ends it with all that is under way.
func (f *front) close() error {
	err := f.server.Close()
	f.serving.Wait()
	return err
}

// standing returns what has a standby answer, and says so once.
func (f *front) standing(startup *slog.Logger) func(http.Handler) {
	return func(h http.Handler) {
		if f.answer(h) {
			startup.Info("standing by", "url", "http://"+f.listener.Addr().String(), "version", version)
		}
	}
}
