package messages_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/participants"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is an active meeting with a host in it.
func room(t testing.TB, d *db.DB) (*messages.Store, domain.Actor, domain.MeetingID) {
	t.Helper()
	ctx, happened := context.Background(), events.NewLog(nil)
	account, err := users.NewStore(d).SignIn(ctx, users.Identity{Subject: "user_1", Email: "ada@example.com", At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	who := domain.Actor{User: account.User}
	meets := meetings.NewStore(d, happened, "loc")
	m, err := meets.Create(ctx, who, meetings.Draft{Title: "T"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = meets.Start(ctx, who, m.ID); err != nil || m.State != participants.Active {
		t.Fatal(m.State, err)
	}
	return messages.NewStore(d, happened), who, m.ID
}

// BenchmarkPost is the whole write of a message, by 500 callers at once: the
// decision, the message, its event, in groups that are durable when answered.
func BenchmarkPost(b *testing.B) {
	chat, who, id := room(b, dbtest.Open(b))
	b.SetParallelism(250) // times two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := chat.Post(context.Background(), who, id, messages.Draft{Content: "hello, everyone"}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// Two people delete and edit the same message at once: one order or the other,
// and a deleted message stays deleted.
func TestDeletedMessageIsNotEditedBack(t *testing.T) {
	chat, who, id := room(t, dbtest.Open(t))
	for range 20 {
		m, err := chat.Post(t.Context(), who, id, messages.Draft{Content: "once"})
		if err != nil {
			t.Fatal(err)
		}
		edited := make(chan error, 1)
		go func() {
			_, err := chat.Edit(t.Context(), who, id, m.ID(), "twice")
			edited <- err
		}()
		if err := chat.Delete(t.Context(), who, id, m.ID()); err != nil {
			t.Fatal(err)
		}
		if err := <-edited; err != nil && domain.KindOf(err) != domain.Conflict {
			t.Fatal(err)
		}
		last, err := chat.Feed(t.Context(), who, id, "", domain.Span{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := last.Items[0]; got.Content != "" || got.DeletedAt.IsZero() {
			t.Fatalf("after the deletion it says %q", got.Content)
		}
	}
}
