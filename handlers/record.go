package handlers

import (
	"context"
	"encoding/json"
	"net/http"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/idempotency"
)

// entryOf is the entry of what the request does. Its detail is what was sent: the
// body, else the parameters of the URL.
func (s *Server) entryOf(r *http.Request, action audit.Action) audit.Entry {
	c := callOf(r.Context())
	e := audit.Entry{
		Actor: c.who.User, Org: c.who.Org, Session: c.who.Session, Action: action, Resource: r.URL.Path, Outcome: audit.Allowed,
		Detail: string(c.body), Request: c.id, Address: address(r), Agent: r.UserAgent(),
	}
	if len(c.body) == 0 && r.URL.RawQuery != "" {
		query, _ := json.Marshal(map[string]string{"query": r.URL.RawQuery}) // strings always encode
		e.Detail = string(query)
	}
	return e
}

// recorded runs a write within tx, and records under the action what it has done.
func (s *Server) recorded(tx *db.WriteTx, r *http.Request, action audit.Action, run func(context.Context) (idempotency.Answer, error)) (idempotency.Answer, error) {
	a, err := run(db.Join(r.Context(), tx))
	if err == nil && action != "" {
		err = audit.Record(tx, s.entryOf(r, action))
	}
	return a, err
}

// noteRead records a plain answer, or its refusal, under the action. It returns
// err, or why nothing can be recorded, and then nothing is answered.
func (s *Server) noteRead(r *http.Request, action audit.Action, err error) error {
	if err != nil {
		s.noteRefusal(r, action, err)
		return err
	}
	if action == "" {
		return nil
	}
	return s.audit.Note(s.entryOf(r, action))
}

// noteRefusal records that the caller has asked for what they may not. They are
// refused whether it can be recorded or not.
func (s *Server) noteRefusal(r *http.Request, action audit.Action, err error) {
	if action == "" || domain.KindOf(err) != domain.Forbidden {
		return
	}
	e := s.entryOf(r, action)
	e.Outcome = audit.Refused
	if err := s.audit.Note(e); err != nil {
		s.log.Error("a refusal cannot be recorded", "request", e.Request, "error", err)
	}
}
