package handlers

import (
	"context"

	"connvo/domain"
	"connvo/domain/conversation"
)

// meetingState is what goes on in a meeting.
type meetingState struct {
	Active        bool          `json:"active"`
	StartedAt     *string       `json:"startedAt" format:"date-time"`
	EndedAt       *string       `json:"endedAt" format:"date-time"`
	SpeakingStats speakingStats `json:"speakingStats"`
	Lull          lull          `json:"lull"`
	Topics        []string      `json:"topics" doc:"What it is about at present, the most important first."`
	ShiftedAt     *string       `json:"topicsShiftedAt" format:"date-time" doc:"When it last came to be about something else; null until then."`
	Recording     bool          `json:"recording" doc:"It is being recorded."`
	Transcription bool          `json:"transcription" doc:"Its plan is that what is said is written down."`
}

// speakingStats is who has spoken for how long.
type speakingStats struct {
	TotalMs        int64                   `json:"totalMs" doc:"Of all, also those whom nobody has named."`
	ByUserMs       map[domain.UserID]int64 `json:"byUserMs" doc:"By user id."`
	WindowMs       int64                   `json:"windowMs" doc:"What was spoken in the five minutes of the meeting that end where the latest speech ends, to within ten seconds."`
	WindowByUserMs map[domain.UserID]int64 `json:"windowByUserMs" doc:"By user id, of those who spoke in these minutes."`
}

// lull is a silence that has lasted long enough to be told of.
type lull struct {
	Detected bool    `json:"detected"`
	Since    *string `json:"since" format:"date-time" doc:"Null while there is none."`
	Severity string  `json:"severity" enum:"none,mild,severe"`
}

func (s *Server) conversationRoutes() {
	get(s, route{path: "/v1/meetings/{meetingId}/state", id: "getMeetingState", tag: "Meetings", summary: "What goes on in a meeting",
		about: "Who has spoken for how long, whether the talk has stopped, what it is about. While the meeting is active, for those who have joined.", shared: true}, s.getMeetingState)
}

func (s *Server) getMeetingState(ctx context.Context, who domain.Actor, in *meetingInput) (meetingState, error) {
	state, err := s.Conversation.State(ctx, who, in.meeting())
	return meetingStateOf(state), err
}

func meetingStateOf(s conversation.State) meetingState {
	return meetingState{
		Active: s.Active, StartedAt: maybe(s.StartedAt), EndedAt: maybe(s.EndedAt),
		SpeakingStats: speakingStats{
			TotalMs: s.Speaking.TotalMs, ByUserMs: s.Speaking.ByUserMs,
			WindowMs: s.Speaking.WindowMs, WindowByUserMs: s.Speaking.WindowByUserMs,
		},
		Lull:      lull{Detected: s.Lull.Detected(), Since: maybe(s.Lull.Since), Severity: string(s.Lull.Severity)},
		Topics:    s.Topics,
		ShiftedAt: maybe(s.ShiftedAt),
		Recording: s.Recording, Transcription: s.Transcription,
	}
}
