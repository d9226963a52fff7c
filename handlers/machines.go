package handlers

import (
	"crypto/rand"
	"net/http"

	"connvo/domain"
)

// requestID returns the id of a request: it is in its answer and in the log.
func requestID() string { return rand.Text() }

// machineRoutes are for load balancers, monitors and programmers.
func (s *Server) machineRoutes() {
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
	})
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, http.StatusOK, s.document)
	})
}

// ready says whether requests should be sent here: the database answers, and
// the server is not about to stop.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.DB.Ping(r.Context())
	if s.draining.Load() {
		err = domain.Fail(domain.ShuttingDown, "the server is about to stop")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, []byte(`{"status":"ready"}`))
}
