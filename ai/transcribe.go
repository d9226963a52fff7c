package ai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"
)

// Whisper is the model of OpenAI that tells when what was said, how sure it is, and
// in which language; compatible endpoints know it too.
const Whisper = "whisper-1"

const (
	// transcribeTimeout bounds one transcription, of some seconds of speech, in seconds.
	transcribeTimeout = 30
	// Unsure is the confidence where the endpoint does not tell it.
	Unsure = 0.5
	// A segment is no speech where both are so: the thresholds of Whisper itself.
	silentAbove = 0.6  // the probability that nobody speaks
	guessBelow  = -1.0 // the mean logarithm of the probability of the words
)

// Recording is sound as a file holds it.
type Recording struct {
	Name  string // with the extension of its format: endpoints tell formats by that
	Media string // the type of its content, such as audio/wav
	Sound []byte
}

// Speech is what was said in a recording.
type Speech struct {
	Text       string        // "" where nobody speaks
	Start, End time.Duration // in the recording; both 0 where that is not told
	Confidence float64       // 0 to 1; Unsure where that is not told
	Language   string        // a tag such as en; "" where that is not told
}

// Transcriber makes text of speech. It is safe for concurrent use; Close it.
type Transcriber struct {
	client *client
	model  string
}

// NewTranscriber returns what asks the endpoint for transcriptions by the model. It
// does not ask yet whether there is such a model. Errors: those of CheckURL.
func NewTranscriber(e Endpoint, model string) (*Transcriber, error) {
	c, err := newClient(e, "/audio/transcriptions")
	return &Transcriber{c, model}, err
}

// Close ends the connections that are idle.
func (t *Transcriber) Close() { t.client.http.CloseIdleConnections() }

// Transcribe returns what was said, within half a minute. It sends one request.
//
// Errors: *Later; ErrRefused, for a recording that the endpoint will not take; ctx's,
// where it was cancelled; another for what may pass.
func (t *Transcriber) Transcribe(ctx context.Context, r Recording) (Speech, error) {
	body, contentType, err := t.form(r)
	if err != nil {
		return Speech{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, transcribeTimeout*t.client.second)
	defer cancel()
	var told transcription
	if err := t.client.post(ctx, contentType, body, &told); err != nil {
		return Speech{}, err
	}
	return told.speech()
}

// form returns the request. What models tell besides the text differs: those of the
// GPT family know no format but json, and two of them the probabilities of its tokens.
func (t *Transcriber) form(r Recording) (body *bytes.Buffer, contentType string, err error) {
	fields := [][2]string{{"model", t.model}, {"response_format", "verbose_json"}}
	if strings.HasPrefix(t.model, "gpt-") {
		fields[1][1] = "json"
		if t.model == "gpt-4o-transcribe" || t.model == "gpt-4o-mini-transcribe" {
			fields = append(fields, [2]string{"include[]", "logprobs"})
		}
	}
	body = bytes.NewBuffer(make([]byte, 0, len(r.Sound)+4096))
	w := multipart.NewWriter(body)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			return nil, "", err
		}
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, r.Name)},
		"Content-Type":        {r.Media},
	})
	if err == nil {
		_, err = part.Write(r.Sound)
	}
	if err == nil {
		err = w.Close()
	}
	return body, w.FormDataContentType(), err
}

// transcription is what is answered, of verbose_json and json together.
type transcription struct {
	Text     *string   `json:"text"`
	Language string    `json:"language"`
	Segments []segment `json:"segments"`
	Logprobs []struct {
		Logprob float64 `json:"logprob"`
	} `json:"logprobs"`
}

// segment is a part of it, in seconds.
type segment struct {
	Start    float64  `json:"start"`
	End      float64  `json:"end"`
	Text     string   `json:"text"`
	Logprob  *float64 `json:"avg_logprob"`
	NoSpeech float64  `json:"no_speech_prob"`
}

// silent reports whether its words are what a model makes of noise.
func (s segment) silent() bool {
	return s.NoSpeech > silentAbove && s.Logprob != nil && *s.Logprob < guessBelow
}

func (t transcription) speech() (Speech, error) {
	if t.Text == nil {
		return Speech{}, errors.New("its answer has no text")
	}
	s := Speech{Text: strings.TrimSpace(*t.Text), Language: tagOf(t.Language), Confidence: Unsure}
	if n := len(t.Logprobs); n > 0 {
		sum := 0.0
		for _, token := range t.Logprobs {
			sum += token.Logprob
		}
		s.Confidence = probability(sum / float64(n))
	}
	if len(t.Segments) > 0 {
		s.summarize(t.Segments)
	}
	return s, nil
}

// summarize takes from the segments what is told of them, and leaves out the words of
// those that are silent.
func (s *Speech) summarize(all []segment) {
	var spoken []segment
	var text strings.Builder
	for _, one := range all {
		if !one.silent() {
			spoken = append(spoken, one)
			text.WriteString(one.Text) // which begins with a space where its language has any
		}
	}
	if len(spoken) < len(all) {
		s.Text = strings.TrimSpace(text.String())
	}
	var sum, weight float64
	for i, one := range spoken {
		start, end := seconds(one.Start), seconds(one.End)
		if i == 0 || start < s.Start {
			s.Start = start
		}
		s.End = max(s.End, end)
		if one.Logprob != nil {
			w := max((end - start).Seconds(), 0.01) // a segment of no length counts, too
			sum, weight = sum+w*probability(*one.Logprob), weight+w
		}
	}
	if weight > 0 {
		s.Confidence = sum / weight
	}
}

// probability returns that of which the logarithm is given, between 0 and 1.
func probability(logarithm float64) float64 {
	return min(math.Exp(logarithm), 1) // JSON has no NaN
}

// longest is beyond all that is sent to be transcribed.
const longest = time.Hour

func seconds(s float64) time.Duration {
	return time.Duration(min(max(s, 0), longest.Seconds()) * float64(time.Second))
}
