package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// answer parses one whole answer.
func answer(r io.Reader) (head, []byte, error) {
	b := bufio.NewReader(r)
	h, err := readHead(b)
	if err != nil {
		return h, nil, err
	}
	body, err := readBody(b, &h, nil)
	return h, body, err
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		raw, body string
		status    int
		closes    bool
	}{
		{"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhellorest", "hello", 201, false},
		{"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "", 200, false},
		{"HTTP/1.1 204 No Content\r\n\r\nnext", "", 204, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", "abc0123456789", 200, false},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 200, false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", "all of it", 200, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", 200, true},
		{"HTTP/1.1 503\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "a", 503, false},
	} {
		h, body, err := answer(iotest.OneByteReader(strings.NewReader(c.raw)))
		if err != nil || string(body) != c.body || h.status != c.status || h.closes != c.closes {
			t.Errorf("%q: %+v %q %v", c.raw, h, body, err)
		}
	}
}

func TestBrokenAnswersAreRefused(t *testing.T) {
	for _, raw := range []string{
		"",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 +20 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 200) + "\r\n",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10),
	} {
		if h, body, err := answer(strings.NewReader(raw)); err == nil {
			t.Errorf("%.60q was taken as %+v %q", raw, h, body)
		}
	}
}

func TestRequestIsUnderstoodByNetHTTP(t *testing.T) {
	raw := request{method: "POST", path: "/v1/x?a=1", token: "tok", key: "k-1", body: []byte(`{"a":1}`)}.render(nil, "h:1")
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != `{"a":1}` || r.Host != "h:1" || r.URL.RawQuery != "a=1" ||
		r.Header.Get("Authorization") != "Bearer tok" || r.Header.Get("Idempotency-Key") != "k-1" ||
		r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("%q was understood as %+v %q %v", raw, r, body, err)
	}
}

// What the parser takes, net/http takes for the same.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, body, err := answer(bytes.NewReader(raw))
		if err != nil || bytes.HasPrefix(raw, []byte("HTTP/1.1 1")) {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			return // it looks closer at names, values and the reason
		}
		want, err := io.ReadAll(theirs.Body)
		if err == nil && (theirs.StatusCode != h.status || !bytes.Equal(want, body)) {
			t.Errorf("%q: %d %q, net/http has %d %q", raw, h.status, body, theirs.StatusCode, want)
		}
	})
}

// What the reader takes, httputil takes for the same, however the bytes arrive.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("3;ext=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, err := io.ReadAll(&chunkReader{r: bufio.NewReader(bytes.NewReader(raw))})
		slow, err2 := io.ReadAll(&chunkReader{r: bufio.NewReader(iotest.OneByteReader(bytes.NewReader(raw)))})
		if !bytes.Equal(ours, slow) || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %q %v at once, %q %v byte by byte", raw, ours, err, slow, err2)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		if err == nil && !bytes.Equal(ours, theirs) {
			t.Errorf("%q: %q, httputil has %q", raw, ours, theirs)
		}
	})
}
