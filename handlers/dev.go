package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"connvo/auth"
	"connvo/domain"
)

// demoPerson is someone whom the development pages offer to be.
type demoPerson struct{ Name, Email string }

// demoPeople are seeded with the demo meeting.
var demoPeople = []demoPerson{{"Ada", "ada@example.com"}, {"Grace", "grace@example.com"}}

type tokenRequest struct {
	Body struct {
		Email   string `json:"email" minLength:"3" maxLength:"320"`
		Name    string `json:"name,omitempty" maxLength:"100"`
		OrgID   string `json:"orgId,omitempty" maxLength:"64"`
		OrgRole string `json:"orgRole,omitempty" maxLength:"64" enum:",admin,member" doc:"Needs an organization."`
	}
}

type tokenGrant struct {
	AccessToken string `json:"accessToken"`
	ExpiresIn   int64  `json:"expiresIn" doc:"Seconds."`
	User        me     `json:"user"`
}

// devRoutes are the development identity provider: whoever asks is believed, so
// it answers only requests that were sent to this machine by its name.
func (s *Server) devRoutes() {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[tokenGrant](), true, "tokenGrant")
	huma.Register(s.api, huma.Operation{
		OperationID: "devToken", Method: http.MethodPost, Path: devTokenPath, Tags: []string{"Development"},
		Summary:      "A token for anyone",
		Description:  "The built-in identity provider of a first run. It is off where WorkOS is configured.",
		MaxBodyBytes: -1, BodyReadTimeout: -1,
		Responses: map[string]*huma.Response{
			"200":     {Description: "The token, and whose it is.", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}},
			"default": s.problemResponse(),
		},
	}, func(_ context.Context, in *tokenRequest) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			s.devToken(w, r, auth.TokenRequest{Email: in.Body.Email, Name: in.Body.Name, OrgID: in.Body.OrgID, OrgRole: in.Body.OrgRole})
		}}, nil
	})
	s.mux.HandleFunc("POST "+devLoginPath, s.devLogin)
}

// The paths at which a development server signs people in.
const (
	devTokenPath = "/dev/token"
	devLoginPath = "/dev/login"
)

// devToken answers with a token.
func (s *Server) devToken(w http.ResponseWriter, r *http.Request, asked auth.TokenRequest) {
	grant, err := s.devGrant(r, asked)
	if err == nil {
		err = s.recordSession(r, grant.Actor)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	// Strings and numbers always encode.
	body, _ := json.Marshal(tokenGrant{AccessToken: grant.AccessToken, ExpiresIn: int64(grant.ExpiresIn.Seconds()), User: meOf(grant.User)})
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, body)
}

// devGrant asks the development identity provider for a token. Who is refused is
// known to the record.
func (s *Server) devGrant(r *http.Request, asked auth.TokenRequest) (auth.Grant, error) {
	grant, err := s.Dev.Token(r.Context(), asked)
	if err != nil {
		callOf(r.Context()).who = grant.Actor
	}
	return grant, err
}

// localOnly refuses a request whose Host is not this machine: a page elsewhere
// could otherwise reach the provider by a name that it points here.
func localOnly(r *http.Request) error {
	if !auth.LocalHost(r.Host) {
		return domain.Fail(domain.Forbidden, "the development identity provider answers on localhost, 127.0.0.1 and [::1] only")
	}
	return nil
}

// devLogin signs a browser in.
func (s *Server) devLogin(w http.ResponseWriter, r *http.Request) {
	if err := localOnly(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, domain.Because(domain.Malformed, err, "the form could not be read"))
		return
	}
	grant, err := s.devGrant(r, auth.TokenRequest{
		Email: strings.TrimSpace(r.PostForm.Get("email")), Name: r.PostForm.Get("name"),
		OrgID: strings.TrimSpace(r.PostForm.Get("org")), OrgRole: r.PostForm.Get("role"),
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	cookie, who, err := s.Browsers.Open(r.Context(), grant.AccessToken, "")
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.signedIn(w, r, cookie, who, s.ownPath(r.PostForm.Get("returnTo")))
}
