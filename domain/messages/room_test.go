package messages_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/participants"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is an active meeting with a host in it.
type room struct {
	chat  *messages.Store
	meets *meetings.Store
	host  domain.Actor
	id    domain.MeetingID
}

func openRoom(t testing.TB, d *db.DB) *room {
	t.Helper()
	ctx, happened := context.Background(), events.NewLog(nil)
	account, err := users.NewStore(d).SignIn(ctx, users.Identity{Subject: "user_1", Email: "ada@example.com", At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	r := &room{chat: messages.NewStore(d, happened), meets: meetings.NewStore(d, happened, "loc"), host: domain.Actor{User: account.User}}
	r.id = r.another(t, "")
	m, err := r.meets.Start(ctx, r.host, r.id)
	if err != nil || m.State != participants.Active {
		t.Fatal(m.State, err)
	}
	return r
}

// another is one more meeting of the same host, which is planned.
func (r *room) another(t testing.TB, id domain.MeetingID) domain.MeetingID {
	t.Helper()
	m, err := r.meets.Create(context.Background(), r.host, meetings.Draft{ID: id, Title: "T"})
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func (r *room) post(t testing.TB, meeting domain.MeetingID, content string) messages.Message {
	t.Helper()
	m, err := r.chat.Post(context.Background(), r.host, meeting, messages.Draft{Content: content})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (r *room) reply(t testing.TB, to messages.Message, content string) messages.Message {
	t.Helper()
	m, err := r.chat.Post(context.Background(), r.host, r.id, messages.Draft{Content: content, ReplyTo: to.ID()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
