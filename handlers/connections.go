package handlers

import (
	"context"
	"net/http"

	"connvo/domain"
	"connvo/domain/connections"
)

// connection is a connection, or a request for one, as the caller sees it.
type connection struct {
	ID         domain.ConnectionID `json:"id"`
	UserID     domain.UserID       `json:"userId" doc:"The other."`
	Status     string              `json:"status" enum:"pending,accepted"`
	Direction  string              `json:"direction" enum:"sent,received" doc:"Whether the caller has asked, or the other."`
	Message    *string             `json:"message,omitempty" doc:"What the request said."`
	CreatedAt  string              `json:"createdAt" format:"date-time" doc:"When it was asked."`
	AcceptedAt *string             `json:"acceptedAt" format:"date-time"`
	User       shortCard           `json:"user"`
}

type connectionList struct {
	Items      []connection `json:"items"`
	NextCursor *string      `json:"nextCursor"`
}

type connectionsInput struct {
	ListParams
	Status    string `query:"status" enum:"pending,accepted" doc:"Only these; both when left out."`
	Direction string `query:"direction" enum:"sent,received" doc:"Only what the caller has asked, or only what others have."`
}

type connectionDraft struct {
	Body struct {
		UserID  string `json:"userId" minLength:"1" maxLength:"128" doc:"Whom to ask."`
		Message string `json:"message,omitempty" maxLength:"500" doc:"What they read with it."`
	}
}

type connectionStep struct {
	ID string `path:"id" maxLength:"128" doc:"The connection's id."`
}

func (in *connectionStep) connection() domain.ConnectionID { return domain.ConnectionID(in.ID) }

func (s *Server) connectionRoutes() {
	const all, one = "/v1/connections", "/v1/connections/{id}"
	get(s, route{path: all, id: "listConnections", tag: "Connections", summary: "My connections and requests",
		about: "Newest first."}, s.listConnections)
	write(s, route{path: all, id: "requestConnection", tag: "Connections", status: http.StatusCreated, summary: "Ask somebody to connect",
		about: "They are told with connection.requested. Where they have asked the caller already, the two are connected at once. Who has declined can be asked again after 30 days; a request that was withdrawn and is made again within a day is not told again. Of one person at most 100 requests wait for an answer, 1000 for theirs, and 5000 connections are kept."}, s.requestConnection)
	write(s, route{path: one + "/accept", id: "acceptConnection", tag: "Connections", summary: "Accept a request",
		about: "Only who was asked. The other is told with connection.accepted. Repeated it changes nothing."}, s.acceptConnection)
	write(s, route{path: one + "/decline", id: "declineConnection", tag: "Connections", summary: "Decline a request",
		about: "Only who was asked. The other is told nothing, and cannot ask again for 30 days."}, s.declineConnection)
	write(s, route{method: http.MethodDelete, path: one, id: "removeConnection", tag: "Connections", summary: "Remove a connection, or withdraw a request",
		about: "A connection by either of the two, a request by who has asked."}, s.removeConnection)
}

func (s *Server) listConnections(ctx context.Context, who domain.Actor, in *connectionsInput) (connectionList, error) {
	key, err := domain.Cursor(in.Cursor).Key(1)
	if err != nil {
		return connectionList{}, err
	}
	var below domain.ConnectionID
	if key != nil {
		below = domain.ConnectionID(key[0])
	}
	f := connections.Filter{Status: connections.Status(in.Status), Direction: connections.Direction(in.Direction)}
	list, more, err := s.Connections.List(ctx, who, f, below, in.Limit)
	page := connectionList{Items: make([]connection, len(list))}
	for i, c := range list {
		page.Items[i] = connectionOf(c)
	}
	if more {
		next := string(domain.NewCursor(string(list[len(list)-1].ID)))
		page.NextCursor = &next
	}
	return page, err
}

func (s *Server) requestConnection(ctx context.Context, who domain.Actor, in *connectionDraft) (connection, error) {
	c, err := s.Connections.Request(ctx, who, domain.UserID(in.Body.UserID), in.Body.Message)
	return connectionOf(c), err
}

func (s *Server) acceptConnection(ctx context.Context, who domain.Actor, in *connectionStep) (connection, error) {
	c, err := s.Connections.Accept(ctx, who, in.connection())
	return connectionOf(c), err
}

func (s *Server) declineConnection(ctx context.Context, who domain.Actor, in *connectionStep) (nothing, error) {
	return nothing{}, s.Connections.Decline(ctx, who, in.connection())
}

func (s *Server) removeConnection(ctx context.Context, who domain.Actor, in *connectionStep) (nothing, error) {
	return nothing{}, s.Connections.Remove(ctx, who, in.connection())
}

func connectionOf(c connections.Connection) connection {
	return connection{
		ID: c.ID, UserID: c.Other, Status: string(c.Status), Direction: string(c.Direction), Message: text(c.Message),
		CreatedAt: instant(c.CreatedAt), AcceptedAt: maybe(c.AcceptedAt),
		User: shortCard{DisplayName: c.Card.DisplayName, AvatarURL: text(c.Card.AvatarURL)},
	}
}
