package handlers

import (
	"context"
	"net/http"
	"strconv"

	"connvo/audit"
	"connvo/domain"
	"connvo/retention"
)

// retentionPolicy is how long an organization keeps what its meetings leave.
type retentionPolicy struct {
	MessagesDays    int `json:"messagesDays" minimum:"1" maximum:"3650" doc:"90 where nobody has decided."`
	TranscriptsDays int `json:"transcriptsDays" minimum:"1" maximum:"3650" doc:"90 where nobody has decided."`
}

type retentionInput struct{ LiveParams }

type retentionChange struct{ Body retentionPolicy }

// detail is what the record keeps of a change.
func (c retentionChange) detail() map[string]string {
	return map[string]string{"messagesDays": strconv.Itoa(c.Body.MessagesDays), "transcriptsDays": strconv.Itoa(c.Body.TranscriptsDays)}
}

func (s *Server) retentionRoutes() {
	const path = "/v1/admin/retention"
	get(s, route{path: path, id: "getRetention", tag: "Administration",
		summary: "How long my organization keeps messages and transcripts", about: "For admins. It holds for the meetings of the organization; what is older is deleted within an hour."}, s.getRetention)
	edit(s, route{method: http.MethodPut, path: path, id: "setRetention", tag: "Administration", audits: audit.RetentionChanged,
		summary: "Decide how long my organization keeps messages and transcripts",
		about:   "For admins. A shorter time holds for what is stored already, and is deleted from now on; nothing brings it back."},
		func(ctx context.Context, who domain.Actor, _ *retentionChange) (retentionPolicy, error) {
			return s.getRetention(ctx, who, nil)
		}, s.setRetention)
}

func (s *Server) getRetention(ctx context.Context, who domain.Actor, _ *retentionInput) (retentionPolicy, error) {
	p, err := s.Retention.Get(ctx, who)
	return retentionPolicy(p), err
}

func (s *Server) setRetention(ctx context.Context, who domain.Actor, in *retentionChange) (retentionPolicy, error) {
	return in.Body, s.Retention.Set(ctx, who, retention.Policy(in.Body))
}
