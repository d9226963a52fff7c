package handlers

import (
	"context"
	"encoding/json"
	"strings"

	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/realtime"
)

// transcriptPath is what was said in a meeting.
const transcriptPath = "/v1/meetings/{meetingId}/transcripts"

// interimChunk is what somebody is saying, as live readers are told it before it
// is final. It has no position: it is not stored.
type interimChunk struct {
	SpeakerID    *domain.UserID `json:"speakerId"`
	SpeakerLabel *string        `json:"speakerLabel"`
	Text         string         `json:"text"`
	Confidence   float64        `json:"confidence"`
	StartMs      int64          `json:"startMs"`
	EndMs        int64          `json:"endMs"`
	Language     *string        `json:"language"`
	UtteranceID  *string        `json:"utteranceId"`
}

// interimKey names what is being said: by its utterance, else by who says it.
func interimKey(utterance, label string, speaker domain.UserID) string {
	switch {
	case utterance != "":
		return "utterance " + utterance
	case label != "":
		return "label " + label
	}
	return "speaker " + string(speaker)
}

// ends returns the name of what has become this chunk, and whether another of that
// name cannot follow.
func (c chunk) ends() (key string, once bool) {
	return interimKey(orEmpty(c.UtteranceID), orEmpty(c.SpeakerLabel), domain.UserID(orEmpty((*string)(c.SpeakerID)))), c.UtteranceID != nil
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// asideName is the same for all who follow the transcript of a meeting.
func asideName(m domain.MeetingID) string {
	return strings.ReplaceAll(transcriptPath, "{meetingId}", string(m))
}

// aside is what a transcript tells beside its items: of what is not final what
// its filters would let through.
func (in *transcriptInput) aside() *realtime.Aside {
	a := &realtime.Aside{Name: asideName(in.meeting())}
	if f := in.filter(); f != (transcripts.Filter{}) {
		a.Wants = func(about any) bool {
			d, known := about.(transcripts.Draft)
			return known && f.Has(d)
		}
	}
	return a
}

// showInterim tells those who follow the transcript what is being said.
func (s *Server) showInterim(ctx context.Context, m domain.MeetingID, drafts []transcripts.Draft) {
	if len(drafts) == 0 {
		return
	}
	texts := make([]realtime.Interim, 0, len(drafts))
	for _, d := range drafts {
		shown := interimChunk{
			SpeakerLabel: text(d.Label), Text: d.Text, Confidence: d.Confidence, StartMs: d.Start.Milliseconds(), EndMs: d.End.Milliseconds(),
			Language: text(d.Language), UtteranceID: text(d.Utterance),
		}
		if d.Speaker != "" {
			shown.SpeakerID = &d.Speaker
		}
		data, err := json.Marshal(shown)
		if err != nil {
			s.Log.Error("interim", "error", err)
			continue
		}
		d.Text = "" // which nobody asks about
		texts = append(texts, realtime.Interim{Key: interimKey(d.Utterance, d.Label, d.Speaker), About: d, Data: data, Once: d.Utterance != ""})
	}
	s.engine.Tell(ctx, asideName(m), texts...)
}
