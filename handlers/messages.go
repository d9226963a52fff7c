package handlers

import (
	"context"
	"net/http"
	"strconv"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/messages"
	"connvo/ratelimit"
)

// Message is one entry of a meeting's chat. (Exported because it is embedded,
// like the parameters.)
type Message struct {
	ID        domain.MessageID  `json:"id"`
	Seq       int64             `json:"seq" doc:"Its creation."`
	Position  int64             `json:"position" doc:"Its last change: an edited or deleted message comes again in the feed."`
	UserID    *domain.UserID    `json:"userId" doc:"Null for what the server says itself."`
	System    bool              `json:"system,omitempty" doc:"The server said it: somebody joined, say. Nobody can change it."`
	Content   string            `json:"content" doc:"Empty once deleted."`
	ReplyTo   *domain.MessageID `json:"replyTo,omitempty"`
	Attached  []attachment      `json:"attachments,omitempty" doc:"Gone once the message is deleted."`
	CreatedAt string            `json:"createdAt" format:"date-time"`
	EditedAt  *string           `json:"editedAt,omitempty" format:"date-time"`
	DeletedAt *string           `json:"deletedAt,omitempty" format:"date-time"`
}

func (m Message) key() string     { return string(m.ID) }
func (m Message) position() int64 { return m.Position }
func (m Message) order() int64    { return m.Seq }

// attachment is a file that lies elsewhere; nothing of it is checked or kept.
type attachment struct {
	URL         string `json:"url" minLength:"1" maxLength:"2048" doc:"http or https, with a host and without credentials."`
	Name        string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	ContentType string `json:"contentType,omitempty" minLength:"1" maxLength:"127" doc:"A media type, such as image/png."`
	SizeBytes   *int64 `json:"sizeBytes,omitempty" minimum:"0" maximum:"9007199254740991"`
}

type messageDraft struct {
	MeetingParam
	Body struct {
		Content     string       `json:"content" minLength:"1" maxLength:"4000" doc:"Not only white space, also when there are attachments."`
		ReplyTo     string       `json:"replyTo,omitempty" maxLength:"32" doc:"The id of the message of this meeting that it answers."`
		Attachments []attachment `json:"attachments,omitempty" maxItems:"10"`
	}
}

type messagesInput struct {
	FeedParams
	MeetingParam
	Thread string `query:"thread" maxLength:"32" doc:"Only the thread of this message: the one it began with, and every reply to one of them."`
}

type searchInput struct {
	ListParams
	MeetingParam
	Q string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"Words, of which a message has every one. Case and accents do not matter; the last word stands for all that begin with it, when it has three characters or more."`
}

// foundMessage is a message that has the words that were looked for.
type foundMessage struct {
	Message
	Snippet string `json:"snippet" doc:"The part of the content around them, as plain text. What was found stands between ⟦ and ⟧, and … where it was cut."`
}

type foundMessages struct {
	Items      []foundMessage `json:"items"`
	NextCursor *string        `json:"nextCursor"`
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

func (m Message) name() string { return string(m.ID) }

func (s *Server) messageRoutes() {
	const all, one = "/v1/meetings/{meetingId}/messages", "/v1/meetings/{meetingId}/messages/{messageId}"
	say(s, route{path: all, id: "postMessage", tag: "Messages", status: http.StatusCreated, limit: ratelimit.Messages,
		summary: "Say something", about: "Not observers. Before a meeting any member, while it is active who has joined, and for 30 days after its end any member."},
		func(ctx context.Context, who domain.Actor, in *messageDraft, id string) (Message, error) {
			return s.messageAgain(ctx, who, in.meeting(), id)
		}, s.postMessage)
	feed(s, route{path: all, id: "listMessages", tag: "Messages",
		summary: "The chat of a meeting", about: "Pages without after go by seq; after goes by position.", shared: true}, s.listMessages)
	get(s, route{path: all + "/search", id: "searchMessages", tag: "Messages", limit: ratelimit.Search,
		summary: "Look for words in the chat", about: "Newest first, by creation. What is deleted, and what the server says itself, is not found.", shared: true}, s.searchMessages)
	say(s, route{method: http.MethodPatch, path: one, id: "editMessage", tag: "Messages", summary: "Edit my message", about: "Its attachments stay."},
		func(ctx context.Context, who domain.Actor, in *messageEdit, id string) (Message, error) {
			return s.messageAgain(ctx, who, in.meeting(), id)
		}, s.editMessage)
	write(s, route{method: http.MethodDelete, path: one, id: "deleteMessage", audits: audit.MessageDeleted, tag: "Messages",
		summary: "Delete a message", about: "The author's own; host and cohosts delete anyone's."}, s.deleteMessage)
}

func (s *Server) postMessage(ctx context.Context, who domain.Actor, in *messageDraft) (Message, error) {
	d := messages.Draft{Content: in.Body.Content, ReplyTo: domain.MessageID(in.Body.ReplyTo)}
	for _, a := range in.Body.Attachments {
		d.Attachments = append(d.Attachments, messages.Attachment(a))
	}
	m, err := s.Messages.Post(ctx, who, in.meeting(), d)
	return messageOf(m), err
}

func (s *Server) messageAgain(ctx context.Context, who domain.Actor, meeting domain.MeetingID, id string) (Message, error) {
	m, err := s.Messages.Get(ctx, who, meeting, domain.MessageID(id))
	return messageOf(m), err
}

func (s *Server) listMessages(ctx context.Context, who domain.Actor, in *messagesInput, span domain.Span) (domain.Part[Message], error) {
	part, err := s.Messages.Feed(ctx, who, in.meeting(), domain.MessageID(in.Thread), span)
	return domain.Parts(part, messageOf), err
}

func (s *Server) searchMessages(ctx context.Context, who domain.Actor, in *searchInput) (foundMessages, error) {
	below, err := numberOf(in.Cursor, domain.MaxNumber)
	if err != nil {
		return foundMessages{}, err
	}
	found, more, err := s.Messages.Search(ctx, who, in.meeting(), in.Q, below, in.Limit)
	page := foundMessages{Items: make([]foundMessage, len(found))}
	for i, f := range found {
		page.Items[i] = foundMessage{messageOf(f.Message), f.Snippet}
	}
	if more {
		next := string(domain.NewCursor(strconv.FormatInt(found[len(found)-1].Seq, 10)))
		page.NextCursor = &next
	}
	return page, err
}

// numberOf returns the number that a cursor stands for, or that of the first page.
func numberOf(cursor string, first int64) (int64, error) {
	key, err := domain.Cursor(cursor).Key(1)
	if err != nil || key == nil {
		return first, err
	}
	n, err := strconv.ParseInt(key[0], 10, 64)
	if err != nil {
		return 0, &domain.Error{Kind: domain.Malformed, Field: "query.cursor", Detail: "the cursor is not one that this server gave"}
	}
	return n, nil
}

func (s *Server) editMessage(ctx context.Context, who domain.Actor, in *messageEdit) (Message, error) {
	m, err := s.Messages.Edit(ctx, who, in.meeting(), domain.MessageID(in.MessageID), in.Body.Content)
	return messageOf(m), err
}

func (s *Server) deleteMessage(ctx context.Context, who domain.Actor, in *MessageParam) (nothing, error) {
	return nothing{}, s.Messages.Delete(ctx, who, in.meeting(), domain.MessageID(in.MessageID))
}

func messageOf(m messages.Message) Message {
	out := Message{
		ID: m.ID(), Seq: m.Seq, Position: m.Position, System: m.System(), Content: m.Content,
		CreatedAt: instant(m.CreatedAt), EditedAt: maybe(m.EditedAt), DeletedAt: maybe(m.DeletedAt),
	}
	if !m.System() {
		out.UserID = &m.User
	}
	for _, a := range m.Attachments {
		out.Attached = append(out.Attached, attachment(a))
	}
	if m.ReplyTo != 0 {
		id := domain.NewMessageID(m.ReplyTo)
		out.ReplyTo = &id
	}
	return out
}
