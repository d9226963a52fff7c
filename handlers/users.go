package handlers

import (
	"context"
	"net/http"
	"time"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/users"
)

// me is the caller, to themselves.
type me struct {
	ID          domain.UserID `json:"id"`
	Email       string        `json:"email"`
	DisplayName string        `json:"displayName"`
	AvatarURL   *string       `json:"avatarUrl"`
	OrgID       *string       `json:"orgId"`
	OrgRole     *string       `json:"orgRole"`
	OnboardedAt *string       `json:"onboardedAt" format:"date-time" doc:"When PUT /v1/me/onboarding was first sent; null until then."`
	CreatedAt   string        `json:"createdAt" format:"date-time"`
	UpdatedAt   string        `json:"updatedAt" format:"date-time"`
}

// card is a person, to others.
type card struct {
	ID          domain.UserID `json:"id"`
	DisplayName string        `json:"displayName"`
	AvatarURL   *string       `json:"avatarUrl"`
}

type meInput struct{ LiveParams }

type meChange struct {
	Body struct {
		DisplayName *string `json:"displayName,omitempty" minLength:"1" maxLength:"100" doc:"How others see you."`
		AvatarURL   *string `json:"avatarUrl,omitempty" maxLength:"2048" doc:"An http or https URL; empty for none."`
	}
}

// cards is a page of a directory.
type cards struct {
	Items      []card  `json:"items"`
	NextCursor *string `json:"nextCursor"`
}

type directoryInput struct {
	ListParams
	Org  string `query:"org" required:"true" enum:"mine" doc:"Whose people: those of the caller's organization."`
	Name string `query:"name" maxLength:"100" doc:"What the names begin with, whatever their case."`
}

type userInput struct {
	LiveParams
	UserParam
}

// UserParam names the person in the path.
type UserParam struct {
	UserID string `path:"userId" maxLength:"128" doc:"The user's id."`
}

func (s *Server) userRoutes() {
	get(s, route{path: "/v1/me", id: "getMe", tag: "Users", summary: "Who am I",
		about: "The caller's account as the identity provider and they themselves have told. Its id is what others invite them by."}, s.getMe)
	edit(s, route{method: http.MethodPatch, path: "/v1/me", id: "updateMe", tag: "Users", summary: "Change my name or avatar",
		about: "What is left out stays. What was chosen here is not changed by the identity provider any more."},
		func(ctx context.Context, who domain.Actor, _ *meChange) (me, error) { return s.getMe(ctx, who, nil) }, s.updateMe)
	get(s, route{path: "/v1/users", id: "listUsers", tag: "Users", summary: "The active people of my organization",
		about: "By name, the caller among them. Whom a block keeps from the caller is left out; who belongs to no organization sees nobody."}, s.listUsers)
	get(s, route{path: "/v1/users/{userId}", id: "getUser", tag: "Users", summary: "A person's card",
		about: "404 also where one of the two blocks the other.", shared: true}, s.getUser)
	write(s, route{path: "/v1/users/{userId}/deactivate", id: "deactivateUser", tag: "Users", audits: audit.UserDeactivated, summary: "Deactivate a person",
		about: "Oneself, or for admins somebody of their organization. Their streams end, and they are refused. Meetings that they were to host are handed over to the cohost whose account is the oldest, or cancelled where there is none; who is concerned is told. An admin can undo it, but for the meetings."}, s.deactivateUser)
	write(s, route{path: "/v1/users/{userId}/activate", id: "activateUser", tag: "Users", audits: audit.UserActivated, summary: "Let a deactivated person come back",
		about: "For admins of their organization. Meetings that were handed over or cancelled stay so."}, s.activateUser)
}

func (s *Server) getMe(ctx context.Context, who domain.Actor, _ *meInput) (me, error) {
	u, err := s.Users.Me(ctx, who)
	return meOf(u), err
}

func (s *Server) updateMe(ctx context.Context, who domain.Actor, in *meChange) (me, error) {
	u, err := s.Users.Update(ctx, who, users.Change{DisplayName: in.Body.DisplayName, AvatarURL: in.Body.AvatarURL})
	return meOf(u), err
}

func (s *Server) listUsers(ctx context.Context, who domain.Actor, in *directoryInput) (cards, error) {
	page, next, err := s.Users.Directory(ctx, who, users.Query{Prefix: in.Name, Cursor: domain.Cursor(in.Cursor), Limit: in.Limit})
	items := make([]card, len(page))
	for i, c := range page {
		items[i] = cardOf(c)
	}
	return cards{Items: items, NextCursor: text(string(next))}, err
}

func (s *Server) getUser(ctx context.Context, who domain.Actor, in *userInput) (card, error) {
	c, err := s.Users.Card(ctx, who, domain.UserID(in.UserID))
	return cardOf(c), err
}

func (s *Server) deactivateUser(ctx context.Context, who domain.Actor, in *UserParam) (nothing, error) {
	return nothing{}, s.Users.Deactivate(ctx, who, domain.UserID(in.UserID))
}

func (s *Server) activateUser(ctx context.Context, who domain.Actor, in *UserParam) (nothing, error) {
	return nothing{}, s.Users.Activate(ctx, who, domain.UserID(in.UserID))
}

func meOf(u users.User) me {
	return me{
		ID: u.ID, Email: u.Email, DisplayName: u.DisplayName, AvatarURL: text(u.AvatarURL), OrgID: text(u.Org), OrgRole: text(u.OrgRole),
		OnboardedAt: maybe(u.OnboardedAt),
		CreatedAt:   instant(u.CreatedAt), UpdatedAt: instant(u.UpdatedAt),
	}
}

func cardOf(c users.Card) card {
	return card{ID: c.ID, DisplayName: c.DisplayName, AvatarURL: text(c.AvatarURL)}
}

// text is null where a text is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant writes an instant; maybe is null where there is none.
func instant(t time.Time) string { return t.UTC().Format(domain.TimeFormat) }

func maybe(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := instant(t)
	return &s
}
