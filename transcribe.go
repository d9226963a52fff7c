package main

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"connvo/ai"
	"connvo/db"
	"connvo/domain/audio"
	"connvo/scribe"
	"connvo/telemetry"
)

// transcribes reports whether an endpoint is configured that transcribes speech: there
// is a key, or somebody has named the model of one that needs none.
func (c *serveCommand) transcribes() bool { return c.OpenAIAPIKey != "" || c.TranscriptModel != "" }

// checkTranscription refuses what is wrong with who transcribes speech. It shows no key,
// not even a wrong one.
func (c *serveCommand) checkTranscription(refuse func(format string, args ...any)) {
	if err := ai.CheckURL(c.OpenAIBaseURL); err != nil {
		refuse("--openai-base-url: %w", err)
	}
	if c.OpenAIAPIKey != "" && !printable(c.OpenAIAPIKey) {
		refuse("--openai-api-key: letters, digits and signs only, no spaces")
	}
	switch {
	case c.TranscriptModel == "":
	case !printable(c.TranscriptModel):
		refuse("--transcription-model %q: letters, digits and signs only, no spaces", c.TranscriptModel)
	case c.OpenAIAPIKey == "" && c.OpenAIBaseURL == ai.OpenAI:
		refuse("--transcription-model: OpenAI needs a key, set OPENAI_API_KEY; or --openai-base-url for an endpoint that needs none")
	}
}

// dictation is what transcribes speech. Where nothing does, pieces is nil.
type dictation struct {
	pieces *audio.Store
	scribe *scribe.Scribe
	ai     *ai.Transcriber
}

// dictation returns what is configured.
func (c *serveCommand) dictation(d *db.DB, m *telemetry.Metrics, log *slog.Logger) (*dictation, error) {
	if !c.transcribes() {
		return &dictation{}, nil
	}
	asks, err := ai.NewTranscriber(ai.Endpoint{BaseURL: c.OpenAIBaseURL, Key: c.OpenAIAPIKey}, cmp.Or(c.TranscriptModel, ai.Whisper))
	if err != nil {
		return nil, err
	}
	called := m.Durations("connvo_audio_call_seconds", "How long calls of the transcription endpoint took, and by the count how many there were, by how they ended.", "outcome")
	givenUp := m.Counts("connvo_audio_given_up_total", "Pieces of audio that were not transcribed in their time, or their tries.")
	m.Gauges("connvo_audio_waiting", "What waits to be transcribed: pieces, and their bytes.", "unit", func() map[string]float64 { return audioFigures(d, log) })
	return &dictation{
		pieces: audio.NewStore(d),
		ai:     asks,
		scribe: scribe.New(scribe.Config{
			DB: d, Log: log, AI: asks, GivenUp: func() { givenUp() },
			Called: func(took time.Duration, outcome string) { called(took, outcome) },
		}),
	}, nil
}

// audioFigures returns how much waits, nil where that cannot be read now.
func audioFigures(d *db.DB, log *slog.Logger) map[string]float64 {
	ctx, cancel := context.WithTimeout(context.Background(), figureTime)
	defer cancel()
	var waits audio.Backlog
	err := d.Read(ctx, func(tx db.Reader) (err error) {
		waits, err = audio.Waiting(tx)
		return err
	})
	if err != nil {
		log.Warn("the audio that waits could not be counted", "error", err)
		return nil
	}
	return map[string]float64{"pieces": float64(waits.Pieces), "bytes": float64(waits.Bytes)}
}

func (d *dictation) start() {
	if d.scribe != nil {
		d.scribe.Start()
	}
}

// close lets calls under way end until ctx does.
func (d *dictation) close(ctx context.Context) {
	if d.scribe != nil {
		d.scribe.Stop(ctx)
		d.ai.Close()
	}
}
