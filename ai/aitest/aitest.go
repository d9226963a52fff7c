// Package aitest is an OpenAI-compatible endpoint for tests.
package aitest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// maxForm bounds what an endpoint keeps of a request: the file, and a little more.
const maxForm = 2 << 20

// Call is a request for a transcription.
type Call struct {
	Model   string
	Format  string // response_format
	Include []string
	Name    string // of the file
	Media   string // its type, as the form says
	Sound   []byte
}

// Reply is how a call is answered.
type Reply struct {
	Status int         // 200 when 0
	Header http.Header // besides the type, which is that of JSON
	Body   string
	// Hang says that there is no answer before the caller has gone.
	Hang bool
}

// Words is the reply in which so much was said.
func Words(text string) Reply { return Reply{Body: fmt.Sprintf(`{"text":%q}`, text)} }

// Endpoint is a real HTTP server. A request that is not as it is documented fails the
// test. It is safe for concurrent use.
type Endpoint struct {
	URL string // the base URL
	t   testing.TB
	key string

	answer func(Call) Reply

	mu      sync.Mutex // guards the rest
	calls   []Call
	running int
	most    int
}

// Start returns an endpoint that wants the key, "" for none, and answers with what
// answer returns, which is called for several at once. It ends with the test.
func Start(t testing.TB, key string, answer func(Call) Reply) *Endpoint {
	t.Helper()
	e := &Endpoint{t: t, key: key, answer: answer}
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	e.URL = server.URL + "/v1"
	return e
}

// Calls returns what was asked so far, in the order of asking.
func (e *Endpoint) Calls() []Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls)
}

// Most returns how many calls were under way at a time, at most.
func (e *Endpoint) Most() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}

// ServeHTTP answers a request.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	if err != nil {
		return // the caller has gone, or was killed
	}
	c, err := e.read(r, body)
	if err != nil {
		e.t.Errorf("%s %s is not as it is documented: %v", r.Method, r.URL, err)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	e.mu.Lock()
	e.calls = append(e.calls, c)
	e.running++
	e.most = max(e.most, e.running)
	e.mu.Unlock()
	reply := e.answer(c)
	e.mu.Lock()
	e.running--
	e.mu.Unlock()
	if reply.Hang {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	maps.Copy(w.Header(), reply.Header)
	w.WriteHeader(max(reply.Status, http.StatusOK))
	_, _ = io.WriteString(w, reply.Body) // the caller may have gone
}

// read takes a request apart, which must have what the documented one has, and nothing
// else.
func (e *Endpoint) read(r *http.Request, body []byte) (c Call, err error) {
	if r.Method != http.MethodPost || r.URL.String() != "/v1/audio/transcriptions" {
		return c, fmt.Errorf("it should be POST /v1/audio/transcriptions")
	}
	if got := r.Header.Get("Authorization"); got != strings.TrimSuffix("Bearer "+e.key, "Bearer ") {
		return c, fmt.Errorf("the key is %q", got)
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return c, fmt.Errorf("its type is %q", media)
	}
	form := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	seen := map[string]bool{}
	for {
		part, err := form.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return c, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return c, err
		}
		name := part.FormName()
		if seen[name] {
			return c, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if err := c.take(part, name, content); err != nil {
			return c, err
		}
	}
	if !seen["file"] || !seen["model"] {
		return c, fmt.Errorf("a file and a model are required")
	}
	return c, c.check()
}

func (c *Call) take(part *multipart.Part, name string, content []byte) error {
	switch name {
	case "model":
		c.Model = string(content)
	case "response_format":
		c.Format = string(content)
	case "include[]":
		c.Include = append(c.Include, string(content))
	case "file":
		c.Name, c.Media, c.Sound = part.FileName(), part.Header.Get("Content-Type"), content
	default:
		return fmt.Errorf("it has no field %q", name)
	}
	return nil
}

// check refuses what OpenAI would: formats that the model does not know, and a file
// whose format its name does not tell.
func (c *Call) check() error {
	formats := []string{"json", "text", "srt", "verbose_json", "vtt"}
	if strings.HasPrefix(c.Model, "gpt-") {
		formats = []string{"json"}
	}
	if !slices.Contains(formats, c.Format) {
		return fmt.Errorf("%s knows no format %q", c.Model, c.Format)
	}
	if len(c.Include) > 0 && (c.Include[0] != "logprobs" || c.Format != "json" || !slices.Contains([]string{"gpt-4o-transcribe", "gpt-4o-mini-transcribe"}, c.Model)) {
		return fmt.Errorf("%s includes no %v", c.Model, c.Include)
	}
	extension := c.Name[strings.LastIndex(c.Name, ".")+1:]
	if (extension != "wav" && extension != "webm") || c.Media != "audio/"+extension || len(c.Sound) == 0 {
		return fmt.Errorf("the file %q of type %q has %d bytes", c.Name, c.Media, len(c.Sound))
	}
	return nil
}
