package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// person is somebody who is signed in and sends plain requests, past any proxy.
type person struct {
	s      *server
	origin string // the server's
	Email  string
	Token  string
	ID     string
	client *http.Client
}

// signIn returns the person of the name.
func (s *server) signIn(name string) *person {
	s.t.Helper()
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	p := &person{s: s, origin: s.URL, Email: name + "@example.com", client: &http.Client{Transport: transport, Timeout: deadline}}
	var grant struct {
		AccessToken string
		User        struct{ ID string }
	}
	p.must("POST", "/dev/token", map[string]string{"email": p.Email}, &grant)
	p.Token, p.ID = grant.AccessToken, grant.User.ID
	return p
}

// do sends a request and returns the status and the body of its answer. It may
// be called by any goroutine.
func (p *person) do(method, path string, body any, header ...string) (int, []byte, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, p.origin+path, sent)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.Token != "" {
		r.Header.Set("Authorization", "Bearer "+p.Token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	return answer.StatusCode, read, err
}

// must sends a request that succeeds and decodes its answer into v, unless nil.
func (p *person) must(method, path string, body, v any) {
	p.s.t.Helper()
	status, answer, err := p.do(method, path, body)
	if err != nil || status >= 300 {
		p.s.t.Fatalf("%s %s: %d %s, error %v", method, path, status, answer, err)
	}
	if v != nil {
		decode(p.s.t, answer, v)
	}
}

// plan makes a meeting and returns its path.
func (p *person) plan() string {
	p.s.t.Helper()
	var m struct{ ID string }
	p.must("POST", "/v1/meetings", map[string]string{"title": "Plan"}, &m)
	return "/v1/meetings/" + m.ID
}

// say posts messages to the meeting and returns the position of the last.
func (p *person) say(meeting string, contents ...string) (position int64) {
	p.s.t.Helper()
	for _, content := range contents {
		var m struct{ Position int64 }
		p.must("POST", meeting+"/messages", map[string]string{"content": content}, &m)
		position = m.Position
	}
	return position
}

// history returns what all the messages of the meeting say, in their order.
func (p *person) history(meeting string) (all []string) {
	p.s.t.Helper()
	for after := int64(0); ; {
		var page struct {
			Items []struct{ Content string }
			Last  int64
			More  bool
		}
		p.must("GET", fmt.Sprintf("%s/messages?limit=200&after=%d", meeting, after), nil, &page)
		for _, item := range page.Items {
			all = append(all, item.Content)
		}
		if after = page.Last; !page.More {
			return all
		}
	}
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}
