package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"connvo/domain"
	"connvo/domain/audio"
	"connvo/ratelimit"
)

const audioPath = "/v1/meetings/{meetingId}/audio"

// jsonMedia is the type of bodies, but for audioMedia, as which the formats of audio are
// sent: WAV has many names.
var jsonMedia = []string{"application/json"}

var audioMedia = []string{"audio/wav", "audio/webm", "audio/x-wav", "audio/wave", "audio/vnd.wave"}

// audioPiece is a piece of somebody's speech.
type audioPiece struct {
	MeetingParam
	StartMs optionalInt `query:"startMs" minimum:"0" maximum:"604800000" doc:"At which it begins, since the start of the meeting; left out, it ends now."`
	RawBody []byte      `contentType:"audio/wav"`

	sound audio.Sound // what RawBody was found to be
}

// acceptedAudio is a piece that was taken in.
type acceptedAudio struct {
	ID domain.AudioID `json:"id" doc:"The utteranceId of its chunk in the transcript."`
}

func (s *Server) audioRoutes() {
	register(s, route{path: audioPath, id: "sendAudio", tag: "Transcripts", status: http.StatusAccepted, limit: ratelimit.Audio, summary: "Say something, to be transcribed",
		about: "A file of 1 to 15 seconds of the caller's speech, WAV with PCM or WebM with Opus, while the meeting is active, for those who have joined and are no observers. " +
			"It is kept until it is in the transcript, for an hour at most; what one person says in a meeting comes there in order. Of silence comes nothing. " +
			"503 where the server knows no endpoint that transcribes."},
		operation[audioPiece, acceptedAudio]{do: s.sendAudio, admit: s.admitAudio})
	body := s.api.OpenAPI().Paths[audioPath].Post.RequestBody
	body.Required = true
	most := audio.MaxBytes
	for _, media := range audioMedia[:2] {
		body.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", MaxLength: &most}}
	}
}

// mediaOf returns the types that the body of a request to the route may have.
func mediaOf(pattern string) []string {
	if pattern == "POST "+audioPath {
		return audioMedia
	}
	return jsonMedia
}

// admitAudio finds out what was sent, before the transaction.
func (s *Server) admitAudio(_ context.Context, _ http.Header, _ domain.Actor, in *audioPiece) (ended func(acceptedAudio, error), err error) {
	if s.Audio == nil {
		p := problemOf(domain.Fail(domain.Unavailable, "this server transcribes nothing: no transcription endpoint is configured"))
		p.Retry = 0 // it will not be otherwise soon
		return nil, p
	}
	in.sound, err = audio.Listen(in.RawBody)
	if errors.Is(err, audio.ErrFormat) {
		err = newProblem(http.StatusUnsupportedMediaType, err.Error())
	}
	return func(acceptedAudio, error) {}, err
}

func (s *Server) sendAudio(ctx context.Context, who domain.Actor, in *audioPiece) (acceptedAudio, error) {
	var start *time.Duration
	if in.StartMs.set {
		at := time.Duration(in.StartMs.value) * time.Millisecond
		start = &at
	}
	p, err := s.Audio.Accept(ctx, who, in.meeting(), start, in.sound)
	return acceptedAudio{p.ID()}, err
}
