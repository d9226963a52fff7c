package handlers

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/ratelimit"
)

// segment is what one speaker said without a long pause.
type segment struct {
	ID           domain.SegmentID `json:"id" doc:"Stays while the same chunk is its first."`
	StartMs      int64            `json:"startMs" doc:"Since the start of the meeting."`
	EndMs        int64            `json:"endMs"`
	SpeakerID    *domain.UserID   `json:"speakerId" doc:"Null while nobody has said who speaks."`
	SpeakerLabel *string          `json:"speakerLabel"`
	Text         string           `json:"text"`
	Topics       []string         `json:"topics" doc:"What it is about, the most important first; at most 5. Of languages whose stop words are not known, and of texts without spaces, they are worse, or none."`
	Sentiment    *float64         `json:"sentiment" doc:"How friendly it is, from -1 to 1, by VADER; null where no chunk is said to be English, which is all that it knows."`
}

type segmentList struct {
	Items      []segment `json:"items"`
	NextCursor *string   `json:"nextCursor" doc:"A page with few items, or none, may be followed by more: where a speaker or a time is asked for, a page looks at 1,000 segments."`
}

// SpokenParams say which part of what was said is asked for.
type SpokenParams struct {
	Speaker string `query:"speaker" maxLength:"64" doc:"Only what this member said, under whatever label, or what was said under this label."`
	FromMs  int64  `query:"fromMs" minimum:"0" maximum:"604800000" doc:"Only what ended after this offset."`
	ToMs    int64  `query:"toMs" minimum:"1" maximum:"604800000" doc:"Only what began before this offset."`
}

func (p SpokenParams) filter() transcripts.Filter {
	return transcripts.Filter{Speaker: p.Speaker, From: time.Duration(p.FromMs) * time.Millisecond, To: time.Duration(p.ToMs) * time.Millisecond}
}

type segmentsInput struct {
	ListParams
	MeetingParam
	SpokenParams
}

type transcriptSearch struct {
	ListParams
	MeetingParam
	SpokenParams
	Q string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"Words, of which a chunk has every one. Case and accents do not matter; the last word stands for all that begin with it, when it has three characters or more. In scripts without spaces each character is a word."`
}

// foundChunk is a chunk that has the words that were looked for.
type foundChunk struct {
	Position     int64          `json:"position"`
	SpeakerID    *domain.UserID `json:"speakerId"`
	SpeakerLabel *string        `json:"speakerLabel"`
	Text         string         `json:"text"`
	Confidence   float64        `json:"confidence"`
	StartMs      int64          `json:"startMs"`
	EndMs        int64          `json:"endMs"`
	Language     *string        `json:"language"`
	Snippet      string         `json:"snippet" doc:"The part of the text around them, as plain text. What was found stands between ⟦ and ⟧, and … where it was cut."`
}

type foundChunks struct {
	Items      []foundChunk `json:"items"`
	NextCursor *string      `json:"nextCursor" doc:"A page with few items, or none, may be followed by more: where a speaker, a time or a beginning of many words is asked for, a page looks at 2,000 chunks."`
}

// transcriptStats is how much was said in a meeting.
type transcriptStats struct {
	Chunks            int64               `json:"chunks"`
	Words             int64               `json:"words"`
	AverageConfidence float64             `json:"averageConfidence" doc:"To three digits; 0 where nothing was said."`
	DurationMs        int64               `json:"durationMs" doc:"From the start of the first to the end of the last."`
	Speakers          []transcriptSpeaker `json:"speakers" doc:"Who spoke longest first; at most 1001. What is said by more speakers in more languages counts as said by nobody known."`
	Languages         []string            `json:"languages" doc:"As the senders name them."`
}

type transcriptSpeaker struct {
	SpeakerID    *domain.UserID `json:"speakerId" doc:"Null where nobody knows; who does not want to be counted by name (activityTracking) is counted there too."`
	SpeakerLabel *string        `json:"speakerLabel" doc:"Null where it is known who it is, or nothing is."`
	Chunks       int64          `json:"chunks"`
	Words        int64          `json:"words"`
	SpokenMs     int64          `json:"spokenMs"`
}

type transcriptExport struct {
	MeetingParam
	Format transcripts.Format `query:"format" enum:"txt,srt,vtt,json" default:"txt"`
}

// transcriptMedia is what each format is sent as.
var transcriptMedia = map[transcripts.Format]string{
	transcripts.Txt:  "text/plain; charset=utf-8",
	transcripts.SRT:  "application/x-subrip; charset=utf-8",
	transcripts.VTT:  "text/vtt; charset=utf-8",
	transcripts.JSON: "application/json",
}

// segmentRoutes are what follows from a transcript.
func (s *Server) segmentRoutes() {
	const meeting = "/v1/meetings/{meetingId}"
	get(s, route{path: meeting + "/segments", id: "listSegments", tag: "Transcripts", summary: "What was said, by speaker",
		about: "In order of start: the same speaker, with pauses of at most 5 s, for at most 2 minutes and within 5 minutes of the meeting's time.", shared: true}, s.listSegments)
	get(s, route{path: meeting + "/transcripts/search", id: "searchTranscript", tag: "Transcripts", limit: ratelimit.Search,
		summary: "Look for words in what was said", about: "What came last first.", shared: true}, s.searchTranscript)
	get(s, route{path: meeting + "/transcripts/stats", id: "transcriptStats", tag: "Transcripts", summary: "How much was said by whom",
		about: "Also what is past its time and deleted.", shared: true}, s.transcriptStats)
	download(s, route{path: meeting + "/transcripts/export", id: "exportTranscript", tag: "Transcripts", summary: "The transcript as a file",
		about: "In order of start. What a format cannot hold is written differently: line breaks as spaces, and in SubRip arrows and angle brackets as characters that look alike."},
		[]string{"text/plain", "application/x-subrip", "text/vtt", "application/json"}, s.exportTranscript)
	doc := s.api.OpenAPI()
	doc.Paths[meeting+"/transcripts/export"].Get.Responses["200"].Content["application/json"].Schema =
		doc.Components.Schemas.Schema(reflect.TypeFor[transcripts.ExportFile](), true, "exportFile")
}

func (s *Server) listSegments(ctx context.Context, who domain.Actor, in *segmentsInput) (segmentList, error) {
	after, err := placeAfter(in.Cursor)
	if err != nil {
		return segmentList{}, err
	}
	page, next, err := s.Transcripts.Segments(ctx, who, in.meeting(), in.filter(), after, in.Limit)
	list := segmentList{Items: make([]segment, len(page))}
	for i, one := range page {
		list.Items[i] = segmentOf(one)
	}
	if next != (transcripts.Place{}) {
		cursor := string(domain.NewCursor(strconv.FormatInt(next.Start, 10), strconv.FormatInt(next.Position, 10)))
		list.NextCursor = &cursor
	}
	return list, err
}

// placeAfter returns where a list of segments goes on.
func placeAfter(cursor string) (transcripts.Place, error) {
	key, err := domain.Cursor(cursor).Key(2)
	if err != nil || key == nil {
		return transcripts.Place{}, err
	}
	start, err1 := strconv.ParseInt(key[0], 10, 64)
	position, err2 := strconv.ParseInt(key[1], 10, 64)
	if err1 != nil || err2 != nil {
		return transcripts.Place{}, &domain.Error{Kind: domain.Malformed, Field: "query.cursor", Detail: "the cursor is not one that this server gave"}
	}
	return transcripts.Place{Start: start, Position: position}, nil
}

func (s *Server) searchTranscript(ctx context.Context, who domain.Actor, in *transcriptSearch) (foundChunks, error) {
	below, err := numberOf(in.Cursor, domain.MaxNumber)
	if err != nil {
		return foundChunks{}, err
	}
	found, more, err := s.Transcripts.Search(ctx, who, in.meeting(), in.Q, in.filter(), below, in.Limit)
	page := foundChunks{Items: make([]foundChunk, len(found))}
	for i, f := range found {
		page.Items[i] = foundChunk{
			Position: f.Position, SpeakerID: person(f.Speaker), SpeakerLabel: text(f.Label), Text: f.Text, Confidence: f.Confidence,
			StartMs: f.Start.Milliseconds(), EndMs: f.End.Milliseconds(), Language: text(f.Language), Snippet: f.Snippet,
		}
	}
	if more != 0 {
		next := string(domain.NewCursor(strconv.FormatInt(more, 10)))
		page.NextCursor = &next
	}
	return page, err
}

func (s *Server) transcriptStats(ctx context.Context, who domain.Actor, in *meetingInput) (transcriptStats, error) {
	stats, err := s.Transcripts.Stats(ctx, who, in.meeting())
	out := transcriptStats{
		Chunks: stats.Chunks, Words: stats.Words, AverageConfidence: stats.Confidence, DurationMs: stats.To - stats.From,
		Speakers: make([]transcriptSpeaker, len(stats.Speakers)), Languages: stats.Languages,
	}
	for i, one := range stats.Speakers {
		out.Speakers[i] = transcriptSpeaker{SpeakerID: person(one.User), SpeakerLabel: text(one.Label), Chunks: one.Chunks, Words: one.Words, SpokenMs: one.SpokenMs}
	}
	return out, err
}

// exportTranscript writes the transcript page by page. The first page decides whether
// the caller may; one who loses the right later gets no further page.
func (s *Server) exportTranscript(w http.ResponseWriter, r *http.Request, c *call, in *transcriptExport) error {
	export := s.Transcripts.Export(c.who, in.meeting())
	page, err := firstPage(r.Context(), export)
	if err != nil {
		return err
	}
	detail := map[string]string{"path": r.URL.RequestURI()}
	if err := s.Audit.Note(c.entry(r, audit.TranscriptExported, audit.Allowed, resourceOf(r.URL.Path), detail)); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", transcriptMedia[in.Format])
	h.Set("Content-Disposition", `attachment; filename="transcript.`+string(in.Format)+`"`)
	h.Set("Cache-Control", "no-store")
	file := transcripts.Writer{Format: in.Format}
	var b []byte
	for {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // where there are none, nothing is lost
		if b = file.Append(b[:0], page); len(page) == 0 {
			_, err := w.Write(file.End(b))
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := s.Users.Standing(r.Context(), c.who); err != nil {
			return err
		}
		if page, err = export.Next(r.Context()); err != nil {
			return err
		}
	}
}

// The bounds of waiting for what was said at once to be settled, so that a file can
// be made of all of it: what waits then is settled in a second or two.
const (
	exportWait  = 5 * time.Second
	exportPause = 100 * time.Millisecond
)

// firstPage returns the first page of the export, as soon as there is one.
func firstPage(ctx context.Context, export *transcripts.Export) (page []transcripts.Spoken, err error) {
	again, enough := time.NewTicker(exportPause), time.After(exportWait)
	defer again.Stop()
	for {
		page, err = export.Next(ctx)
		if domain.KindOf(err) != domain.Unavailable {
			return page, err
		}
		select {
		case <-again.C:
		case <-enough:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

func segmentOf(s transcripts.Segment) segment {
	out := segment{
		ID: s.ID(), StartMs: s.Start.Milliseconds(), EndMs: s.End.Milliseconds(), SpeakerID: person(s.Speaker), SpeakerLabel: text(s.Label),
		Text: s.Text(), Topics: s.Topics(),
	}
	if sentiment, known := s.Sentiment(); known {
		out.Sentiment = &sentiment
	}
	return out
}

// person returns the id of somebody, nil where nobody is known.
func person(id domain.UserID) *domain.UserID {
	if id == "" {
		return nil
	}
	return &id
}
