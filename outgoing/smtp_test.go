package outgoing_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"connvo/outgoing"
)

const mailPassword = "hidden"

// office is a mail server that takes letters from ada over TLS only.
type office struct {
	port    string
	trusted *x509.CertPool
	letters chan string
	logins  chan string // what was tried: mechanism, name and password
}

// newOffice serves until the test ends: TLS from the first byte where implicit, else
// after STARTTLS, where that is offered.
func newOffice(t *testing.T, implicit, starttls bool) *office {
	t.Helper()
	// Its certificate names 127.0.0.1 and example.com.
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	secure, trusted := &tls.Config{Certificates: lender.TLS.Certificates}, x509.NewCertPool()
	trusted.AddCert(lender.Certificate())
	lender.Close()
	o := &office{trusted: trusted, letters: make(chan string, 10), logins: make(chan string, 10)}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &counter{office: o, conn: c}, nil }))
	s.Domain, s.ErrorLog = "office", log.New(io.Discard, "", 0)
	if starttls {
		s.TLSConfig = secure
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, o.port, err = net.SplitHostPort(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if implicit {
		l = tls.NewListener(l, secure)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return o
}

// counter is where one connection is served.
type counter struct {
	office *office
	conn   *smtp.Conn
	known  bool
}

func (c *counter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, password string) error {
		_, covered := c.conn.TLSConnectionState()
		if c.office.logins <- name + " " + password; !covered || name != "ada" || password != mailPassword {
			return smtp.ErrAuthFailed
		}
		c.known = true
		return nil
	}), nil
}

func (c *counter) Mail(string, *smtp.MailOptions) error {
	if !c.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (c *counter) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (c *counter) Data(r io.Reader) error {
	letter, err := io.ReadAll(r)
	c.office.letters <- string(letter)
	return err
}

func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }

// send sends the letter to the office by the scheme, as the host is called, with the
// password.
func (o *office) send(t *testing.T, scheme, host, password string, trusted *x509.CertPool) error {
	t.Helper()
	m, err := outgoing.NewMailer(scheme + "://ada:" + password + "@" + net.JoinHostPort(host, o.port) + "?from=connvo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	m.Trust(trusted)
	return m.Send(t.Context(), letter)
}

func TestLetterGoesOverTLSWithAPassword(t *testing.T) {
	for scheme, implicit := range map[string]bool{"smtp": false, "smtps": true} {
		t.Run(scheme, func(t *testing.T) {
			o := newOffice(t, implicit, !implicit)
			if err := o.send(t, scheme, "127.0.0.1", mailPassword, o.trusted); err != nil {
				t.Fatal(err)
			}
			if got := <-o.logins; got != "ada "+mailPassword {
				t.Errorf("signed in as %q", got)
			}
			if got := <-o.letters; !strings.Contains(got, "Message-ID: <ntf-7-email@example.com>") {
				t.Errorf("%q", got)
			}
		})
	}
}

// A wrong password or certificate is put right by whoever runs the servers, so that
// the letter is not given up; no error shows the password.
func TestServerThatCannotBeTrustedGetsNothing(t *testing.T) {
	for scheme, implicit := range map[string]bool{"smtp": false, "smtps": true} {
		for name, c := range map[string]struct {
			host, password, want string
			trusted              bool
			logins               int
		}{
			"a wrong password":                {"127.0.0.1", "hidden-wrong", "535", true, 1},
			"a certificate of nobody we know": {"127.0.0.1", mailPassword, "certificate", false, 0},
			"a certificate of another host":   {"localhost", mailPassword, "certificate", true, 0},
		} {
			t.Run(scheme+", "+name, func(t *testing.T) {
				o := newOffice(t, implicit, !implicit)
				roots := x509.NewCertPool()
				if c.trusted {
					roots = o.trusted
				}
				err := o.send(t, scheme, c.host, c.password, roots)
				if err == nil || errors.Is(err, outgoing.ErrRefused) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
					t.Errorf("%v, want one that speaks of %q", err, c.want)
				}
				if len(o.logins) != c.logins || len(o.letters) != 0 {
					t.Errorf("%d logins, %d letters", len(o.logins), len(o.letters))
				}
			})
		}
	}
}

// Also on this machine a password is never sent in the clear.
func TestPasswordIsNotSentInTheClear(t *testing.T) {
	o := newOffice(t, false, false)
	if err := o.send(t, "smtp", "127.0.0.1", mailPassword, o.trusted); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("%v, want one that speaks of STARTTLS", err)
	}
	if len(o.logins) != 0 || len(o.letters) != 0 {
		t.Errorf("%d logins, %d letters", len(o.logins), len(o.letters))
	}
}
