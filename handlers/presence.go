package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/presence"
)

// presencePath is who is here in a meeting.
const presencePath = "/v1/meetings/{meetingId}/presence"

// presenceEvery is how often who is here is told, at most: ten people who move
// their cursors are one answer a second.
const presenceEvery = time.Second

type cursor struct {
	Version int64 `json:"version" minimum:"0" maximum:"9007199254740991" doc:"Of the notes that it is about."`
	Anchor  int64 `json:"anchor" minimum:"0" maximum:"100000" doc:"Where the selection began, in UTF-16 code units."`
	Head    int64 `json:"head" minimum:"0" maximum:"100000" doc:"Where it ends; the same where nothing is selected."`
}

type presentPerson struct {
	UserID    domain.UserID `json:"userId"`
	User      shortCard     `json:"user"`
	Typing    bool          `json:"typing"`
	Cursor    *cursor       `json:"cursor"`
	ExpiresAt string        `json:"expiresAt" format:"date-time" doc:"Until then they are here at least; they are gone 30 s after they have said so last."`
}

type presenceList struct {
	Items []presentPerson `json:"items" doc:"By userId."`
}

type presenceSign struct {
	MeetingParam
	Body struct {
		Typing bool    `json:"typing,omitempty"`
		Cursor *cursor `json:"cursor,omitempty" doc:"A place in the notes; left out, or null, for none."`
	}
}

func (s *Server) presenceRoutes() {
	get(s, route{path: presencePath, id: "listPresence", tag: "Meetings", summary: "Who is here",
		about:  "Before a meeting its members may ask, while it is active who has joined. After its end nobody is here. Live: at most once a second.",
		shared: true, every: presenceEvery, rung: true}, s.listPresence)
	act(s, route{method: http.MethodPut, path: presencePath, id: "putPresence", tag: "Meetings", summary: "Say that I am here",
		about: "And what I am doing: it replaces what was said before, and holds for 30 s; say it every 10 s. It is kept in memory only, gone after a restart, " +
			"and of an earlier visit once I join again."}, s.putPresence)
	s.api.OpenAPI().Components.Schemas.Map()["Cursor"].Nullable = true // which no tag can say of a pointer's struct
}

func (s *Server) listPresence(ctx context.Context, who domain.Actor, in *meetingInput) (presenceList, error) {
	signs := s.presence.In(in.meeting())
	users := make([]domain.UserID, len(signs))
	for i, sign := range signs {
		users[i] = sign.User
	}
	may, err := s.Meetings.Attendees(ctx, who, in.meeting(), users)
	list := presenceList{Items: make([]presentPerson, 0, len(may))}
	for _, sign := range signs {
		if a, found := may[sign.User]; found && a.Visit.Equal(sign.Visit) {
			list.Items = append(list.Items, presentOf(sign, a))
		}
	}
	return list, err
}

func (s *Server) putPresence(r *http.Request, c *call, in *presenceSign) (nothing, error) {
	visit, err := s.Meetings.Attend(r.Context(), c.who, in.meeting())
	if err != nil {
		return nothing{}, err
	}
	state := presence.State{Typing: in.Body.Typing, Cursor: (*presence.Cursor)(in.Body.Cursor)}
	return nothing{}, s.presence.Put(in.meeting(), c.who.User, visit, state)
}

// presenceChanged tells who follows the presence of the meeting.
func (s *Server) presenceChanged(m domain.MeetingID) {
	path := strings.ReplaceAll(presencePath, "{meetingId}", string(m))
	s.engine.Ring(topicName(&url.URL{Path: path}, false))
}

func presentOf(sign presence.Sign, a meetings.Attendee) presentPerson {
	return presentPerson{
		UserID: sign.User, User: shortCard{DisplayName: a.DisplayName, AvatarURL: text(a.AvatarURL)},
		Typing: sign.State.Typing, Cursor: (*cursor)(sign.State.Cursor), ExpiresAt: instant(sign.Expires),
	}
}
