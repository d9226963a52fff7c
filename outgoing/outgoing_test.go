package outgoing_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/outgoing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// post is a mail server: it takes letters, or answers rcpt to whom they are for.
type post struct {
	address string
	rcpt    string
	letters chan string
}

func newPost(t *testing.T, rcpt string) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{address: l.Addr().String(), rcpt: rcpt, letters: make(chan string, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return p
}

// serve speaks SMTP, RFC 5321, on one connection.
func (p *post) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	say := func(line string) { _, _ = fmt.Fprint(c, line, "\r\n") }
	say("220 here")
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word := strings.ToUpper(strings.Fields(line + " .")[0]); word {
		case "EHLO", "HELO", "MAIL", "RSET", "NOOP":
			say("250 ok")
		case "RCPT":
			say(p.rcpt)
		case "DATA":
			say("354 go on")
			var letter strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				letter.WriteString(strings.TrimPrefix(line, "."))
			}
			p.letters <- letter.String()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 unknown")
		}
	}
}

func (p *post) mailer(t *testing.T) *outgoing.Mailer {
	t.Helper()
	m, err := outgoing.NewMailer("smtp://" + p.address + "?from=connvo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var letter = outgoing.Mail{
	ID: "ntf-7-email", To: "ada@example.org", Name: "Ada Zoë\r\nBcc: eve@example.org", Subject: "“Plan”\r\nBcc: eve@example.org", Text: "Grüße\n.\nBye", At: noon,
}

func TestLetterArrivesAsItWasWritten(t *testing.T) {
	p := newPost(t, "250 ok")
	if err := p.mailer(t).Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	m, err := netmail.ReadMessage(strings.NewReader(<-p.letters))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "“Plan”") || m.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, header %v, %v", subject, m.Header, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != letter.To {
		t.Errorf("to %v %v", to, err)
	}
	if id := m.Header.Get("Message-ID"); id != "<ntf-7-email@example.com>" {
		t.Errorf("id %s", id)
	}
	if at, err := m.Header.Date(); err != nil || !at.Equal(noon) {
		t.Errorf("at %v %v", at, err)
	}
}

func TestRefusalForGoodIsToldFromTrouble(t *testing.T) {
	for answer, refused := range map[string]bool{"550 5.1.1 no such box": true, "451 4.3.0 later": false, "421 busy": false} {
		p := newPost(t, answer)
		err := p.mailer(t).Send(t.Context(), letter)
		if err == nil || errors.Is(err, outgoing.ErrRefused) != refused {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestNothingIsTriedWhileTheLastHaveFailed(t *testing.T) {
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer s.Close()
	h := hook(t, s.URL, "secret")
	for range 8 {
		if err := h.Post(t.Context(), "id", nil); err == nil {
			t.Error("a failure is an answer")
		}
	}
	if tries != 5 {
		t.Errorf("tried %d times", tries)
	}
}

func hook(t *testing.T, url, secret string) *outgoing.Hook {
	t.Helper()
	h, err := outgoing.NewHook(url, secret, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestRequestIsSigned(t *testing.T) {
	const secret, body = "a secret of the webhook", `{"id":"ntf-7-push"}`
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != body || r.Header.Get(outgoing.IDHeader) != "ntf-7-push" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v %v", got, r.Header, err)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%d.%s", noon.Unix(), got)
		want := fmt.Sprintf("t=%d,v1=%s", noon.Unix(), hex.EncodeToString(mac.Sum(nil)))
		if signature := r.Header.Get(outgoing.SignatureHeader); signature != want {
			t.Errorf("signed %s, want %s", signature, want)
		}
	}))
	defer s.Close()
	if err := hook(t, s.URL, secret).Post(t.Context(), "ntf-7-push", []byte(body)); err != nil {
		t.Error(err)
	}
}

func TestOnlySuccessIsSuccess(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for status, refused := range map[int]bool{302: false, 307: false, 400: false, 401: false, 404: false, 410: true, 429: false, 503: false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
		}))
		err := hook(t, s.URL, "secret").Post(t.Context(), "id", []byte("{}"))
		if err == nil || errors.Is(err, outgoing.ErrRefused) != refused {
			t.Errorf("%d: %v", status, err)
		}
		s.Close()
	}
}

func TestSilentFarEndIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	m, err := outgoing.NewMailer("smtp://" + l.Addr().String() + "?from=connvo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(ctx, letter); err == nil {
		t.Error("a letter was taken by nobody")
	}
	if err := hook(t, "http://"+l.Addr().String(), "secret").Post(ctx, "id", nil); err == nil {
		t.Error("a request was answered by nobody")
	}
}

func TestWrongURLsAreRefusedWithoutTheirPassword(t *testing.T) {
	for _, url := range []string{
		"", "mail.example.com", "http://mail.example.com?from=a@b.c", "smtp://?from=a@b.c", "smtp://mail.example.com",
		"smtp://ada:hidden@mail.example.com?from=nobody", "smtp://ada:hidden@mail.example.com:0?from=a@b.c", "smtp://ada:hid%zzden@mail.example.com?from=a@b.c",
		"smtp://mail.example.com/path?from=a@b.c", "smtp://mail.example.com?from=a@b.c&tls=off", "smtp://mail.example.com?from=a@b.c&from=d@e.f",
	} {
		if _, err := outgoing.NewMailer(url); err == nil || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "/path", "ftp://example.com", "http://example.com/", "https://ada:hidden@example.com/", "javascript:alert(1)"} {
		if _, err := outgoing.NewHook(url, "secret", nil); err == nil || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"smtp://mail.example.com?from=a@b.c", "smtps://ada:hidden@mail.example.com:465/?from=Connvo+<a@b.c>", "smtp://localhost:25?from=a@b.c"} {
		if _, err := outgoing.NewMailer(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
