package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/notifications"
	"connvo/domain/participants"
	"connvo/domain/settings"
	"connvo/domain/users"
	"connvo/jobs"
)

// leaving is a database whose notifications leave to a receiver of its own.
type leaving struct {
	t        *testing.T
	db       *db.DB
	meets    *meetings.Store
	people   *users.Store
	settings *settings.Store
	arrived  chan letterBody
	broken   chan int // what the receiver answers first
}

// letterBody is what the receiver was told.
type letterBody struct {
	ID, Channel, Type, Title, Text string
	User                           struct{ ID, Email string }
}

const hookSecret = "a secret for the receiver"

// newLeaving runs the jobs, with a receiver that checks every signature; the rest
// of the configuration is c's.
func newLeaving(t *testing.T, c serveCommand, hooked bool) *leaving {
	w := &leaving{t: t, arrived: make(chan letterBody, 100), broken: make(chan int, 10)}
	if hooked {
		receiver := httptest.NewServer(http.HandlerFunc(w.receive))
		t.Cleanup(receiver.Close)
		c.NotifyWebhook, c.NotifyHookSecret = receiver.URL, hookSecret
	}
	c.checkDelivery(func(format string, args ...any) { t.Errorf(format, args...) })
	w.db = dbtest.Open(t)
	out, err := c.delivery(t.Context(), w.db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.close)
	runner := jobs.NewRunner(w.db, slog.New(slog.DiscardHandler), map[string]jobs.Handler{
		notifications.Send: out.send, notifications.TellRest: effect(notifications.TellMembers),
	})
	runner.Start()
	t.Cleanup(func() {
		if err := runner.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	w.meets = meetings.NewStore(w.db, events.NewLog(map[events.Type][]events.Follow{events.MeetingStarted: {notifications.Follow}}), "loc")
	w.people, w.settings = users.NewStore(w.db), settings.NewStore(w.db)
	return w
}

func (w *leaving) receive(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	stamp, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Connvo-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(hookSecret))
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body)
	if signature != hex.EncodeToString(mac.Sum(nil)) {
		w.t.Errorf("signed %q", r.Header.Get("Connvo-Signature"))
	}
	var l letterBody
	if err := json.Unmarshal(body, &l); err != nil || l.ID != r.Header.Get("Connvo-Id") {
		w.t.Errorf("%s: %v", body, err)
	}
	select {
	case status := <-w.broken:
		answer.WriteHeader(status)
	default:
		w.arrived <- l
	}
}

func (w *leaving) arrive(name string) domain.Actor {
	w.t.Helper()
	a, err := w.people.SignIn(w.t.Context(), users.Identity{Subject: name, Email: name + "@example.com", EmailVerified: name != "unverified", At: w.db.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

// start plans a meeting with the guest and starts it.
func (w *leaving) start(host, guest domain.Actor) domain.MeetingID {
	w.t.Helper()
	m, err := w.meets.Create(w.t.Context(), host, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{{User: guest.User, Role: participants.Participant}}})
	if err == nil {
		_, err = w.meets.Start(w.t.Context(), host, m.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return m.ID
}

// channels are those of the next letters, which are n.
func (w *leaving) channels(n int) string {
	w.t.Helper()
	var all []string
	for range n {
		select {
		case l := <-w.arrived:
			all = append(all, l.Channel)
		case <-time.After(patience):
			w.t.Fatalf("only %v have arrived", all)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (w *leaving) waiting() (n int64) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, `SELECT count(*) FROM jobs WHERE kind = 'notifications.send'`)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestNotificationsLeaveAsSettingsWant(t *testing.T) {
	w := newLeaving(t, serveCommand{}, true)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.start(ada, grace)
	if got := w.channels(2); got != "email push" {
		t.Errorf("by default: %s", got)
	}
	yes, no := true, false
	for _, c := range []struct {
		change settings.Change
		want   string
	}{
		{settings.Change{Email: &no, SMS: &yes}, "push sms"},
		{settings.Change{Push: &no}, "sms"},
		{settings.Change{Email: &yes, Push: &yes}, "email push sms"},
	} {
		if _, err := w.settings.Update(t.Context(), grace, c.change); err != nil {
			t.Fatal(err)
		}
		w.start(ada, grace)
		if got := w.channels(strings.Count(c.want, " ") + 1); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	// Nobody is written to at an address that may be somebody else's.
	w.start(ada, w.arrive("unverified"))
	if got := w.channels(1); got != "push" {
		t.Errorf("without an address: %s", got)
	}
}

func TestLetterSaysWhatHasHappened(t *testing.T) {
	w := newLeaving(t, serveCommand{}, true)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	no := false
	if _, err := w.settings.Update(t.Context(), grace, settings.Change{Push: &no}); err != nil {
		t.Fatal(err)
	}
	w.start(ada, grace)
	l := <-w.arrived
	if l.User.ID != string(grace.User) || l.User.Email != "grace@example.com" || l.Type != "meeting.started" || l.Title != "Plan" || l.Text != "“Plan” has begun" {
		t.Errorf("%+v", l)
	}
}

func TestReceiverThatFailsIsToldAgain(t *testing.T) {
	w := newLeaving(t, serveCommand{}, true)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.broken <- http.StatusServiceUnavailable
	w.start(ada, grace)
	if got := w.channels(2); got != "email push" {
		t.Error(got)
	}
}

func TestWhoLeavesIsNotWrittenTo(t *testing.T) {
	w := newLeaving(t, serveCommand{}, true)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.broken <- http.StatusServiceUnavailable
	w.broken <- http.StatusServiceUnavailable
	m := w.start(ada, grace)
	if err := w.meets.Remove(t.Context(), ada, m, string(grace.User)); err != nil {
		t.Fatal(err)
	}
	// Another's arrive after the time of the first.
	linus := w.arrive("linus")
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for looks := 0; w.waiting() > 0; looks++ {
		if <-look.C; looks > 200 {
			t.Fatal("jobs are left")
		}
	}
	w.start(ada, linus)
	for range 2 {
		if l := <-w.arrived; l.User.ID != string(linus.User) {
			t.Errorf("told of a meeting that they are not in: %+v", l)
		}
	}
}

func TestWithoutAWayNothingIsLeftToDo(t *testing.T) {
	w := newLeaving(t, serveCommand{}, false)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.start(ada, grace)
	if n := w.waiting(); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestMailLeavesBySMTPAndNotByTheWebhook(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	letters := make(chan string, 1)
	go func() { letters <- takeLetter(l) }()
	w := newLeaving(t, serveCommand{SMTPURL: "smtp://" + l.Addr().String() + "?from=connvo@example.com"}, true)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	w.start(ada, grace)
	if got := w.channels(1); got != "push" {
		t.Errorf("by the webhook: %s", got)
	}
	if letter := <-letters; !strings.Contains(letter, "To: \"grace\" <grace@example.com>") || !strings.Contains(letter, "Message-ID: <ntf-") {
		t.Errorf("by mail: %q", letter)
	}
}

// A mail server whose certificate nobody has signed gets no letter: the job says why,
// and tries again.
func TestUntrustedMailServerIsTriedAgain(t *testing.T) {
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	certificates := lender.TLS.Certificates
	lender.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates})
	if err != nil {
		t.Fatal(err)
	}
	calls, done := make(chan struct{}, 10), make(chan struct{})
	go func() {
		defer close(done)
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = c.Read(make([]byte, 1)) // the client turns away
			_ = c.Close()
			calls <- struct{}{}
		}
	}()
	defer func() {
		_ = l.Close()
		<-done
	}()
	w := newLeaving(t, serveCommand{SMTPURL: "smtps://ada:hidden@" + l.Addr().String() + "?from=connvo@example.com"}, false)
	w.start(w.arrive("ada"), w.arrive("grace"))
	for range 2 {
		select {
		case <-calls:
		case <-time.After(patience):
			t.Fatal("it was not tried twice")
		}
	}
	var why string
	err = w.db.Read(t.Context(), func(tx db.Reader) (err error) {
		why, err = db.One(tx, func(r db.Row) (s string, err error) { return s, r.Scan(&s) }, `SELECT last_error FROM jobs WHERE kind = 'notifications.send'`)
		return err
	})
	if err != nil || !strings.Contains(why, "certificate") || strings.Contains(why, "hidden") {
		t.Errorf("%q, %v", why, err)
	}
}

// takeLetter is a mail server for one connection: it returns what was said to it.
func takeLetter(l net.Listener) string {
	c, err := l.Accept()
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	var all strings.Builder
	in, inLetter := bufio.NewScanner(c), false
	_, _ = fmt.Fprint(c, "220 here\r\n")
	for in.Scan() {
		line := in.Text()
		all.WriteString(line + "\n")
		switch {
		case line == "DATA":
			inLetter = true
			_, _ = fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			_, _ = fmt.Fprint(c, "221 bye\r\n")
			return all.String()
		case !inLetter || line == ".":
			inLetter = false
			_, _ = fmt.Fprint(c, "250 ok\r\n")
		}
	}
	return all.String()
}

func TestWrongDeliveryIsRefusedWithoutItsSecrets(t *testing.T) {
	c := serveCommand{SMTPURL: "smtp://ada:hidden@mail.example.com", NotifyWebhook: "http://example.com", NotifyHookSecret: "hidden"}
	var wrong []string
	c.checkDelivery(func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) })
	if all := strings.Join(wrong, "\n"); len(wrong) != 3 || strings.Contains(all, "hidden") {
		t.Errorf("refused: %s", all)
	}
}
