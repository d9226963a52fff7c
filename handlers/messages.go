package handlers

import (
	"context"
	"net/http"

	"connvo/domain"
	"connvo/domain/messages"
)

// message is one entry of a meeting's chat.
type message struct {
	ID        domain.MessageID  `json:"id"`
	Seq       int64             `json:"seq" doc:"Its creation."`
	Position  int64             `json:"position" doc:"Its last change: an edited or deleted message comes again in the feed."`
	UserID    domain.UserID     `json:"userId"`
	Content   string            `json:"content" doc:"Empty once deleted."`
	ReplyTo   *domain.MessageID `json:"replyTo,omitempty"`
	CreatedAt string            `json:"createdAt" format:"date-time"`
	EditedAt  *string           `json:"editedAt,omitempty" format:"date-time"`
	DeletedAt *string           `json:"deletedAt,omitempty" format:"date-time"`
}

func (m message) key() string     { return string(m.ID) }
func (m message) position() int64 { return m.Position }
func (m message) order() int64    { return m.Seq }

type messageDraft struct {
	MeetingParam
	Body struct {
		Content string `json:"content" minLength:"1" maxLength:"4000"`
		ReplyTo string `json:"replyTo,omitempty" maxLength:"32" doc:"The id of the message of this meeting that it answers."`
	}
}

// MessageParam names the message in the path.
type MessageParam struct {
	MeetingParam
	MessageID string `path:"messageId" maxLength:"32" doc:"The message's id."`
}

type messageEdit struct {
	MessageParam
	Body struct {
		Content string `json:"content" minLength:"1" maxLength:"4000"`
	}
}

func (s *Server) messageRoutes() {
	const all, one = "/v1/meetings/{meetingId}/messages", "/v1/meetings/{meetingId}/messages/{messageId}"
	write(s, route{path: all, id: "postMessage", tag: "Messages", status: http.StatusCreated,
		summary: "Say something", about: "Not observers. Before a meeting any member, while it is active who has joined, and for 30 days after its end any member."}, s.postMessage)
	feed(s, route{path: all, id: "listMessages", tag: "Messages",
		summary: "The chat of a meeting", about: "Pages without after go by seq; after goes by position.", shared: true}, s.listMessages)
	write(s, route{method: http.MethodPatch, path: one, id: "editMessage", tag: "Messages", summary: "Edit my message"}, s.editMessage)
	write(s, route{method: http.MethodDelete, path: one, id: "deleteMessage", tag: "Messages",
		summary: "Delete a message", about: "The author's own; host and cohosts delete anyone's."}, s.deleteMessage)
}

func (s *Server) postMessage(ctx context.Context, who domain.Actor, in *messageDraft) (message, error) {
	m, err := s.messages.Post(ctx, who, in.meeting(), messages.Draft{Content: in.Body.Content, ReplyTo: domain.MessageID(in.Body.ReplyTo)})
	return messageOf(m), err
}

func (s *Server) listMessages(ctx context.Context, who domain.Actor, in *meetingFeedInput, span domain.Span) (domain.Part[message], error) {
	part, err := s.messages.Feed(ctx, who, in.meeting(), span)
	items := make([]message, len(part.Items))
	for i, m := range part.Items {
		items[i] = messageOf(m)
	}
	return domain.Part[message]{Items: items, More: part.More}, err
}

func (s *Server) editMessage(ctx context.Context, who domain.Actor, in *messageEdit) (message, error) {
	m, err := s.messages.Edit(ctx, who, in.meeting(), domain.MessageID(in.MessageID), in.Body.Content)
	return messageOf(m), err
}

func (s *Server) deleteMessage(ctx context.Context, who domain.Actor, in *MessageParam) (nothing, error) {
	return nothing{}, s.messages.Delete(ctx, who, in.meeting(), domain.MessageID(in.MessageID))
}

func messageOf(m messages.Message) message {
	out := message{
		ID: m.ID(), Seq: m.Seq, Position: m.Position, UserID: m.User, Content: m.Content,
		CreatedAt: instant(m.CreatedAt), EditedAt: maybe(m.EditedAt), DeletedAt: maybe(m.DeletedAt),
	}
	if m.ReplyTo != 0 {
		id := domain.NewMessageID(m.ReplyTo)
		out.ReplyTo = &id
	}
	return out
}
