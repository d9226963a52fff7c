package handlers_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"connvo/handlers"
)

// wav is a WAV file with so much silence, of 8,000 bytes a second.
func wav(lasts time.Duration) []byte {
	const rate = 8000
	samples := make([]byte, int64(lasts)*rate/int64(time.Second))
	file := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+len(samples)))...)
	file = append(file, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...) // PCM of one channel
	file = binary.LittleEndian.AppendUint32(file, rate)
	file = binary.LittleEndian.AppendUint32(file, rate)
	file = append(file, "\x01\x00\x08\x00data"...) // a byte a sample
	file = binary.LittleEndian.AppendUint32(file, uint32(len(samples)))
	return append(file, samples...)
}

// mediaFor is the type of what is sent to a path.
func mediaFor(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasSuffix(path, "/audio") {
		return "audio/wav"
	}
	return "application/json"
}

// What is no piece of speech is refused before anybody is asked whether it may be sent,
// by what it is and not by what it is called.
func TestWhatIsNoSpeechIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/start", nil)
	webm, err := os.ReadFile("../domain/audio/testdata/chromium.webm")
	if err != nil {
		t.Fatal(err)
	}
	second := wav(time.Second)
	for name, c := range map[string]struct {
		body   any
		media  string
		query  string
		status int
		says   string
	}{
		"WAV":                           {second, "audio/wav", "?startMs=0", 202, `{"id":"aud_`},
		"WAV by another name":           {second, "audio/x-wav; codecs=1", "", 202, `{"id":"aud_`},
		"WebM":                          {webm, "audio/webm;codecs=opus", "?startMs=604798000", 202, `{"id":"aud_`},
		"WAV that is called WebM":       {second, "audio/webm", "", 202, `{"id":"aud_`},
		"WAV that is called JSON":       {second, "application/json", "", 415, "audio/wav or audio/webm"},
		"WAV that is called nothing":    {second, "", "", 415, "audio/wav or audio/webm"},
		"JSON":                          {`{"text":"Hello"}`, "application/json", "", 415, "audio/wav or audio/webm"},
		"JSON that is called WAV":       {`{"text":"Hello"}`, "audio/wav", "", 415, "neither a WAV file"},
		"part of a recording":           {webm[153:], "audio/webm", "", 415, "a file of its own"},
		"nothing":                       {nil, "audio/wav", "", 400, "required"},
		"nothing, chunked":              {chunked{strings.NewReader("")}, "audio/wav", "", 400, "required"},
		"too short":                     {wav(999 * time.Millisecond), "audio/wav", "", 422, `"location":"body"`},
		"too long":                      {wav(15001 * time.Millisecond), "audio/wav", "", 422, "lasts 15001 ms"},
		"cut off":                       {second[:5000], "audio/wav", "", 422, "is damaged"},
		"too large":                     {make([]byte, handlers.MaxBody+1), "audio/wav", "", 413, "1 MiB"},
		"too large, chunked":            {chunked{bytes.NewReader(make([]byte, handlers.MaxBody+1))}, "audio/wav", "", 413, "1 MiB"},
		"as large as it may be":         {append(second, make([]byte, handlers.MaxBody-len(second))...), "audio/wav", "", 202, `{"id":"aud_`},
		"before the start":              {second, "audio/wav", "?startMs=-1", 422, "query.startMs"},
		"after every end":               {second, "audio/wav", "?startMs=604799001", 422, "query.startMs"},
		"at no time":                    {second, "audio/wav", "?startMs=now", 422, "query.startMs"},
		"with a parameter of its own":   {second, "audio/wav", "?language=en", 422, "language"},
		"shape before membership":       {wav(0), "audio/wav", "", 422, "lasts 0 ms"},
		"a condition, which it has not": {second, "audio/wav", "", 422, "If-Match"},
	} {
		path, header := meeting+"/audio"+c.query, []string{"Content-Type", c.media}
		switch name {
		case "shape before membership":
			path = "/v1/meetings/mtg_loc_none/audio"
		case "a condition, which it has not":
			header = append(header, "If-Match", `"x"`)
		}
		if a := ada.do("POST", path, c.body, header...); a.Status != c.status || !strings.Contains(string(a.Body), c.says) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if n := s.number(`SELECT count(*) FROM audio`); n != 5 {
		t.Errorf("%d pieces are kept", n)
	}
	if n := s.number(`SELECT count(*) FROM audio WHERE sound = ?`, webm); n != 1 {
		t.Error("it is kept as something else")
	}
}

// Where nothing transcribes, nobody is told to try again.
func TestWithoutAnEndpointNothingIsTranscribed(t *testing.T) {
	t.Parallel()
	s := startServer(t, false, func(c *handlers.Config) { c.Audio = nil })
	ada := s.signIn("ada")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/start", nil)
	for _, body := range []string{string(wav(time.Second)), "no speech"} {
		a := ada.do("POST", meeting+"/audio", body)
		if a.Status != http.StatusServiceUnavailable || a.code() != "unavailable" || a.Header.Get("Retry-After") != "" || !strings.Contains(string(a.Body), "no transcription endpoint is configured") {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
		}
	}
	if a := s.nobody().do("POST", meeting+"/audio", wav(time.Second)); a.Status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.Status)
	}
}

// More than fits is told with when to come again: of one person, of a meeting, in all.
func TestAudioIsLimited(t *testing.T) {
	t.Parallel()
	s := limited(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	ada.must("POST", meeting+"/start", nil)
	grace.must("POST", meeting+"/join", nil)
	say := func(p *person) answer { return p.do("POST", meeting+"/audio?startMs=0", wav(time.Second)) }
	s.until("pieces at once", 30, "1", func() answer { return say(ada) })
	s.passes(time.Second)
	s.until("pieces of a second", 1, "1", func() answer { return say(ada) })
	s.exec(`UPDATE audio SET size = 1 << 20`) // 31 MiB wait
	if a := say(grace); a.Status != http.StatusAccepted {
		t.Errorf("the last that fits: %d %s", a.Status, a.Body)
	}
	s.exec(`UPDATE audio SET size = 1 << 20`)
	if a := say(grace); a.Status != http.StatusTooManyRequests || a.code() != "rate_limited" || a.Header.Get("Retry-After") != "1" {
		t.Errorf("more than fits in a meeting: %d %s", a.Status, a.Body)
	}
	other := strings.TrimPrefix(ada.plan("Other"), "/v1/meetings/")
	s.exec(`UPDATE audio SET meeting_id = ?, size = 8 << 20`, other) // 256 MiB
	if a := say(grace); a.Status != http.StatusServiceUnavailable || a.code() != "unavailable" || a.Header.Get("Retry-After") != "1" {
		t.Errorf("more than fits in all: %d %s", a.Status, a.Body)
	}
	if n := s.number(`SELECT count(*) FROM audio`); n != 32 {
		t.Errorf("%d pieces are kept", n)
	}
}
