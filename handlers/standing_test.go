package handlers_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// lateBody is a body that is asked for after the server has found out who calls:
// the request expects 100 Continue, which is sent when the body is read.
type lateBody struct {
	io.Reader
	before func()
}

// Read calls before, the first time.
func (b *lateBody) Read(p []byte) (int, error) {
	if b.before != nil {
		b.before()
		b.before = nil
	}
	return b.Reader.Read(p)
}

// doLate sends a request whose caller was authenticated before meanwhile runs,
// and whose body comes after it.
func (p *person) doLate(path, body string, meanwhile func(), header ...string) answer {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.s.t.Context(), patience)
	defer cancel()
	r := p.request(ctx, http.MethodPost, path, io.Reader(&lateBody{strings.NewReader(body), meanwhile}), append(header, "Expect", "100-continue")...)
	r.ContentLength = int64(len(body))
	transport := &http.Transport{ExpectContinueTimeout: patience, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		p.s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		p.s.t.Fatal(err)
	}
	return answer{Status: response.StatusCode, Header: response.Header, Body: content}
}

func TestWriteThatWasAuthenticatedBeforeALogoutCommitsNothingAfterIt(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]struct {
		lose   func(p *person)
		status int
		code   string
	}{
		"nothing":      {func(*person) {}, http.StatusCreated, ""},
		"log-out":      {func(p *person) { p.must("POST", logoutPath, nil) }, http.StatusUnauthorized, "unauthenticated"},
		"deactivation": {func(p *person) { p.deactivate() }, http.StatusForbidden, "forbidden"},
	} {
		for _, key := range [][]string{nil, {"Idempotency-Key", "one"}} {
			p := s.signIn(strings.ReplaceAll(name+strings.Join(key, ""), " ", ""))
			before := s.number(`SELECT count(*) FROM meetings`)
			a := p.doLate("/v1/meetings", `{"title":"Plan"}`, func() { c.lose(p) }, key...)
			if a.Status != c.status || a.code() != c.code {
				t.Errorf("%s %v: %d %s", name, key, a.Status, a.Body)
			}
			if made := s.number(`SELECT count(*) FROM meetings`) - before; (made == 1) != (c.code == "") {
				t.Errorf("%s %v: %d meetings were made", name, key, made)
			}
		}
	}
}
