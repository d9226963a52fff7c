package handlers

import "net/http"

// workosPath is where WorkOS sends its events.
const workosPath = "/webhooks/workos"

// webhookRoutes are for the services that tell us of what happens there. Their
// requests are believed for a signature over the raw body, not for a token.
func (s *Server) webhookRoutes() {
	s.mux.HandleFunc("POST "+workosPath, s.workosWebhook)
	// No browser's session is in play, so that no page can abuse one.
	s.cross.AddInsecureBypassPattern("POST " + workosPath)
}

// workosWebhook stores an event and answers at once: 2xx is all that WorkOS
// waits for, and anything else makes it send the event again.
func (s *Server) workosWebhook(w http.ResponseWriter, r *http.Request) {
	if err := s.receive(w, r); err != nil {
		s.refuse(w, r, s.limitStranger(w, r, err))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

func (s *Server) receive(w http.ResponseWriter, r *http.Request) error {
	if err := s.Inbox.Configured(); err != nil {
		return err
	}
	body, err := readBody(w, r, jsonMedia)
	if err != nil {
		s.Inbox.Unread()
		return err
	}
	return s.Inbox.Receive(r.Context(), r.Header.Get("WorkOS-Signature"), body)
}
