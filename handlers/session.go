package handlers

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"connvo/domain"
)

func (s *Server) sessionRoutes() {
	huma.Register(s.api, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/auth/logout", Tags: []string{"Signing in"},
		Summary: "Sign out",
		Description: "Ends the sessions of the token and of the cookie that the request carries, and takes the cookie away. " +
			"Every token of such a session is refused from then on; other sessions of the same person stay. Signing out twice is no error.",
		DefaultStatus: http.StatusNoContent,
		MaxBodyBytes:  -1, BodyReadTimeout: -1,
		Security: []map[string][]string{{"bearer": {}}},
		Responses: map[string]*huma.Response{
			"204": {Description: http.StatusText(http.StatusNoContent), Headers: map[string]*huma.Header{
				"Set-Cookie": header("Takes the cookie away."),
			}},
			"default": s.problemResponse(),
		},
	}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			s.logout(w, r)
		}}, nil
	})
}

// logout ends what the request is signed in with. A token that is not believed
// has nothing to end; while that cannot be known the cookie stays, so that the
// browser can try again.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	err := s.endSessions(r)
	if kind := domain.KindOf(err); err == nil || kind == domain.Conflict {
		http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// endSessions ends the session of the header's token and that of the cookie's,
// which goes too: whoever has both would otherwise stay signed in with one.
func (s *Server) endSessions(r *http.Request) error {
	var tokens []string
	if t, err := token(r); err == nil {
		tokens = append(tokens, t)
	}
	if c, err := r.Cookie(sessionCookie); err == nil {
		tokens = append(tokens, c.Value)
	}
	var failed error
	for _, t := range tokens {
		err := s.auth.SignOut(r.Context(), t)
		if err == nil || domain.KindOf(err) == domain.Unauthenticated {
			continue
		}
		if failed == nil || domain.KindOf(failed) == domain.Conflict {
			failed = err // what may pass, so that the cookie is kept for another try
		}
	}
	return failed
}
