package handlers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/ratelimit"
)

// meeting is a meeting as the caller sees it.
type meeting struct {
	ID               domain.MeetingID `json:"id"`
	Title            string           `json:"title"`
	Description      string           `json:"description"`
	OrganizerID      domain.UserID    `json:"organizerId"`
	State            string           `json:"state" enum:"scheduled,active,concluded,cancelled"`
	Kind             string           `json:"kind" enum:"one-on-one,small-group,large-meeting,webinar"`
	ScheduledAt      *string          `json:"scheduledAt" format:"date-time"`
	DurationMs       int64            `json:"durationMs"`
	StartedAt        *string          `json:"startedAt" format:"date-time"`
	EndedAt          *string          `json:"endedAt" format:"date-time"`
	MaxParticipants  int              `json:"maxParticipants" doc:"How many may be in it at once."`
	ParticipantCount int64            `json:"participantCount" doc:"How many are members, whether they have joined or not."`
	OrgID            *string          `json:"orgId"`
	Video            videoPlan        `json:"video"`
	CreatedAt        string           `json:"createdAt" format:"date-time"`
	UpdatedAt        string           `json:"updatedAt" format:"date-time"`
	Viewing
}

// Viewing is the part of a meeting that differs from caller to caller.
type Viewing struct {
	Viewer viewer `json:"viewer" doc:"What the caller is in the meeting."`
}

func (m meeting) own() any { return m.Viewing }

func (m meeting) location() string { return "/v1/meetings/" + string(m.ID) }

// videoPlan is how people see one another. Browsers connect to one another by
// WebRTC, where nothing can be recorded.
type videoPlan struct {
	Provider string        `json:"provider" enum:"webrtc,stream"`
	Features videoFeatures `json:"features"`
}

type videoFeatures struct {
	Recording     bool `json:"recording"`
	Transcription bool `json:"transcription"`
}

type viewer struct {
	Role   string `json:"role" enum:"host,cohost,participant,observer"`
	Status string `json:"status" enum:"invited,joined,left"`
}

type meetingList struct {
	Items      []meeting `json:"items"`
	NextCursor *string   `json:"nextCursor"`
}

// event is one thing that happened in a meeting.
type event struct {
	Position  int64          `json:"position"`
	Type      events.Type    `json:"type"`
	ActorID   *domain.UserID `json:"actorId" doc:"Null when time did it."`
	SubjectID *string        `json:"subjectId"`
	CreatedAt string         `json:"createdAt" format:"date-time"`
}

func (e event) key() string     { return strconv.FormatInt(e.Position, 10) }
func (e event) position() int64 { return e.Position }
func (e event) order() int64    { return e.Position }

type meetingDraft struct {
	Body struct {
		Title           string       `json:"title" minLength:"1" maxLength:"200"`
		Description     string       `json:"description,omitempty" maxLength:"5000"`
		ScheduledAt     *time.Time   `json:"scheduledAt,omitempty" format:"date-time" doc:"When it is planned to begin, not in the past."`
		DurationMs      int64        `json:"durationMs,omitempty" minimum:"60000" maximum:"86400000" doc:"How long it is planned to last; half an hour when left out."`
		Kind            string       `json:"kind,omitempty" enum:"one-on-one,small-group,large-meeting,webinar" doc:"small-group when left out."`
		MaxParticipants int          `json:"maxParticipants,omitempty" minimum:"1" maximum:"1000" doc:"How many may be in it at once; 10 when left out."`
		Recording       bool         `json:"recording,omitempty"`
		Transcription   bool         `json:"transcription,omitempty"`
		Participants    []invitation `json:"participants,omitempty" maxItems:"100"`
	}
}

type meetingChange struct {
	MeetingParam
	Body struct {
		Title           *string   `json:"title,omitempty" minLength:"1" maxLength:"200"`
		Description     *string   `json:"description,omitempty" maxLength:"5000"`
		ScheduledAt     maybeTime `json:"scheduledAt,omitempty" doc:"When it is planned to begin, not in the past; null for no time. Only before it has begun."`
		DurationMs      *int64    `json:"durationMs,omitempty" minimum:"60000" maximum:"86400000"`
		Kind            *string   `json:"kind,omitempty" enum:"one-on-one,small-group,large-meeting,webinar"`
		MaxParticipants *int      `json:"maxParticipants,omitempty" minimum:"1" maximum:"1000" doc:"Not fewer than are in it."`
		Recording       *bool     `json:"recording,omitempty"`
		Transcription   *bool     `json:"transcription,omitempty"`
	}
}

type meetingInput struct {
	LiveParams
	MeetingParam
}

type meetingStep struct{ MeetingParam }

type meetingsInput struct {
	ListParams
	State         string       `query:"state" enum:"scheduled,active,concluded,cancelled" doc:"Only meetings in this state."`
	ScheduledFrom instantParam `query:"scheduledFrom" doc:"Only meetings planned to begin then or later, soonest first."`
	ScheduledTo   instantParam `query:"scheduledTo" doc:"Only meetings planned to begin before then, soonest first."`
}

type meetingFeedInput struct {
	FeedParams
	MeetingParam
}

func (s *Server) meetingRoutes() {
	write(s, route{path: "/v1/meetings", id: "createMeeting", audits: audit.MeetingCreated, tag: "Meetings", status: http.StatusCreated, limit: ratelimit.Meetings,
		summary: "Plan a meeting", about: "The caller becomes its host. Only the people named in participants can see and join it; a person's id is what GET /v1/me tells them. Who is invited by e-mail sees it from the first sign-in with that verified address."}, s.createMeeting)
	get(s, route{path: "/v1/meetings", id: "listMeetings", tag: "Meetings",
		summary: "My meetings", about: "Those the caller is a member of, newest first; asked for by time, those that have one, soonest first."}, s.listMeetings)
	get(s, route{path: "/v1/meetings/{meetingId}", id: "getMeeting", tag: "Meetings", summary: "A meeting",
		about: "For its members, in every state. viewer is what the caller is in it.", shared: true}, s.getMeeting)
	edit(s, route{method: http.MethodPatch, path: "/v1/meetings/{meetingId}", id: "updateMeeting", clears: "scheduledAt", audits: audit.MeetingUpdated, tag: "Meetings",
		summary: "Change a meeting's plan", about: "Host and cohosts, until it is over. What changes nothing is no event."},
		func(ctx context.Context, who domain.Actor, in *meetingChange) (meeting, error) {
			m, err := s.Meetings.Get(ctx, who, in.meeting())
			return meetingOf(m), err
		}, s.updateMeeting)
	for _, step := range []struct {
		name   string
		audits audit.Action

		summary, about string
		do             func(context.Context, domain.Actor, domain.MeetingID) (meetings.Meeting, error)
	}{
		{"start", audit.MeetingStarted, "Start a meeting", "Host and cohosts; the caller joins it. Repeated by the same person it changes nothing.", s.Meetings.Start},
		{"join", audit.MeetingJoined, "Join a meeting", "Any member of an active meeting that has room. Repeated it changes nothing.", s.Meetings.Join},
		{"leave", audit.MeetingLeft, "Leave a meeting", "The caller stays a member and may join again. Repeated it changes nothing.", s.Meetings.Leave},
		{"end", audit.MeetingEnded, "End a meeting", "Host and cohosts.", s.Meetings.End},
		{"cancel", audit.MeetingCancelled, "Call off a meeting", "Host and cohosts, before it has begun.", s.Meetings.Cancel},
	} {
		write(s, route{path: "/v1/meetings/{meetingId}/" + step.name, id: step.name + "Meeting", tag: "Meetings", audits: step.audits, summary: step.summary, about: step.about},
			func(ctx context.Context, who domain.Actor, in *meetingStep) (meeting, error) {
				m, err := step.do(ctx, who, in.meeting())
				return meetingOf(m), err
			})
	}
	feed(s, route{path: "/v1/meetings/{meetingId}/events", id: "listEvents", tag: "Meetings",
		summary: "What happened in a meeting", about: "In order.", shared: true}, s.listEvents)
}

func (s *Server) createMeeting(ctx context.Context, who domain.Actor, in *meetingDraft) (meeting, error) {
	d := meetings.Draft{
		Title: in.Body.Title, Description: in.Body.Description, ScheduledAt: in.Body.ScheduledAt,
		Duration: time.Duration(in.Body.DurationMs) * time.Millisecond, Kind: meetings.Kind(in.Body.Kind),
		MaxParticipants: in.Body.MaxParticipants, Recording: in.Body.Recording, Transcription: in.Body.Transcription,
	}
	for _, p := range in.Body.Participants {
		d.Invite = append(d.Invite, p.invitation())
	}
	m, err := s.Meetings.Create(ctx, who, d)
	return meetingOf(m), err
}

func (s *Server) listMeetings(ctx context.Context, who domain.Actor, in *meetingsInput) (meetingList, error) {
	if !in.ScheduledFrom.IsZero() || !in.ScheduledTo.IsZero() {
		return s.listPlanned(ctx, who, in)
	}
	key, err := domain.Cursor(in.Cursor).Key(1)
	if err != nil {
		return meetingList{}, err
	}
	var below domain.MeetingID
	if key != nil {
		below = domain.MeetingID(key[0])
	}
	list, more, err := s.Meetings.List(ctx, who, participants.State(in.State), below, in.Limit)
	return meetingPage(list, more, func(m meetings.Meeting) domain.Cursor { return domain.NewCursor(string(m.ID)) }), err
}

func (s *Server) listPlanned(ctx context.Context, who domain.Actor, in *meetingsInput) (meetingList, error) {
	p := meetings.Period{From: in.ScheduledFrom.Time, To: in.ScheduledTo.Time, State: participants.State(in.State)}
	if !p.To.IsZero() && p.To.Before(p.From) {
		return meetingList{}, domain.FailField("query.scheduledTo", "must not be before scheduledFrom")
	}
	key, err := domain.Cursor(in.Cursor).Key(2)
	if err != nil {
		return meetingList{}, err
	}
	if key != nil {
		if p.From, err = time.Parse(domain.TimeFormat, key[0]); err != nil {
			return meetingList{}, domain.Because(domain.Malformed, err, "the cursor is not one that this server gave")
		}
		p.After = domain.MeetingID(key[1])
	}
	list, more, err := s.Meetings.Planned(ctx, who, p, in.Limit)
	return meetingPage(list, more, func(m meetings.Meeting) domain.Cursor {
		return domain.NewCursor(instant(m.ScheduledAt), string(m.ID))
	}), err
}

func meetingPage(list []meetings.Meeting, more bool, cursor func(meetings.Meeting) domain.Cursor) meetingList {
	page := meetingList{Items: make([]meeting, len(list))}
	for i, m := range list {
		page.Items[i] = meetingOf(m)
	}
	if more {
		next := string(cursor(list[len(list)-1]))
		page.NextCursor = &next
	}
	return page
}

func (s *Server) getMeeting(ctx context.Context, who domain.Actor, in *meetingInput) (meeting, error) {
	m, err := s.Meetings.Get(ctx, who, in.meeting())
	return meetingOf(m), err
}

func (s *Server) updateMeeting(ctx context.Context, who domain.Actor, in *meetingChange) (meeting, error) {
	c := meetings.Change{
		Title: in.Body.Title, Description: in.Body.Description, ScheduledAt: in.Body.ScheduledAt.value, NoTime: in.Body.ScheduledAt.null, Kind: (*meetings.Kind)(in.Body.Kind),
		MaxParticipants: in.Body.MaxParticipants, Recording: in.Body.Recording, Transcription: in.Body.Transcription,
	}
	if in.Body.DurationMs != nil {
		d := time.Duration(*in.Body.DurationMs) * time.Millisecond
		c.Duration = &d
	}
	m, err := s.Meetings.Update(ctx, who, in.meeting(), c)
	return meetingOf(m), err
}

func (s *Server) listEvents(ctx context.Context, who domain.Actor, in *meetingFeedInput, span domain.Span) (domain.Part[event], error) {
	part, err := s.Meetings.Events(ctx, who, in.meeting(), span)
	return domain.Parts(part, eventOf), err
}

func eventOf(e events.Event) event {
	out := event{Position: e.Position, Type: e.Type, SubjectID: text(e.Subject), CreatedAt: instant(e.CreatedAt)}
	if e.Actor != "" {
		out.ActorID = &e.Actor
	}
	return out
}

func meetingOf(m meetings.Meeting) meeting {
	return meeting{
		ID: m.ID, Title: m.Title, Description: m.Description, OrganizerID: m.Organizer, State: string(m.State), Kind: string(m.Kind),
		ScheduledAt: maybe(m.ScheduledAt), DurationMs: m.Duration.Milliseconds(), StartedAt: maybe(m.StartedAt), EndedAt: maybe(m.EndedAt),
		MaxParticipants: m.MaxParticipants, ParticipantCount: m.Participants, OrgID: text(m.Org),
		Video:     videoPlan{Provider: "webrtc", Features: videoFeatures{Transcription: m.Transcription}},
		CreatedAt: instant(m.CreatedAt), UpdatedAt: instant(m.UpdatedAt),
		Viewing: Viewing{viewer{Role: string(m.Viewer.Role), Status: string(m.Viewer.Status)}},
	}
}
