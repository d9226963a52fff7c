package handlers

import (
	"context"
	"strconv"

	"connvo/domain"
	"connvo/domain/notifications"
)

// notification is one thing that the caller was told.
type notification struct {
	Position  int64          `json:"position"`
	Type      string         `json:"type" enum:"meeting.invited,meeting.starting,meeting.started,meeting.cancelled,role.changed,message.mentioned,connection.requested,connection.accepted"`
	MeetingID *string        `json:"meetingId" doc:"Null where it is about none."`
	ActorID   *domain.UserID `json:"actorId" doc:"Whose deed it was; null when time did it, and where an invitation by e-mail was claimed."`
	Subject   *string        `json:"subject,omitempty" doc:"The new role of role.changed, the message's id of message.mentioned, the connection's of connection.requested and connection.accepted."`
	CreatedAt string         `json:"createdAt" format:"date-time"`
}

func (n notification) key() string     { return strconv.FormatInt(n.Position, 10) }
func (n notification) position() int64 { return n.Position }
func (n notification) order() int64    { return n.Position }

// unread is how far the caller has read.
type unread struct {
	Unread   int64 `json:"unread" minimum:"0" maximum:"100" doc:"How many are not read yet; 100 stands for that many or more."`
	ReadUpTo int64 `json:"readUpTo" doc:"The position of the newest that is read; 0 for none."`
}

type notificationsInput struct{ FeedParams }

type unreadInput struct{ LiveParams }

type notificationsRead struct {
	Body struct {
		UpTo int64 `json:"upTo" minimum:"0" maximum:"9007199254740991" doc:"A position: everything up to it is read, at most what there is. A smaller one than before changes nothing."`
	}
}

func (s *Server) notificationRoutes() {
	const all = "/v1/notifications"
	feed(s, route{path: all, id: "listNotifications", tag: "Notifications", summary: "What I am told",
		about: "meeting.invited; meeting.starting, ten minutes before its planned time; meeting.started; meeting.cancelled; role.changed; message.mentioned, where a message that the caller may read says @[usr_…] with their id (the first 20 people that it names, each once), one in a meeting until it is read: it stands for those that follow; connection.requested and connection.accepted. Nobody is told that somebody turns to them from whom a block keeps them. Nobody is told what they have done themselves. A notification does not change; what is read is told by GET /v1/notifications/unread. They are kept for 90 days."}, s.listNotifications)
	write(s, route{path: all + "/read", id: "readNotifications", tag: "Notifications", summary: "I have read them",
		about: "The caller's other devices learn it from GET /v1/notifications/unread."}, s.readNotifications)
	// Apart from GET /v1/me, whose ETag would otherwise change with each of them.
	get(s, route{path: all + "/unread", id: "getUnread", tag: "Notifications", summary: "How many I have not read",
		about: "Up to 100, which stands for that many or more, and how far the caller has read."}, s.getUnread)
}

func (s *Server) listNotifications(ctx context.Context, who domain.Actor, _ *notificationsInput, span domain.Span) (domain.Part[notification], error) {
	part, err := s.Notifications.Feed(ctx, who, span)
	return domain.Parts(part, notificationOf), err
}

func notificationOf(n notifications.Notification) notification {
	out := notification{Position: n.Position, Type: string(n.Type), MeetingID: text(string(n.Meeting)), Subject: text(n.Subject), CreatedAt: instant(n.CreatedAt)}
	if n.Actor != "" {
		out.ActorID = &n.Actor
	}
	return out
}

func (s *Server) readNotifications(ctx context.Context, who domain.Actor, in *notificationsRead) (nothing, error) {
	return nothing{}, s.Notifications.Read(ctx, who, in.Body.UpTo)
}

func (s *Server) getUnread(ctx context.Context, who domain.Actor, _ *unreadInput) (unread, error) {
	standing, err := s.Notifications.Standing(ctx, who)
	return unread{Unread: standing.Unread, ReadUpTo: standing.ReadUpTo}, err
}
