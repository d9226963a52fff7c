package handlers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/ratelimit"
)

// chunk is something that somebody said.
type chunk struct {
	Position     int64          `json:"position"`
	SpeakerID    *domain.UserID `json:"speakerId" doc:"Null while nobody has said who speaks."`
	SpeakerLabel *string        `json:"speakerLabel" doc:"By which the sender told the speaker apart; null where it said who speaks, or nothing."`
	Text         string         `json:"text"`
	Confidence   float64        `json:"confidence"`
	StartMs      int64          `json:"startMs" doc:"Since the start of the meeting."`
	EndMs        int64          `json:"endMs"`
	Language     *string        `json:"language"`
	UtteranceID  *string        `json:"utteranceId"`
	CreatedAt    string         `json:"createdAt" format:"date-time"`
}

func (c chunk) key() string     { return strconv.FormatInt(c.Position, 10) }
func (c chunk) position() int64 { return c.Position }
func (c chunk) order() int64    { return c.Position }

// chunkDraft is a chunk as it is sent.
type chunkDraft struct {
	SpeakerID    string  `json:"speakerId,omitempty" maxLength:"64" doc:"The member of the meeting who speaks."`
	SpeakerLabel string  `json:"speakerLabel,omitempty" maxLength:"64" doc:"Tells a speaker apart whom the sender does not know, such as Speaker 1; not together with speakerId."`
	Text         string  `json:"text" minLength:"1" maxLength:"10000" doc:"Not only white space."`
	Confidence   float64 `json:"confidence" minimum:"0" maximum:"1"`
	StartMs      int64   `json:"startMs" minimum:"0" maximum:"604800000" doc:"Since the start of the meeting."`
	EndMs        int64   `json:"endMs" minimum:"0" maximum:"604800000" doc:"After startMs."`
	Language     string  `json:"language,omitempty" maxLength:"35" doc:"A language tag such as en or pt-BR."`
	Interim      bool    `json:"interim,omitempty" doc:"Not final: it is shown live and not stored; the final one follows with the same utteranceId."`
	UtteranceID  string  `json:"utteranceId,omitempty" maxLength:"64" doc:"The sender's name of it: a final one counts once in a meeting, however often it is sent."`
}

func (d chunkDraft) draft() transcripts.Draft {
	return transcripts.Draft{
		Speaker: domain.UserID(d.SpeakerID), Label: d.SpeakerLabel, Text: d.Text, Confidence: d.Confidence,
		Start: time.Duration(d.StartMs) * time.Millisecond, End: time.Duration(d.EndMs) * time.Millisecond,
		Language: d.Language, Utterance: d.UtteranceID, Interim: d.Interim,
	}
}

type chunkDrafts struct {
	MeetingParam
	Body struct {
		Chunks []chunkDraft `json:"chunks" minItems:"1" maxItems:"200"`
	}
}

// storedChunks is where chunks are in the transcript.
type storedChunks struct {
	FirstPosition *int64 `json:"firstPosition" doc:"Null where none was final."`
	LastPosition  *int64 `json:"lastPosition" doc:"Null where none was final."`

	interim []transcripts.Draft
}

type transcriptInput struct {
	FeedParams
	MeetingParam
	Speaker string `query:"speaker" maxLength:"64" doc:"Only what this member said, under whatever label, or what was said under this label."`
	FromMs  int64  `query:"fromMs" minimum:"0" maximum:"604800000" doc:"Only what ended after this offset."`
	ToMs    int64  `query:"toMs" minimum:"1" maximum:"604800000" doc:"Only what began before this offset."`
}

func (in *transcriptInput) filter() transcripts.Filter {
	return transcripts.Filter{Speaker: in.Speaker, From: time.Duration(in.FromMs) * time.Millisecond, To: time.Duration(in.ToMs) * time.Millisecond}
}

type transcriptDeletion struct{ MeetingParam }

// deletedTranscript says that a transcript is being deleted.
type deletedTranscript struct {
	MeetingID domain.MeetingID `json:"meetingId"`
	DeletedAt string           `json:"deletedAt" format:"date-time" doc:"Since when nothing of it is answered; of what is stored it is gone within minutes."`
}

// speaker is somebody who was told apart by a label.
type speaker struct {
	Label   string         `json:"label"`
	UserID  *domain.UserID `json:"userId" doc:"Null until somebody has said who it is."`
	NamedBy *domain.UserID `json:"namedBy" doc:"Who has said so."`
	NamedAt *string        `json:"namedAt" format:"date-time"`
}

type speakerList struct {
	Items []speaker `json:"items" doc:"All of them, by label; at most 1000."`
}

type speakerName struct {
	MeetingParam
	Label string `path:"label" maxLength:"64"`
	Body  struct {
		UserID string `json:"userId" minLength:"1" maxLength:"64" doc:"A member of the meeting."`
	}
}

// detail leaves the label out: it may be a name, which is erased with its person.
func (in *speakerName) detail() map[string]string { return map[string]string{"user": in.Body.UserID} }

func (s *Server) transcriptRoutes() {
	const path = transcriptPath
	register(s, route{path: path, id: "appendTranscript", tag: "Transcripts", summary: "Add what was said",
		about: "While the meeting is active, for those who have joined and are no observers. All chunks are stored, or none. " +
			"Chunks are counted, not requests: 50 a second of a user, 100 of a meeting, 200 at once. " +
			"With the type application/x-ndjson the body is chunks, a line each, in a request that may stay open: each is answered by a line, in order, once it is durable."},
		operation[chunkDrafts, storedChunks]{do: s.appendTranscript, admit: s.admitChunks})
	s.describeLines()
	feed(s, route{path: path, id: "listTranscript", tag: "Transcripts", summary: "What was said in a meeting",
		about: "While the meeting is active, for those who have joined. Who speaks is answered as it is known now: what was sent live is not sent again when a label is named. " +
			"Live, interim events tell what is not final, as items without a position, and without an id: only the newest of an utterance, and it may be left out. The item with its utteranceId replaces it.", shared: true}, s.listTranscript)
	register(s, route{method: http.MethodDelete, path: path, id: "deleteTranscript", audits: audit.TranscriptDeleted, tag: "Transcripts", status: http.StatusAccepted, summary: "Delete what was said, for good",
		about: "The host only, once the meeting is over; nothing brings it back. From then on every answer is that of a meeting in which nothing was said: transcript, segments, speakers, search, statistics, files and topics; " +
			"what anybody is told in their insights is made anew without it. How long who spoke stays. Those who follow the transcript are told truncated."},
		operation[transcriptDeletion, deletedTranscript]{do: s.deleteTranscript, admit: s.admitDeletion})
	const speakers = "/v1/meetings/{meetingId}/speakers"
	get(s, route{path: speakers, id: "listSpeakers", tag: "Transcripts", summary: "The speakers who were told apart by labels",
		about: "While the meeting is active, for those who have joined.", shared: true}, s.listSpeakers)
	write(s, route{method: http.MethodPut, path: speakers + "/{label}", id: "nameSpeaker", audits: audit.SpeakerNamed, tag: "Transcripts", summary: "Say who speaks under a label",
		about: "Members themselves; host and cohosts anybody. From then on every answer shows it, also of what was said before. 409 where the label is another's."}, s.nameSpeaker)
}

// admitChunks counts the chunks of a user, takes them in where they fit, and waits
// for others to be stored with. Once they are, what is interim is shown.
func (s *Server) admitChunks(ctx context.Context, h http.Header, who domain.Actor, in *chunkDrafts) (ended func(storedChunks, error), err error) {
	n, since := len(in.Body.Chunks), s.DB.Now()
	if err := s.limitMany(h, ratelimit.Chunks, string(who.User), n); err != nil {
		return nil, err
	}
	if err := s.pressure.Begin(in.meeting(), n); err != nil {
		return nil, err
	}
	db.Gather(ctx)
	return func(out storedChunks, err error) {
		s.pressure.End(in.meeting(), n, since, err == nil)
		if err == nil {
			s.showInterim(ctx, in.meeting(), out.interim)
		}
	}, nil
}

func (s *Server) appendTranscript(ctx context.Context, who domain.Actor, in *chunkDrafts) (storedChunks, error) {
	drafts := make([]transcripts.Draft, len(in.Body.Chunks))
	for i, c := range in.Body.Chunks {
		drafts[i] = c.draft()
	}
	a, err := s.Transcripts.Append(ctx, who, in.meeting(), drafts)
	if err == nil {
		// Only now, so that nobody uses up what others may say in a meeting of theirs.
		err = s.limitMany(http.Header{}, ratelimit.MeetingChunks, string(in.meeting()), len(drafts))
	}
	out := storedChunks{interim: a.Interim}
	if first, last := a.Span(); first != 0 {
		out.FirstPosition, out.LastPosition = &first, &last
	}
	return out, err
}

func (s *Server) listTranscript(ctx context.Context, who domain.Actor, in *transcriptInput, span domain.Span) (domain.Part[chunk], error) {
	part, err := s.Transcripts.Feed(ctx, who, in.meeting(), in.filter(), span)
	return domain.Parts(part, chunkOf), err
}

func (s *Server) listSpeakers(ctx context.Context, who domain.Actor, in *meetingInput) (speakerList, error) {
	all, err := s.Transcripts.Speakers(ctx, who, in.meeting())
	list := speakerList{Items: make([]speaker, len(all))}
	for i, one := range all {
		list.Items[i] = speakerOf(one)
	}
	return list, err
}

func (s *Server) nameSpeaker(ctx context.Context, who domain.Actor, in *speakerName) (speaker, error) {
	named, err := s.Transcripts.Name(ctx, who, in.meeting(), in.Label, domain.UserID(in.Body.UserID))
	return speakerOf(named), err
}

// admitDeletion forgets, once a transcript is deleted, what was not final of it.
func (s *Server) admitDeletion(_ context.Context, _ http.Header, _ domain.Actor, in *transcriptDeletion) (ended func(deletedTranscript, error), err error) {
	return func(_ deletedTranscript, err error) {
		if err == nil {
			s.engine.Hush(asideName(in.meeting()))
		}
	}, nil
}

func (s *Server) deleteTranscript(ctx context.Context, who domain.Actor, in *transcriptDeletion) (deletedTranscript, error) {
	at, err := s.Transcripts.Delete(ctx, who, in.meeting())
	return deletedTranscript{in.meeting(), instant(at)}, err
}

func chunkOf(c transcripts.Chunk) chunk {
	out := chunk{
		Position: c.Position, SpeakerLabel: text(c.Label), Text: c.Text, Confidence: c.Confidence,
		StartMs: c.Start.Milliseconds(), EndMs: c.End.Milliseconds(), Language: text(c.Language), UtteranceID: text(c.Utterance),
		CreatedAt: instant(c.CreatedAt),
	}
	if c.Speaker != "" {
		out.SpeakerID = &c.Speaker
	}
	return out
}

func speakerOf(s transcripts.Speaker) speaker {
	out := speaker{Label: s.Label, NamedAt: maybe(s.NamedAt)}
	if s.User != "" {
		out.UserID, out.NamedBy = &s.User, &s.NamedBy
	}
	return out
}
