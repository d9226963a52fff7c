package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"connvo/audit"
	"connvo/domain"
)

// logoutAnswer is for a browser's script that has signed out.
type logoutAnswer struct {
	LogoutURL string `json:"logoutUrl" doc:"Send the browser there, to end the session at the identity provider too; it comes back to the first page."`
}

func (s *Server) sessionRoutes() {
	takesCookie := map[string]*huma.Header{"Set-Cookie": header("Takes the cookie away.")}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[logoutAnswer](), true, "logoutAnswer")
	huma.Register(s.api, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/auth/logout", Tags: []string{"Signing in"},
		Summary: "Sign out",
		Description: "Ends the sessions of the token and of the cookie that the request carries, and takes the cookie away. " +
			"Every token of such a session is refused from then on; other sessions of the same person stay. Signing out twice is no error. " +
			"Where the cookie's session is one of WorkOS, the browser ends it there at the address in the answer; a form (Accept: text/html) is sent on by itself.",
		DefaultStatus: http.StatusNoContent,
		MaxBodyBytes:  -1, BodyReadTimeout: -1,
		Security: []map[string][]string{{"bearer": {}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "There is a session at the identity provider to end.", Headers: takesCookie,
				Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}},
			"204":     {Description: "There is nothing more to do.", Headers: takesCookie},
			"303":     {Description: "To the identity provider, which ends its session, or to the first page: for a form.", Headers: takesCookie},
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
	next, err := s.endSessions(r)
	if kind := domain.KindOf(err); err == nil || kind == domain.Conflict {
		http.SetCookie(w, s.cookie(s.cookieName(), "", -1))
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case accepts(r, "text/html", false):
		http.Redirect(w, r, cmp.Or(next, "/"), http.StatusSeeOther)
	case next != "":
		body, _ := json.Marshal(logoutAnswer{next}) // a string always encodes
		writeJSON(w, http.StatusOK, body)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// endSessions ends the session of the header's token and that of the cookie's,
// which goes too: whoever has both would otherwise stay signed in with one. It
// returns where the browser goes on to, "" for nowhere.
func (s *Server) endSessions(r *http.Request) (next string, failed error) {
	ended := func(who domain.Actor, err error) {
		switch {
		case err == nil:
			_ = s.Audit.Note(sessionEntry(r, audit.SessionEnded, who)) // it has ended, whether it can be recorded or not
		case domain.KindOf(err) == domain.Unauthenticated: // there was nothing to end
		case failed == nil, domain.KindOf(failed) == domain.Conflict:
			failed = err // what may pass, so that the cookie is kept for another try
		}
	}
	if t, err := bearer(r); err == nil && t != "" {
		who, err := s.Auth.SignOut(r.Context(), t)
		ended(who, err)
	}
	if c, err := r.Cookie(s.cookieName()); err == nil {
		var who domain.Actor
		who, next, err = s.Browsers.SignOut(r.Context(), c.Value)
		ended(who, err)
	}
	return next, failed
}
