package handlers_test

import (
	"fmt"
	"slices"
	"testing"

	talk "connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/messages"
	"connvo/domain/notifications"
)

// follows is what people are told, and what the server says in the chats, if it
// does.
func follows(announces bool) map[events.Type][]events.Follow {
	all := map[events.Type][]events.Follow{}
	for _, t := range []events.Type{
		events.MeetingCreated, events.MeetingUpdated, events.MeetingStarted, events.MeetingCancelled, events.MeetingTransferred,
		events.ParticipantInvited, events.ParticipantClaimed, events.ParticipantRoleChanged,
	} {
		all[t] = append(all[t], notifications.Follow)
	}
	all[events.MeetingEnded] = append(all[events.MeetingEnded], talk.Close)
	if !announces {
		return all
	}
	for _, t := range []events.Type{
		events.MeetingUpdated, events.MeetingCancelled, events.MeetingTransferred,
		events.MeetingStarted, events.MeetingEnded, events.ParticipantJoined, events.ParticipantLeft,
	} {
		all[t] = append(all[t], messages.Announce)
	}
	return all
}

// What happens is said in the chat in the commit in which it happens, and nobody
// changes what the server says.
func TestServerSaysWhatHappensInTheChat(t *testing.T) {
	s := startServer(t, true)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	ada.must("POST", meeting+"/start", nil)
	grace.must("POST", meeting+"/join", nil)
	grace.must("POST", meeting+"/join", nil) // which changes nothing
	ada.must("POST", meeting+"/messages", `{"content":"Somebody should speak"}`)
	grace.must("POST", meeting+"/leave", nil)
	ada.must("POST", meeting+"/end", nil)
	var chat struct {
		Items []struct {
			ID, Content string
			UserID      *string
			System      bool
		}
	}
	ada.must("GET", meeting+"/messages", nil).into(t, &chat)
	var said []string
	for _, m := range chat.Items {
		said = append(said, fmt.Sprint(m.Content, " ", m.System))
		if m.System != (m.UserID == nil) {
			t.Errorf("%+v", m)
		}
	}
	want := []string{"The meeting has started. true", "Somebody has joined. true", "Somebody has joined. true",
		"Somebody should speak false", "Somebody has left. true", "The meeting has ended. true"}
	if !slices.Equal(said, want) {
		t.Fatalf("%q", said)
	}
	first, spoken := meeting+"/messages/"+chat.Items[0].ID, meeting+"/messages/"+chat.Items[3].ID
	for path, status := range map[string][2]int{first: {403, 403}, spoken: {200, 204}} {
		if a := ada.do("PATCH", path, `{"content":"Something else"}`); a.Status != status[0] {
			t.Errorf("PATCH %s: %d %s", path, a.Status, a.Body)
		}
		if a := ada.do("DELETE", path, nil); a.Status != status[1] {
			t.Errorf("DELETE %s: %d %s", path, a.Status, a.Body)
		}
	}
	var found struct{ Items []any }
	if grace.must("GET", meeting+"/messages/search?q=somebody", nil).into(t, &found); len(found.Items) != 0 {
		t.Errorf("what the server says is found: %v", found.Items)
	}
	// It can be answered.
	grace.must("POST", meeting+"/messages", fmt.Sprintf(`{"content":"Thanks","replyTo":%q}`, chat.Items[5].ID))
	called := ada.plan("Off")
	ada.must("PATCH", called, `{"title":"Called off"}`)
	ada.must("POST", called+"/cancel", nil)
	chat.Items = nil
	ada.must("GET", called+"/messages", nil).into(t, &chat)
	if len(chat.Items) != 2 || chat.Items[0].Content != "The plan of the meeting has changed." || chat.Items[1].Content != "The meeting is cancelled." {
		t.Errorf("%+v", chat.Items)
	}
}
