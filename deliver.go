package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/notifications"
	"connvo/jobs"
	"connvo/outgoing"
)

// minHookSecret is the shortest secret that is taken, in bytes: one that is typed
// by hand can be guessed from what was signed with it.
const minHookSecret = 16

// delivery is how notifications leave the server.
type delivery struct {
	db   *db.DB
	log  *slog.Logger
	mail *outgoing.Mailer // nil where none is configured
	hook *outgoing.Hook   // nil where none is configured
}

// delivery returns what is configured, and keeps in the database which channels
// lead somewhere: mail leaves by SMTP, else by the webhook, all others by the webhook.
func (c *serveCommand) delivery(ctx context.Context, d *db.DB, log *slog.Logger) (*delivery, error) {
	out := &delivery{db: d, log: log}
	var open []notifications.Channel
	var err error
	if c.NotifyWebhook != "" {
		if out.hook, err = outgoing.NewHook(c.NotifyWebhook, c.NotifyHookSecret, d.Now); err != nil {
			return nil, err
		}
		open = []notifications.Channel{notifications.Email, notifications.Push, notifications.SMS}
	}
	if c.SMTPURL != "" {
		if out.mail, err = outgoing.NewMailer(c.SMTPURL); err != nil {
			return nil, err
		}
		open = append(open, notifications.Email)
	}
	return out, d.Write(ctx, func(tx *db.WriteTx) error { return notifications.SetChannels(tx, open...) })
}

// checkDelivery refuses what is wrong with where notifications go. It shows no
// password.
func (c *serveCommand) checkDelivery(refuse func(format string, args ...any)) {
	if c.SMTPURL != "" {
		if _, err := outgoing.NewMailer(c.SMTPURL); err != nil {
			refuse("--smtp-url: %v", err)
		}
	}
	if c.NotifyWebhook == "" {
		return
	}
	if _, err := outgoing.NewHook(c.NotifyWebhook, "", time.Now); err != nil {
		refuse("--notify-webhook: %v", err)
	}
	if len(c.NotifyHookSecret) < minHookSecret {
		refuse("--notify-webhook-secret: at least %d characters, to sign what is sent with; set CONNVO_NOTIFY_WEBHOOK_SECRET", minHookSecret)
	}
}

func (d *delivery) close() {
	if d.hook != nil {
		d.hook.Close()
	}
}

// send is the handler of notifications.Send.
func (d *delivery) send(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	var p notifications.Parcel
	if err := json.Unmarshal(t.Payload, &p); err != nil {
		return nil, err
	}
	var l notifications.Letter
	var wanted bool
	err := d.db.Read(ctx, func(tx db.Reader) (err error) {
		l, wanted, err = p.Read(tx)
		return err
	})
	if err != nil || !wanted {
		return nil, err
	}
	switch {
	case l.Channel == notifications.Email && d.mail != nil:
		err = d.mail.Send(ctx, outgoing.Mail{ID: l.ID, To: l.Address, Name: l.Name, Subject: l.Text, Text: l.Text + ".\n", At: l.CreatedAt})
	case d.hook != nil:
		err = d.hook.Post(ctx, l.ID, requestOf(l))
	default:
		return nil, nil // it was configured when the job was made
	}
	if errors.Is(err, outgoing.ErrRefused) {
		d.log.Warn("a notification was refused", "id", l.ID, "user", string(l.User), "error", err)
		return nil, nil
	}
	return nil, err
}

// requestOf is the body of a request to the webhook.
func requestOf(l notifications.Letter) []byte {
	type user struct {
		ID          domain.UserID `json:"id"`
		DisplayName string        `json:"displayName"`
		Email       string        `json:"email,omitempty"` // where the channel needs it
	}
	to := user{ID: l.User, DisplayName: l.Name}
	if l.Channel == notifications.Email {
		to.Email = l.Address
	}
	body, _ := json.Marshal(struct { // strings and numbers always encode
		ID        string                `json:"id"`
		Channel   notifications.Channel `json:"channel"`
		User      user                  `json:"user"`
		Type      notifications.Type    `json:"type"`
		Position  int64                 `json:"position"`
		MeetingID domain.MeetingID      `json:"meetingId"`
		Title     string                `json:"title"`
		ActorID   domain.UserID         `json:"actorId,omitempty"`
		Subject   string                `json:"subject,omitempty"`
		CreatedAt string                `json:"createdAt"`
		Text      string                `json:"text"`
	}{
		l.ID, l.Channel, to, l.Type, l.Position, l.Meeting, l.Title, l.Actor, l.Subject, l.CreatedAt.Format(domain.TimeFormat), l.Text,
	})
	return body
}
