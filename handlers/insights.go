package handlers

import (
	"context"
	"net/http"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/insights"
	"connvo/ratelimit"
)

// insight is what the caller is told about a meeting that is over.
type insight struct {
	ID              domain.InsightID        `json:"id" doc:"Another one when they are made anew of other material."`
	MeetingID       domain.MeetingID        `json:"meetingId"`
	Summary         string                  `json:"summary" doc:"How long it was, and sentences that say most about it, as they were said or written."`
	Topics          []string                `json:"topics" nullable:"false" doc:"The most important first; at most 5."`
	Decisions       []string                `json:"decisions" nullable:"false" doc:"Sentences that tell of one; at most 10."`
	ActionItems     []insightAction         `json:"actionItems" nullable:"false" doc:"At most 20."`
	Recommendations []insightRecommendation `json:"recommendations" nullable:"false" doc:"The surest first; at most 5."`
	People          []insightPerson         `json:"people" nullable:"false" doc:"Who was there and has much in common with the caller; at most 3. Only who lets it be used (dataSharing), shows the caller their profile, and is not connected with them yet, as it is now."`
	Links           []insightLink           `json:"links" nullable:"false" doc:"The segments of the transcript from which is quoted, in order of start."`
	GeneratedBy     string                  `json:"generatedBy" enum:"local" doc:"local: made by this server, of sentences that are quoted."`
	Helpful         *bool                   `json:"helpful" doc:"What the caller has said of it; null until they have."`
	CreatedAt       string                  `json:"createdAt" format:"date-time"`
}

type insightAction struct {
	Text    string         `json:"text"`
	OwnerID *domain.UserID `json:"ownerId" doc:"Who has said that they will do it, or is named; null where nobody is."`
	DueAt   *string        `json:"dueAt" format:"date-time" doc:"The end of the day that is named, in the time zone of the caller's profile, else of UTC; null where none is clear."`
}

type insightRecommendation struct {
	Text       string  `json:"text"`
	Reason     string  `json:"reason"`
	Confidence float64 `json:"confidence" doc:"0 to 1."`
}

type insightPerson struct {
	UserID domain.UserID `json:"userId"`
	Reason string        `json:"reason"`
}

type insightLink struct {
	SegmentID domain.SegmentID `json:"segmentId"`
}

type insightList struct {
	Items      []insight `json:"items"`
	NextCursor *string   `json:"nextCursor"`
}

type insightsInput struct{ ListParams }

type meetingInsightsInput struct {
	LiveParams
	MeetingParam
}

type insightGeneration struct{ MeetingParam }

// generating says that insights are being made.
type generating struct {
	MeetingID domain.MeetingID `json:"meetingId"`
	AskedAt   string           `json:"askedAt" format:"date-time" doc:"They are there within seconds; GET …/insights tells, live too."`
}

// InsightParam names insights in the path.
type InsightParam struct {
	InsightID string `path:"insightId" maxLength:"64" doc:"The id of the insights."`
}

func (p InsightParam) insight() domain.InsightID { return domain.InsightID(p.InsightID) }

type insightFeedback struct {
	InsightParam
	Body struct {
		Helpful bool `json:"helpful" doc:"Whether they were."`
	}
}

type insightDeletion struct{ InsightParam }

// insightsPath is the list of the caller's insights, which quote what was said in
// meetings.
const insightsPath = "/v1/insights"

func (s *Server) insightRoutes() {
	const ofMeeting, one = "/v1/meetings/{meetingId}/insights", insightsPath + "/{insightId}"
	get(s, route{path: ofMeeting, id: "getMeetingInsights", tag: "Insights", summary: "My insights into a meeting",
		about: "After its end: one, or none while none are made. They are made at the end for those who were in it, and for whom the flag insights is on. Nobody else reads them."}, s.getMeetingInsights)
	write(s, route{path: ofMeeting + "/generate", id: "generateInsights", tag: "Insights", status: http.StatusAccepted, limit: ratelimit.Generation, summary: "Make my insights into a meeting",
		about: "After its end, for who has joined it, in place of those that there are; where nothing has changed, those stay. 403 while the flag insights is off."}, s.generateInsights)
	get(s, route{path: insightsPath, id: "listInsights", tag: "Insights", summary: "My insights",
		about: "Newest first, of all meetings of which the caller is a member."}, s.listInsights)
	write(s, route{path: one + "/feedback", id: "rateInsights", tag: "Insights", summary: "Say whether my insights were helpful",
		about: "In place of what was said before; it goes with them."}, s.rateInsights)
	write(s, route{method: http.MethodDelete, path: one, id: "deleteInsights", tag: "Insights", audits: audit.InsightsDeleted, summary: "Delete my insights",
		about: "Into one meeting. They can be made again."}, s.deleteInsights)
}

func (s *Server) getMeetingInsights(ctx context.Context, who domain.Actor, in *meetingInsightsInput) (insightList, error) {
	one, found, err := s.Insights.Of(ctx, who, in.meeting())
	list := insightList{Items: []insight{}}
	if found {
		list.Items = append(list.Items, insightOf(one))
	}
	return list, err
}

func (s *Server) generateInsights(ctx context.Context, who domain.Actor, in *insightGeneration) (generating, error) {
	at, err := s.Insights.Generate(ctx, who, in.meeting())
	return generating{in.meeting(), instant(at)}, err
}

func (s *Server) listInsights(ctx context.Context, who domain.Actor, in *insightsInput) (insightList, error) {
	key, err := domain.Cursor(in.Cursor).Key(1)
	if err != nil {
		return insightList{}, err
	}
	var below domain.InsightID
	if key != nil {
		below = domain.InsightID(key[0])
	}
	all, more, err := s.Insights.List(ctx, who, below, in.Limit)
	list := insightList{Items: make([]insight, len(all))}
	for i, one := range all {
		list.Items[i] = insightOf(one)
	}
	if more {
		next := string(domain.NewCursor(string(all[len(all)-1].ID)))
		list.NextCursor = &next
	}
	return list, err
}

func (s *Server) rateInsights(ctx context.Context, who domain.Actor, in *insightFeedback) (nothing, error) {
	return nothing{}, s.Insights.Rate(ctx, who, in.insight(), in.Body.Helpful)
}

func (s *Server) deleteInsights(ctx context.Context, who domain.Actor, in *insightDeletion) (nothing, error) {
	return nothing{}, s.Insights.Delete(ctx, who, in.insight())
}

func insightOf(i insights.Insight) insight {
	out := insight{
		ID: i.ID, MeetingID: i.Meeting, Summary: i.Summary, Topics: i.Topics, Decisions: i.Decisions,
		ActionItems: make([]insightAction, len(i.Actions)), Recommendations: make([]insightRecommendation, len(i.Recommendations)),
		People: make([]insightPerson, len(i.People)), Links: make([]insightLink, len(i.Segments)),
		GeneratedBy: i.GeneratedBy, Helpful: i.Helpful, CreatedAt: instant(i.CreatedAt),
	}
	for n, a := range i.Actions {
		out.ActionItems[n] = insightAction{a.Text, person(a.Owner), maybe(a.Due)}
	}
	for n, r := range i.Recommendations {
		out.Recommendations[n] = insightRecommendation(r)
	}
	for n, p := range i.People {
		out.People[n] = insightPerson{p.User, p.Reason}
	}
	for n, id := range i.Segments {
		out.Links[n] = insightLink{id}
	}
	return out
}
