package ai_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/ai"
	"connvo/ai/aitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk-test-0123456789"

// second is the unit of waits: a call may take thirty, beside whatever else runs.
const second = 100 * time.Millisecond

var hello = ai.Recording{Name: "aud_1.wav", Media: "audio/wav", Sound: []byte("RIFF and so on")}

// newTranscriber asks for transcriptions by the model.
func newTranscriber(t *testing.T, url, model string) *ai.Transcriber {
	t.Helper()
	a, err := ai.NewTranscriber(ai.Endpoint{BaseURL: url, Key: key, Second: second}, model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// always answers every call so.
func always(r aitest.Reply) func(aitest.Call) aitest.Reply {
	return func(aitest.Call) aitest.Reply { return r }
}

func TestRequestIsAsEachModelWantsIt(t *testing.T) {
	t.Parallel()
	e := aitest.Start(t, key, always(aitest.Words("Hello")))
	for model, want := range map[string]string{
		"whisper-1": "verbose_json []", "large-v3": "verbose_json []", "gpt-4o-transcribe": "json [logprobs]", "gpt-4o-mini-transcribe": "json [logprobs]",
		"gpt-4o-transcribe-diarize": "json []", "gpt-transcribe": "json []",
	} {
		if s, err := newTranscriber(t, e.URL+"/", model).Transcribe(t.Context(), hello); err != nil || s.Text != "Hello" {
			t.Errorf("%s: %+v %v", model, s, err)
			continue
		}
		calls := e.Calls()
		c := calls[len(calls)-1]
		if got := fmt.Sprint(c.Format, " ", c.Include); got != want || c.Model != model || c.Name != hello.Name || string(c.Sound) != string(hello.Sound) {
			t.Errorf("%s: %+v", model, c)
		}
	}
}

func TestNoKeyIsSentWhereThereIsNone(t *testing.T) {
	t.Parallel()
	e := aitest.Start(t, "", always(aitest.Words("Hello")))
	a, err := ai.NewTranscriber(ai.Endpoint{BaseURL: e.URL}, "large-v3")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Transcribe(t.Context(), hello); err != nil {
		t.Error(err)
	}
}

// Every form of answer that is documented, and some that compatible endpoints have.
func TestSpeechIsWhatTheAnswerTells(t *testing.T) {
	t.Parallel()
	const likely, guess = -0.22314355131420976, -1.2 // the first is the logarithm of 0.8
	segment := func(start, end float64, text string, logprob, silent float64) string {
		return fmt.Sprintf(`{"id":0,"seek":0,"start":%v,"end":%v,"text":%q,"tokens":[1],"temperature":0,"avg_logprob":%v,"compression_ratio":1,"no_speech_prob":%v}`, start, end, text, logprob, silent)
	}
	verbose := func(text string, segments ...string) string {
		return fmt.Sprintf(`{"task":"transcribe","language":"english","duration":4.2,"text":%q,"segments":[%s],"usage":{"type":"duration","seconds":5}}`, text, strings.Join(segments, ","))
	}
	for name, c := range map[string]struct {
		body string
		want ai.Speech
	}{
		"text alone":       {`{"text":" Hello \n"}`, ai.Speech{Text: "Hello", Confidence: ai.Unsure}},
		"nothing was said": {`{"text":""}`, ai.Speech{Confidence: ai.Unsure}},
		"logprobs": {`{"text":"Hello","logprobs":[{"token":"Hel","bytes":[1],"logprob":-0.1},{"token":"lo","bytes":[2],"logprob":-0.34628710262841952}]}`,
			ai.Speech{Text: "Hello", Confidence: 0.8}},
		"a segment": {verbose("Hello there", segment(0.52, 2.5, " Hello there", likely, 0.01)),
			ai.Speech{Text: "Hello there", Start: 520 * time.Millisecond, End: 2500 * time.Millisecond, Confidence: 0.8, Language: "en"}},
		"two": {verbose("Hello. There.", segment(0, 3, " Hello.", likely, 0.01), segment(3, 4, " There.", 0, 0.01)),
			ai.Speech{Text: "Hello. There.", End: 4 * time.Second, Confidence: 0.85, Language: "en"}},
		"noise behind": {verbose("Hello. Thank you.", segment(0, 3, " Hello.", likely, 0.01), segment(3, 4, " Thank you.", guess, 0.9)),
			ai.Speech{Text: "Hello.", End: 3 * time.Second, Confidence: 0.8, Language: "en"}},
		"noise alone": {verbose("Thank you.", segment(0, 4, " Thank you.", guess, 0.9)), ai.Speech{Confidence: ai.Unsure, Language: "en"}},
		"without figures, its language a tag": {`{"text":"Hallo","language":"de","segments":[{"start":0,"end":1.5,"text":"Hallo"}]}`,
			ai.Speech{Text: "Hallo", End: 1500 * time.Millisecond, Confidence: ai.Unsure, Language: "de"}},
		"times that cannot be": {verbose("Hello", segment(-3, 1e300, "Hello", 5, 0)), ai.Speech{Text: "Hello", End: time.Hour, Confidence: 1, Language: "en"}},
		"Haitian Creole":       {`{"text":"Bonjou","language":"Haitian Creole"}`, ai.Speech{Text: "Bonjou", Confidence: ai.Unsure, Language: "ht"}},
		"Lao":                  {`{"text":"x","language":"lao"}`, ai.Speech{Text: "x", Confidence: ai.Unsure, Language: "lo"}},
		"Klingon":              {`{"text":"nuqneH","language":"klingon"}`, ai.Speech{Text: "nuqneH", Confidence: ai.Unsure}},
	} {
		e := aitest.Start(t, key, always(aitest.Reply{Body: c.body}))
		s, err := newTranscriber(t, e.URL, ai.Whisper).Transcribe(t.Context(), hello)
		if err != nil || math.Abs(s.Confidence-c.want.Confidence) > 1e-9 {
			t.Errorf("%s: %+v %v", name, s, err)
		}
		if s.Confidence = c.want.Confidence; s != c.want {
			t.Errorf("%s: %+v, want %+v", name, s, c.want)
		}
	}
}

// What an endpoint may answer instead, and what is to be done then. None of it shows
// the key, nor what was said.
func TestProblemsSayWhatToDo(t *testing.T) {
	t.Parallel()
	problem := func(kind, code string) string {
		return fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s. The words were: pear plum","type":%q,"param":null,"code":%q}}`, key, kind, code)
	}
	after := func(name, value string) http.Header { return http.Header{name: {value}} }
	later := func(err error) time.Duration {
		if l, found := errors.AsType[*ai.Later](err); found {
			return l.After
		}
		return 0
	}
	for name, c := range map[string]struct {
		reply   aitest.Reply
		refused bool
		later   time.Duration // 0 for no Later
		says    string
	}{
		"too often":                {aitest.Reply{Status: 429, Header: after("Retry-After", "7"), Body: problem("requests", "rate_limit_exceeded")}, false, 7 * second, "429, type requests, code rate_limit_exceeded"},
		"too often, in ms":         {aitest.Reply{Status: 429, Header: after("Retry-After-Ms", "2500")}, false, 2500 * second / 1000, "429"},
		"too often, who knows":     {aitest.Reply{Status: 429, Body: "slow down"}, false, 5 * second, "429"},
		"too often, for ever":      {aitest.Reply{Status: 429, Header: after("Retry-After", "999999")}, false, 300 * second, "429"},
		"nobody has paid":          {aitest.Reply{Status: 429, Header: after("Retry-After", "1"), Body: problem("insufficient_quota", "credit_balance_exhausted")}, false, 300 * second, "insufficient_quota"},
		"busy, until then":         {aitest.Reply{Status: 503, Header: after("Retry-After", "3")}, false, 3 * second, "503"},
		"a recording it knows not": {aitest.Reply{Status: 400, Body: problem("invalid_request_error", "invalid_file_format")}, true, 0, "400, type invalid_request_error, code invalid_file_format"},
		"one that is too large":    {aitest.Reply{Status: 413}, true, 0, "413"},
		"one that it cannot take":  {aitest.Reply{Status: 422}, true, 0, "422"},
		"a wrong key":              {aitest.Reply{Status: 401, Body: problem("invalid_request_error", "invalid_api_key")}, false, 0, "401, type invalid_request_error, code invalid_api_key"},
		"no such model":            {aitest.Reply{Status: 404}, false, 0, "404"},
		"it has failed":            {aitest.Reply{Status: 500, Body: problem("server_error", "x y z, "+key)}, false, 0, "500, type server_error"},
		"busy":                     {aitest.Reply{Status: 503}, false, 0, "503"},
		"it moves":                 {aitest.Reply{Status: 307, Header: after("Location", "/elsewhere")}, false, 0, "307"},
		"a page":                   {aitest.Reply{Body: "<html>pear plum"}, false, 0, "not the JSON"},
		"another document":         {aitest.Reply{Body: `{"text":7}`}, false, 0, "not the JSON"},
		"no text":                  {aitest.Reply{Body: `{"words":[]}`}, false, 0, "no text"},
		"half an answer":           {aitest.Reply{Header: after("Content-Length", "100"), Body: `{"text":"pear`}, false, 0, "unexpected EOF"},
		"too much":                 {aitest.Reply{Body: `{"text":"` + strings.Repeat("pear plum ", 110_000) + `"}`}, false, 0, "more than"},
	} {
		e := aitest.Start(t, key, always(c.reply))
		s, err := newTranscriber(t, e.URL, ai.Whisper).Transcribe(t.Context(), hello)
		if err == nil || errors.Is(err, ai.ErrRefused) != c.refused || later(err) != c.later || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v %v, later %v", name, s, err, later(err))
			continue
		}
		if said := err.Error(); strings.Contains(said, key) || strings.Contains(said, "pear") {
			t.Errorf("%s: it shows %s", name, said)
		}
	}
}

// After five failures in a row nothing is asked for a while; then one call tries, and
// closes the breaker. Refusals and too much asking are answers.
func TestEndpointThatFailsIsLeftAlone(t *testing.T) {
	t.Parallel()
	reply := aitest.Reply{Status: 400}
	e := aitest.Start(t, key, func(aitest.Call) aitest.Reply { return reply })
	a := newTranscriber(t, e.URL, ai.Whisper)
	ask := func() error {
		_, err := a.Transcribe(t.Context(), hello)
		return err
	}
	for range 6 {
		if err := ask(); !errors.Is(err, ai.ErrRefused) {
			t.Fatal(err)
		}
	}
	reply.Status = 500
	for range 5 {
		if err := ask(); err == nil || errors.As(err, new(*ai.Later)) {
			t.Fatal(err)
		}
	}
	reply = aitest.Words("Hello")
	err := ask()
	l, found := errors.AsType[*ai.Later](err)
	if !found || l.After <= 0 || l.After > 30*second || len(e.Calls()) != 11 {
		t.Fatalf("%v, %d calls", err, len(e.Calls()))
	}
	timer := time.NewTimer(l.After)
	<-timer.C
	for range 2 {
		if err := ask(); err != nil {
			t.Error(err)
		}
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 20)
	e := aitest.Start(t, key, func(aitest.Call) aitest.Reply {
		asked <- struct{}{}
		return aitest.Reply{Hang: true}
	})
	a := newTranscriber(t, e.URL, ai.Whisper)
	if _, err := a.Transcribe(t.Context(), hello); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("by itself: %v", err)
	}
	<-asked
	for range 7 { // more than the breaker allows of failures
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if _, err := a.Transcribe(ctx, hello); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
	}
}

func TestBaseURLIsChecked(t *testing.T) {
	t.Parallel()
	for _, right := range []string{ai.OpenAI, "http://127.0.0.1:8000/v1/", "https://speech.internal"} {
		if err := ai.CheckURL(right); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
	for _, wrong := range []string{"", "api.openai.com/v1", "ftp://host/v1", "https://:password@host/v1", "https://host/v1?key=password", "https://host/#password", "https://", "http://a b/"} {
		if err := ai.CheckURL(wrong); err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
