package main

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connvo/ai/aitest"
)

// spokenID is a chunk in an event.
var spokenID = regexp.MustCompile(`"speakerId":"([^"]+)"[^{}]*"text":"([^"]*)"[^{}]*"utteranceId":"(aud_[^"]+)"`)

// heard follows the transcript until it has so many chunks, and returns their texts by
// utterance. A chunk that is there twice fails the test.
func (k *killed) heard(feed string, n int) map[string]string {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), "GET", k.url+feed+"?after=0", nil)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.token)
	r.Header.Set("Accept", "text/event-stream")
	stream, err := k.client.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	found := map[string]string{}
	for lines := bufio.NewScanner(stream.Body); len(found) < n; {
		if !lines.Scan() {
			k.t.Fatalf("the stream has ended after %d chunks: %v", len(found), lines.Err())
		}
		for _, m := range spokenID.FindAllStringSubmatch(lines.Text(), -1) {
			if _, twice := found[m[3]]; twice {
				k.t.Errorf("%s is said twice", m[3])
			}
			found[m[3]] = m[2]
		}
	}
	return found
}

// A server that is killed between accepting a piece and storing its words stores them
// after the next start, once. The key is in nothing that it writes.
func TestKilledServerTranscribesWhatItHasAccepted(t *testing.T) {
	const key, rounds = "sk-test-0123456789", 4
	sound, err := os.ReadFile("domain/audio/testdata/chromium.webm")
	if err != nil {
		t.Fatal(err)
	}
	var hangs atomic.Bool
	asked := make(chan struct{}, 100)
	end := aitest.Start(t, key, func(c aitest.Call) aitest.Reply {
		asked <- struct{}{}
		if hangs.Load() {
			return aitest.Reply{Hang: true}
		}
		return aitest.Words(fmt.Sprint(len(c.Sound), " bytes"))
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	k := &killed{t: t, file: filepath.Join(t.TempDir(), "connvo.db"), client: &http.Client{Transport: transport},
		flags: []string{"--openai-base-url", end.URL, "--openai-api-key", key, "--metrics-listen", "127.0.0.1:0"}}
	k.start()
	defer func() { k.kill() }()
	var grant struct{ AccessToken string }
	k.do("POST", "/dev/token", `{"email":"ada@example.com"}`, &grant)
	k.token = grant.AccessToken
	var m struct{ ID string }
	k.do("POST", "/v1/meetings", `{"title":"Plan"}`, &m)
	path := "/v1/meetings/" + m.ID
	k.do("POST", path+"/start", "", nil)

	accepted := map[string]string{}
	for round := range rounds {
		hangs.Store(round%2 == 1) // so in the last one: the server that goes on then has two to transcribe
		for i := range 2 {
			var piece struct{ ID string }
			k.send("POST", fmt.Sprintf("%s/audio?startMs=%d", path, 10_000*round+2000*i), "audio/webm", string(sound), &piece)
			accepted[piece.ID] = fmt.Sprint(len(sound), " bytes")
		}
		<-asked // in every other round the words may be stored at this moment
		k.kill()
		if written := k.said.await(t, `(?s).+`); strings.Contains(written, key) {
			t.Errorf("the key is written: %s", written)
		}
		hangs.Store(false)
		k.start()
		if got := k.heard(path+"/transcripts", len(accepted)); !maps.Equal(got, accepted) {
			t.Fatalf("round %d: %v is said, want %v", round, got, accepted)
		}
	}
	k.do("POST", path+"/end", "", nil)
	var page struct{ Items []any }
	if k.do("GET", path+"/transcripts?limit=200", "", &page); len(page.Items) != 2*rounds {
		t.Errorf("%d chunks", len(page.Items))
	}
	if file, err := os.ReadFile(k.file); err != nil || bytes.Contains(file, []byte(key)) {
		t.Errorf("the key is in the file: %v", err)
	}
	k.countsAudio()
}

// countsAudio looks at the figures of a server that has transcribed two pieces since it
// was started, and has none waiting.
func (k *killed) countsAudio() {
	k.t.Helper()
	_, monitor, _ := strings.Cut(k.said.await(k.t, `"figures are told","url":"http://127\.0\.0\.1:\d+/metrics`), `"url":"`)
	want := []string{`connvo_audio_waiting{unit="pieces"} 0`, `connvo_audio_waiting{unit="bytes"} 0`, `connvo_audio_given_up_total 0`, `connvo_audio_call_seconds_count{outcome="words"} 2`}
	told := func(line string) bool { return slices.Contains(want, line) }
	var lines []string
	// A call is counted just after its words are stored, and so may be read first.
	for until := time.Now().Add(patience); time.Now().Before(until); {
		answer, err := k.client.Get(monitor)
		if err != nil {
			k.t.Fatal(err)
		}
		lines = nil
		for text := bufio.NewScanner(answer.Body); text.Scan(); {
			lines = append(lines, text.Text())
		}
		_ = answer.Body.Close()
		if len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !told(l) })) == len(want) {
			return
		}
	}
	k.t.Errorf("audio is not counted: %s", slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "connvo_audio") }))
}

// What is wrong with who transcribes is told at the start, without the key.
func TestTranscriptionIsChecked(t *testing.T) {
	const openAI = "https://api.openai.com/v1"
	for name, c := range map[string]struct {
		command serveCommand
		says    string // "" for nothing
		on      bool
	}{
		"nothing":                {serveCommand{OpenAIBaseURL: openAI}, "", false},
		"a key":                  {serveCommand{OpenAIBaseURL: openAI, OpenAIAPIKey: "sk-1"}, "", true},
		"an endpoint without":    {serveCommand{OpenAIBaseURL: "http://speech.internal:8000/v1", TranscriptModel: "large-v3"}, "", true},
		"an endpoint for others": {serveCommand{OpenAIBaseURL: "http://speech.internal:8000/v1"}, "", false},
		"no key for OpenAI":      {serveCommand{OpenAIBaseURL: openAI, TranscriptModel: "whisper-1"}, "OpenAI needs a key", true},
		"a key with a space":     {serveCommand{OpenAIBaseURL: openAI, OpenAIAPIKey: "secret \n"}, "--openai-api-key: letters", true},
		"a model with a space":   {serveCommand{OpenAIBaseURL: openAI, OpenAIAPIKey: "sk-1", TranscriptModel: "a b"}, "--transcription-model", true},
		"no URL":                 {serveCommand{OpenAIBaseURL: "https://:secret@host", OpenAIAPIKey: "sk-1"}, "--openai-base-url: write", true},
	} {
		said := ""
		c.command.checkTranscription(func(format string, args ...any) { said += fmt.Errorf(format, args...).Error() + "\n" })
		if (said == "") != (c.says == "") || !strings.Contains(said, c.says) || strings.Contains(said, "secret") || c.command.transcribes() != c.on {
			t.Errorf("%s: %q, on %v", name, said, c.command.transcribes())
		}
	}
}
