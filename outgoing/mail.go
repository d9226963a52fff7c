// Package outgoing sends what leaves the server for people who are not looking:
// mail by SMTP, and signed requests to a webhook.
package outgoing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/wneessen/go-mail"
)

const (
	// sendTimeout bounds one letter or one request: a job sends one.
	sendTimeout = 20 * time.Second
	// brokenAfter failures in a row nothing is tried for brokenFor, so that those
	// who wait for an answer do not hold up what else there is to do.
	brokenAfter = 5
	brokenFor   = 30 * time.Second
)

// ErrRefused is that the far end has refused something for good: to send it again
// is no use.
var ErrRefused = errors.New("refused for good")

// Mail is a letter. Its texts may hold anything: they are encoded.
type Mail struct {
	ID      string // the same whenever it is sent again, by which a reader shows it once
	To      string // an address
	Name    string // of whom it is to
	Subject string
	Text    string // plain
	At      time.Time
}

// Mailer sends mail by one SMTP server. It is safe for concurrent use.
type Mailer struct {
	from    netmail.Address
	host    string
	options []mail.Option
	secure  *tls.Config // what a connection is covered with
	first   bool        // from its first byte
	breaker failsafe.Executor[any]
}

// NewMailer returns a Mailer for a URL: smtp://name:password@host:587?from=address
// begins in the clear and insists on TLS; smtps:// is TLS from the first byte. name
// and password are left out where none are needed, and on this machine TLS with them:
// a password never travels in the clear. The ports are 587 and 465 when left out. Its
// errors show no password.
func NewMailer(raw string) (*Mailer, error) {
	wrong := errors.New("write smtp://name:password@host:587?from=address, or smtps://")
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return nil, wrong
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) != 1 || len(query["from"]) != 1 {
		return nil, wrong
	}
	from, err := netmail.ParseAddress(query.Get("from"))
	if err != nil {
		return nil, errors.New("from in its query is no e-mail address")
	}
	m := &Mailer{from: *from, host: u.Hostname(), breaker: failsafe.With(breaker())}
	port := 587
	m.secure = &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12}
	m.options = []mail.Option{mail.WithTimeout(sendTimeout), mail.WithTLSConfig(m.secure)}
	password, named := u.User.Password()
	switch {
	case u.Scheme == "smtps":
		port, m.first = 465, true
		m.options = append(m.options, mail.WithSSL())
	case here(m.host) && !named:
		m.options = append(m.options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		m.options = append(m.options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return nil, wrong
		}
	}
	m.options = append(m.options, mail.WithPort(port))
	if named {
		// Both send the password as it is, which is why all of this is under TLS.
		m.options = append(m.options, mail.WithOpportunisticSMTPAuth(mail.SMTPAuthPlain, mail.SMTPAuthLogin), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	if _, err := mail.NewClient(m.host, m.options...); err != nil {
		return nil, wrong
	}
	return m, nil
}

// here reports whether the host is this machine.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Send sends a letter over a connection of its own. Errors: ErrRefused, or another
// for what may pass.
func (m *Mailer) Send(ctx context.Context, letter Mail) error {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&m.from)
	msg.ToMailAddress(&netmail.Address{Name: letter.Name, Address: letter.To})
	msg.Subject(letter.Subject)
	msg.SetMessageIDWithValue(letter.ID + "@" + domainOf(m.from.Address))
	msg.SetDateWithValue(letter.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // so that no absent person's machine answers
	msg.SetBodyString(mail.TypeTextPlain, letter.Text)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return guarded(ctx, m.breaker, func() error {
		client, err := mail.NewClient(m.host, append(m.options[:len(m.options):len(m.options)], mail.WithDialContextFunc(m.dialUntil(ctx)))...)
		if err != nil {
			return err
		}
		err = client.DialAndSendWithContext(ctx, msg)
		if refusal, found := errors.AsType[*mail.SendError](err); found && refusal.ErrorCode() >= 500 {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	})
}

// dialUntil returns how to connect: a connection that breaks when ctx ends. The
// library waits for the far end's answers however short its timeout is.
func (m *Mailer) dialUntil(ctx context.Context) mail.DialContextFunc {
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = c.Close() })
		if !m.first {
			return c, nil
		}
		return tls.Client(c, m.secure), nil
	}
}

func domainOf(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return address
}

// breaker keeps silent for a while when nothing has come of the last attempts. A
// refusal is an answer.
func breaker() failsafe.Policy[any] {
	return circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool {
			return err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, context.Canceled)
		}).
		WithFailureThreshold(brokenAfter).
		WithSuccessThreshold(1).
		WithDelay(brokenFor).
		Build()
}

func guarded(ctx context.Context, by failsafe.Executor[any], send func() error) error {
	err := by.WithContext(ctx).Run(send)
	if errors.Is(err, circuitbreaker.ErrOpen) {
		return errors.New("not tried: the last attempts have all failed")
	}
	return err
}
