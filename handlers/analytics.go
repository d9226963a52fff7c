package handlers

import (
	"context"

	"connvo/domain"
	"connvo/domain/analytics"
)

// meetingAnalytics are the figures of a meeting that has ended.
type meetingAnalytics struct {
	DurationMs     int64                     `json:"durationMs" doc:"From its start to its end."`
	SpeakingShare  map[domain.UserID]float64 `json:"speakingShare" doc:"Of all that was spoken, 0 to 1, by user id."`
	Messages       int64                     `json:"messages" doc:"How many people posted before its end."`
	Edits          int64                     `json:"edits" doc:"How often before its end somebody changed what they had written."`
	WordsPerMinute float64                   `json:"wordsPerMinute" doc:"In the minutes in which somebody spoke; 0 when nobody did."`
	Topics         []string                  `json:"topics"`
	AverageRating  *float64                  `json:"averageRating" doc:"1 to 5; null while nobody has rated it."`
}

type meetingRating struct {
	MeetingParam
	Body struct {
		Rating  int    `json:"rating" minimum:"1" maximum:"5" doc:"5 is the best."`
		Comment string `json:"comment,omitempty" maxLength:"1000"`
	}
}

func (s *Server) analyticsRoutes() {
	get(s, route{path: "/v1/meetings/{meetingId}/analytics", id: "getMeetingAnalytics", tag: "Meetings",
		summary: "The figures of a meeting", about: "After its end. They are those of its end, but for the rating. 503 while a very long meeting is being counted.", shared: true}, s.getMeetingAnalytics)
	write(s, route{path: "/v1/meetings/{meetingId}/rating", id: "rateMeeting", tag: "Meetings",
		summary: "Rate a meeting", about: "After its end, whoever has joined it. Once a person: a later rating takes the place of the earlier."}, s.rateMeeting)
}

func (s *Server) getMeetingAnalytics(ctx context.Context, who domain.Actor, in *meetingInput) (meetingAnalytics, error) {
	a, err := s.Analytics.Get(ctx, who, in.meeting())
	out := meetingAnalytics{
		DurationMs: a.Duration.Milliseconds(), SpeakingShare: a.SpeakingShare, Messages: a.Messages, Edits: a.Edits,
		WordsPerMinute: a.WordsPerMinute, Topics: a.Topics,
	}
	if a.AverageRating > 0 {
		out.AverageRating = &a.AverageRating
	}
	return out, err
}

func (s *Server) rateMeeting(ctx context.Context, who domain.Actor, in *meetingRating) (nothing, error) {
	return nothing{}, s.Analytics.Rate(ctx, who, in.meeting(), analytics.Rating{Rating: in.Body.Rating, Comment: in.Body.Comment})
}
